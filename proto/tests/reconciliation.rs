//! Two nodes whose views differ come to one state, also while others go on publishing.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;

use common::{Keys, MESH, certificate, links_record, peer_record};
use plexmesh_proto::exchange::message::{ExchangeRequest, SketchRange};
use plexmesh_proto::exchange::reconcile::riblt::{Decoder, encode_range};
use plexmesh_proto::record::{Profile, Record};
use plexmesh_proto::types::{MILLI, Now, PeerId, RequestId, SECOND, Time, Token, Version};
use plexmesh_proto::view::{MemoryStore, RecordStore, Slot};
use plexmesh_proto::{Config, Input, Node, Output};

/// How long an answer takes.
const ROUND_TRIP: u64 = 50 * MILLI;
/// Two nodes that do not agree after this never will.
const PATIENCE: u64 = 60 * SECOND;
const WALL_MS: u64 = 1_000_000;

/// The peers 0 and 1 of a mesh, connected to each other alone; all others are names.
struct Pair {
    nodes: [Node<Keys, MemoryStore>; 2],
    now: Time,
    under_way: VecDeque<(Time, usize, RequestId, ExchangeRequest)>,
    /// What was asked for of coded symbols, by whom.
    sketches: Vec<(usize, SketchRange)>,
    symbol_bytes: usize,
}

impl Pair {
    /// A mesh of `members`, of whose records each of the two holds what `holds` says.
    fn new(members: u16, holds: impl Fn(usize, u16) -> bool) -> Self {
        let mut authority = Keys::new(250);
        let mut keys: Vec<Keys> = (0..members).map(Keys::numbered).collect();
        let peer = |authority: &mut Keys, keys: &mut Keys| peer_record(authority, keys, 1);
        let records: Vec<Arc<Record>> =
            keys.iter_mut().map(|keys| peer(&mut authority, keys)).collect();
        let nodes = [0, 1].map(|index| {
            let mut store = MemoryStore::default();
            for (number, record) in (0..).zip(&records) {
                if number < 2 || holds(index, number) {
                    store.put(record.slot(), Slot { top: record.clone(), rival: None });
                }
            }
            let own = keys[index].clone();
            let config = Config {
                mesh: MESH,
                authorities: Arc::new(vec![authority.id()].into()),
                certificate: certificate(&mut authority, own.id()),
                profile: Profile::default(),
                seeds: Vec::new(),
                last_version: Version::default(),
                key_epoch: 0,
            };
            Node::new(config, own, store, now(Time(0)))
        });
        let mut pair = Self {
            nodes,
            now: Time(0),
            under_way: VecDeque::new(),
            sketches: Vec::new(),
            symbol_bytes: 0,
        };
        pair.give(0, Input::Start);
        pair.give(1, Input::Start);
        for index in [0, 1] {
            let peer = pair.nodes[1 - index].me();
            pair.give(index, Input::Connected { peer });
        }
        pair
    }

    fn id(&self, index: usize) -> PeerId {
        self.nodes[index].me()
    }

    fn give(&mut self, index: usize, input: Input) {
        self.nodes[index].handle(input, now(self.now));
        let from = self.id(index);
        while let Some(output) = self.nodes[index].poll_output() {
            match output {
                Output::Request { to, id, request } if to == self.id(1 - index) => {
                    self.sketches.extend(request.sketch.map(|range| (index, range)));
                    self.under_way.push_back((self.now.plus(ROUND_TRIP), index, id, request));
                }
                Output::Frame { to, frame } if to == self.id(1 - index) => {
                    self.give(1 - index, Input::Frame { from, frame });
                }
                _ => {}
            }
        }
    }

