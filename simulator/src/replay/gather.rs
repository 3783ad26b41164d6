//! Makes lines of what a tap heard.

use std::collections::BTreeMap;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::Record;
use plexmesh_proto::types::Time;

use super::{Knowledge, Opinions, Spread, Told, seconds, words};
use crate::world::World;
use crate::world::tap::{Noted, Tap};

/// What nodes told, in order.
pub(super) fn events(world: &World, tap: &Tap) -> Vec<Told> {
    let told = tap.notes().iter().filter_map(|note| match &note.what {
        Noted::Told(event) => Some(Told {
            at_seconds: seconds(note.at),
            host: note.host,
            what: words::of_event(world, event),
        }),
        _ => None,
    });
    told.collect()
}

/// How each record spread.
pub(super) fn spreads(world: &World, tap: &Tap) -> Vec<Spread> {
    let mut courses: BTreeMap<[u8; 32], Course<'_>> = BTreeMap::new();
    for note in tap.notes() {
        let (record, published) = match &note.what {
            Noted::Published(record) => (record, true),
            Noted::Came { record, taken: true, .. } => (record, false),
            _ => continue,
        };
        let course = courses.entry(*record.hash()).or_insert_with(|| Course::new(record));
        if published {
            course.published.get_or_insert(note.at);
        } else {
            course.taken.entry(note.host).or_insert(note.at);
        }
    }
    courses.into_values().map(|course| course.spread(world)).collect()
}

/// Who knows what now.
pub(super) fn knowledge(world: &World, peer: Option<usize>) -> Knowledge {
    let running: Vec<usize> = world.running().collect();
    let mut counts: Vec<BTreeMap<&'static str, usize>> = vec![BTreeMap::new(); world.len()];
    for &host in &running {
        let Some(node) = world.node(host) else { continue };
        for (member, state) in node.roster().members().iter().zip(node.evaluation().states()) {
            let subject = world.host_of(&member.id()).filter(|&subject| subject != host);
            if let Some(counts) = subject.and_then(|subject| counts.get_mut(subject)) {
                *counts.entry(words::of_state(state)).or_default() += 1;
            }
        }
    }
    let mut subjects = Vec::new();
    for (subject, mut says) in counts.into_iter().enumerate() {
        let runs = world.truth(subject).running_since.is_some();
        let others = running.iter().filter(|&&host| host != subject).count();
        let unknown = others - says.values().sum::<usize>().min(others);
        if unknown > 0 {
            says.insert("unknown", unknown);
        }
        let all_up = says.keys().all(|word| *word == words::of_state(PeerState::Up));
        let asked = peer.is_none_or(|peer| peer == subject);
        if asked && (!runs || !all_up || peer.is_some()) {
            subjects.push(Opinions { subject, runs, says });
        }
    }
    Knowledge { at_seconds: seconds(world.time()), running: running.len(), subjects }
}

/// Where a record has been.
struct Course<'a> {
    record: &'a Record,
    published: Option<Time>,
    /// When each host took it first.
    taken: BTreeMap<usize, Time>,
}

impl<'a> Course<'a> {
    const fn new(record: &'a Record) -> Self {
        Self { record, published: None, taken: BTreeMap::new() }
    }

    fn spread(&self, world: &World) -> Spread {
        let origin = world.host_of(&self.record.origin());
        let running = world.running().filter(|&host| Some(host) != origin).count();
        let mut times: Vec<Time> = self
            .taken
            .iter()
            .filter(|(host, _)| Some(**host) != origin)
            .map(|(_, at)| *at)
            .collect();
        times.sort_unstable();
        let nth = |count: usize| {
            count.checked_sub(1).and_then(|place| times.get(place)).map(|at| seconds(*at))
        };
        Spread {
            id: words::id(self.record),
            origin,
            says: words::of_record(world, self.record),
            published_seconds: self.published.map(seconds),
            first_seconds: nth(1),
            half_seconds: nth(running.div_ceil(2)),
            all_seconds: nth(running),
            reached: times.len(),
            running,
        }
    }
}