    /// Lets the next thing happen; `answered` hears who was asked.
    fn step(&mut self, answered: &mut impl FnMut(&mut Self, usize)) {
        let timer = |node: &Node<Keys, MemoryStore>| node.poll_timeout().map(|(at, _)| at);
        let answer = self.under_way.front().map(|(at, ..)| *at);
        let next = self.nodes.iter().filter_map(timer).chain(answer).min();
        self.now = next.expect("a node always waits for something").max(self.now);
        if let Some((_, asker, id, request)) =
            self.under_way.pop_front_if(|(at, ..)| *at <= self.now)
        {
            let from = self.id(asker);
            let input = Input::Request { from, token: Token(0), request };
            self.nodes[1 - asker].handle(input, now(self.now));
            let outputs = std::iter::from_fn(|| self.nodes[1 - asker].poll_output());
            let answer = outputs.filter_map(|output| match output {
                Output::Answer { answer, .. } => Some(answer),
                _ => None,
            });
            let answer = answer.last().expect("every request is answered");
            self.symbol_bytes += answer.symbols.len();
            self.give(asker, Input::Answer { id, answer });
            answered(self, 1 - asker);
        }
        for index in [0, 1] {
            if timer(&self.nodes[index]).is_some_and(|at| at <= self.now) {
                self.give(index, Input::Tick);
            }
        }
    }

    /// Lets time pass until both have one state.
    fn agree(&mut self, mut answered: impl FnMut(&mut Self, usize)) {
        while self.nodes[0].digest() != self.nodes[1].digest() {
            assert!(self.now.0 < PATIENCE, "they still differ; asked: {:?}", self.sketches);
            self.step(&mut answered);
        }
    }

    /// How often `asker` began to ask for coded symbols.
    fn reconciliations(&self, asker: usize) -> usize {
        self.sketches.iter().filter(|(who, range)| *who == asker && range.from == 0).count()
    }
}

fn now(time: Time) -> Now {
    Now { time, wall_ms: WALL_MS + time.0 / MILLI }
}

#[test]
fn a_difference_is_found_at_once_though_news_come_in_between() {
    // Each lacks 60 of 800: more than one range of coded symbols.
    let mut pair = Pair::new(800, |index, number| match index {
        0 => number >= 62,
        _ => !(62..122).contains(&number),
    });
    let mut publishers: Vec<Keys> = (200..400).map(Keys::numbered).collect();
    let mut count = 0;
    pair.agree(|pair, answerer| {
        // Whoever answered learns something before the next question comes.
        if count < 100 {
            let mut keys = publishers.remove(0);
            count += 1;
            let record = links_record(&mut keys, 2, Vec::new());
            for index in [answerer, 1 - answerer] {
                let (from, record) = (pair.id(1 - index), record.clone());
                pair.give(index, Input::Broadcast { from, token: Token(count), record });
            }
        }
    });
    let begun = pair.reconciliations(0) + pair.reconciliations(1);
    assert!((1..=2).contains(&begun), "{:?}", pair.sketches);
}

#[test]
fn a_large_difference_is_fetched_by_ids_and_not_by_coded_symbols() {
    let mut pair = Pair::new(1_200, |index, number| index == 0 || number < 400);
    pair.agree(|_, _| ());
    // All ids take 10 KB; symbols for 800 differences would take 28 KB.
    assert!(pair.symbol_bytes < 6_000, "{} bytes of {:?}", pair.symbol_bytes, pair.sketches);
}

#[test]
fn the_first_symbols_tell_how_large_the_difference_is() {
    let items = |numbers: std::ops::Range<u64>| -> Vec<[u8; 16]> {
        let hash = |number: u64| *blake3::hash(&number.to_le_bytes()).as_bytes();
        numbers.map(|number| std::array::from_fn(|index| hash(number)[index])).collect()
    };
    for (only_remote, only_local) in [(2_000, 0), (0, 2_000), (1_000, 1_000), (300, 1_700)] {
        let total: u32 = (0..20)
            .map(|salt| {
                let remote = items(0..1_000 + only_remote);
                let local: Vec<_> = [items(0..1_000), items(10_000..10_000 + only_local)].concat();
                let mut decoder = Decoder::new(local.iter(), salt);
                assert_eq!(decoder.estimated_difference(), 0);
                let symbols = encode_range(remote.iter(), salt, 0, 64);
                decoder.add_symbols(&symbols).expect("honest symbols");
                decoder.estimated_difference()
            })
            .sum();
        // The mean of twenty is right within 4 %, in one of three cases.
        assert!((1_700..2_300).contains(&(total / 20)), "{total} for {only_remote}, {only_local}");
    }
}
