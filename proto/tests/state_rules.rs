//! Peer states: a function of the records alone.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Keys, NOW_S, edge, links_record, links_record_of, peer_record};
use plexmesh_proto::membership::state::{Evaluation, Losses, PeerState, evaluate, reevaluate};
use plexmesh_proto::record::{Availability, EdgeStatus, LinkEdge, Payload, Profile, Record};
use plexmesh_proto::ring::RINGS;
use plexmesh_proto::roster::{Member, Roster};
use plexmesh_proto::types::{PeerId, Version};
use plexmesh_proto::view::{MemoryStore, View};
use proptest::prelude::*;

/// A mesh whose observers report by `status(observer, subject)`; `None` is no word.
fn records(
    n: u8,
    status: impl Fn(u8, u8) -> Option<EdgeStatus>,
) -> (Vec<PeerId>, Vec<Arc<Record>>) {
    let mut authority = Keys::new(250);
    let mut keys: Vec<Keys> = (0..n).map(Keys::new).collect();
    let ids: Vec<PeerId> = keys.iter().map(Keys::id).collect();
    let mut records = Vec::new();
    for (i, own) in (0..n).zip(&mut keys) {
        records.push(peer_record(&mut authority, own, 1));
        let edges = (0..n)
            .filter(|j| *j != i)
            .filter_map(|j| Some((ids[usize::from(j)], status(i, j)?)))
            .collect();
        records.push(links_record(own, 2, edges));
    }
    (ids, records)
}

fn judge(records: &[Arc<Record>], me: PeerId) -> (Roster, Evaluation) {
    let mut view = View::open(MemoryStore::default(), 1);
    let mut roster = Roster::default();
    for record in records {
        view.merge(record, None, NOW_S);
        roster.touch(record.origin());
    }
    roster.refresh(&view, &plexmesh_proto::admission::Admissions::default(), NOW_S, 0);
    let evaluation = evaluate(&roster, roster.index_of(&me).expect("a member"));
    (roster, evaluation)
}

fn state(records: &[Arc<Record>], me: PeerId, of: PeerId) -> PeerState {
    let (roster, evaluation) = judge(records, me);
    evaluation.state(roster.index_of(&of).expect("a member")).expect("judged").0
}

#[test]
fn a_peer_that_all_observers_lost_is_down_and_nobody_else() {
    let (ids, records) = records(6, |_, subject| {
        Some(if subject == 5 { EdgeStatus::Lost } else { EdgeStatus::Heard })
    });
    for me in &ids[..5] {
        assert_eq!(state(&records, *me, ids[5]), PeerState::Down);
        for other in &ids[..5] {
            assert_eq!(state(&records, *me, *other), PeerState::Up);
        }
    }
}

#[test]
fn two_observers_are_too_few_to_call_a_peer_down() {
    for n in [2, 3] {
        let (ids, records) = records(n, |_, subject| {
            Some(if subject == n - 1 { EdgeStatus::Lost } else { EdgeStatus::Heard })
        });
        assert_eq!(state(&records, ids[0], ids[usize::from(n - 1)]), PeerState::Unreachable);
    }
}

#[test]
fn a_sleeper_is_asleep_where_too_few_see_it_too() {
    for n in [2, 3, 6] {
        let (ids, mut records) = records(n, |_, subject| {
            Some(if subject == n - 1 { EdgeStatus::Lost } else { EdgeStatus::Heard })
        });
        let (mut authority, mut own) = (Keys::new(250), Keys::new(n - 1));
        let (id, certificate) = (own.id(), common::certificate(&mut authority, own.id()));
        let profile = Profile {
            availability: Availability::Intermittent,
            sleep_grace_s: 60,
            ..Profile::default()
        };
        let payload = Payload::Peer(profile, Box::new(certificate));
        let record = Record::sign(&mut own, &common::MESH, id, Version(2), 1_000_000, payload);
        records.push(Arc::new(record));
        assert_eq!(state(&records, ids[0], id), PeerState::Asleep);
    }
}

#[test]
fn two_lying_observers_of_five_change_nothing() {
    let lies = |observer, subject| observer < 2 && subject == 5;
    let (ids, records) = records(6, |observer, subject| {
        Some(if lies(observer, subject) { EdgeStatus::Lost } else { EdgeStatus::Heard })
    });
    assert_eq!(state(&records, ids[3], ids[5]), PeerState::Up);
}

#[test]
fn observers_that_hear_hardly_anybody_do_not_outvote_those_that_hear_the_peer() {
    // 0, 1 and 2 lost everybody; 5 is watched by all others.
    let status =
        |observer, _| Some(if observer < 3 { EdgeStatus::Lost } else { EdgeStatus::Heard });
    let (ids, records) = records(6, status);
    assert_eq!(state(&records, ids[3], ids[5]), PeerState::Up);
}

#[test]
fn observers_that_hear_hardly_anybody_count_where_nobody_hears_the_peer() {
    let status = |observer, subject| {
        let lost = observer < 3 || subject == 5;
        Some(if lost { EdgeStatus::Lost } else { EdgeStatus::Heard })
    };
    let (ids, records) = records(6, status);
    assert_eq!(state(&records, ids[3], ids[5]), PeerState::Down);
}

#[test]
fn a_checked_peer_is_suspect() {
    let (ids, records) = records(6, |observer, subject| {
        Some(if observer == 1 && subject == 5 { EdgeStatus::Checking } else { EdgeStatus::Heard })
    });
    assert_eq!(state(&records, ids[3], ids[5]), PeerState::Suspect);
}

#[test]
fn a_peer_that_most_observers_hear_badly_is_flapping_and_one_that_two_do_is_not() {
    for (poor, expected) in [(2, PeerState::Up), (3, PeerState::Flapping)] {
        let (ids, mut records) = records(6, |_, _| Some(EdgeStatus::Heard));
        for observer in 0..poor {
            let mut own = Keys::new(observer);
            let subjects = ids.iter().filter(|id| **id != own.id());
            let edges = subjects.map(|subject| {
                let heard = edge(*subject, EdgeStatus::Heard, 2);
                LinkEdge { poor: *subject == ids[5], ..heard }
            });
            let edges = edges.collect();
            records.push(links_record_of(&mut own, 3, edges));
        }
        assert_eq!(state(&records, ids[3], ids[5]), expected, "{poor} of five");
    }
}

#[test]
fn whom_a_peer_observes_takes_the_seat_of_its_observer_that_is_out_of_reach() {
    let n = 20;
    // 0 is gone: all lost it, and it says nothing of anybody.
    let (ids, records) = records(n, |observer, subject| match (observer, subject) {
        (0, _) => None,
        (_, 0) => Some(EdgeStatus::Lost),
        _ => Some(EdgeStatus::Heard),
    });
    let (roster, evaluation) = judge(&records, ids[1]);
    let gone = roster.index_of(&ids[0]).expect("a member");
    let judgements = evaluation.judgements(&roster);
    let mut stand_ins = 0;
    for (ring, number) in (0..RINGS).zip(0u8..) {
        let order = roster.rings().order(ring);
        let place = order.iter().position(|member| *member == gone).expect("on the ring");
        let (subject, after) = (order[(place + 1) % order.len()], order[(place + 2) % order.len()]);
        let seats = &judgements[subject as usize].seats;
        let on_lower_ring = seats.iter().any(|seat| seat.ring < number && seat.observer == after);
        let on_ring = seats.iter().find(|seat| seat.ring == number).expect("a seat");
        assert!(on_lower_ring || on_ring.observer == after, "ring {ring}: {seats:?}");
        stand_ins += usize::from(on_ring.observer == after);
    }
    assert!(stand_ins > 0);
}

#[test]
fn the_other_side_of_a_partition_is_not_judged_by_its_own_word() {
    // 0..4 and 4..8 lost each other; each side still hears itself.
    let side = |peer: u8| peer < 4;
    let (ids, records) = records(8, |observer, subject| {
        Some(if side(observer) == side(subject) { EdgeStatus::Heard } else { EdgeStatus::Lost })
    });
    let (roster, evaluation) = judge(&records, ids[0]);
    for (peer, id) in (0u8..).zip(&ids) {
        let index = roster.index_of(id).expect("a member");
        assert_eq!(evaluation.is_reachable(index), side(peer));
        let up = evaluation.state(index).expect("judged").0 == PeerState::Up;
        assert_eq!(up, side(peer));
    }
}

/// Whether the loss that peer 1 reports of peer 2 was late.
fn is_late(roster: &Roster) -> bool {
    let index = |i: u8| roster.index_of(&Keys::new(i).id()).expect("a member");
    roster.sighting(index(1), index(2)).expect("reported").is_late()
}

#[test]
fn a_report_of_a_loss_stays_as_late_as_it_came() {
    let (ids, mut records) = records(4, |_, _| Some(EdgeStatus::Heard));
    let mut authority = Keys::new(250);
    let lost = |since_ms: u64, version: u64| {
        let word = edge(ids[2], EdgeStatus::Lost, Version::at_ms(since_ms).0);
        links_record_of(&mut Keys::new(1), version, vec![word])
    };
    let newcomer = peer_record(&mut authority, &mut Keys::new(9), 1);
    let again = lost(5_000, 4);
    records.push(lost(5_000, 3));
    let mut view = View::open(MemoryStore::default(), 1);
    let mut roster = Roster::default();
    let mut take = |records: &[Arc<Record>], late_before_ms: u64| {
        for record in records {
            view.merge(record, None, NOW_S);
            roster.touch(record.origin());
        }
        let admissions = plexmesh_proto::admission::Admissions::default();
        roster.refresh(&view, &admissions, NOW_S, late_before_ms);
        is_late(&roster)
    };
    assert!(!take(&records, 4_000), "it came at once");
    assert!(!take(&[again], 9_000), "the same loss, told again");
    assert!(!take(&[newcomer], 9_000), "indices moved");
    assert!(take(&[lost(6_000, 5)], 9_000), "another loss that came late");
    assert!(take(&[lost(6_000, 6)], 5_000), "the same, told again");
}

proptest! {
    #[test]
    fn equal_records_give_equal_states_in_any_order(
        words in proptest::collection::vec(0..5u8, 64),
        seed in any::<u64>(),
    ) {
        let word = |i: u8, j: u8| match words[usize::from(i * 8 + j)] {
            0 | 1 => Some(EdgeStatus::Heard),
            2 => Some(EdgeStatus::Lost),
            3 => Some(EdgeStatus::NoPath),
            _ => None,
        };
        let (ids, records) = records(8, word);
        let mut shuffled = records.clone();
        let len = shuffled.len();
        for i in 0..len {
            let j = usize::try_from(seed.rotate_left(u32::try_from(i).expect("small")) % 16).expect("small");
            shuffled.swap(i, j);
        }
        prop_assert_eq!(judge(&records, ids[0]).1, judge(&shuffled, ids[0]).1);
    }

    #[test]
    fn peers_of_one_component_that_reach_each_other_agree(words in proptest::collection::vec(0..4u8, 64)) {
        let word = |i: u8, j: u8| Some(match words[usize::from(i * 8 + j)] {
            0..=2 => EdgeStatus::Heard,
            _ => EdgeStatus::Lost,
        });
        let (ids, records) = records(8, word);
        let (roster, first) = judge(&records, ids[0]);
        for other in &ids[1..] {
            let (_, second) = judge(&records, *other);
            if first.reachable != second.reachable {
                continue;
            }
            for (index, id) in (0u32..).zip(roster.members().iter().map(Member::id)) {
                if id != ids[0] && id != *other {
                    let judged = |evaluation: &Evaluation| evaluation.judgement(&roster, index);
                    prop_assert_eq!(judged(&first), judged(&second));
                }
            }
        }
    }

    #[test]
    fn judging_after_every_record_gives_what_judging_once_gives(
        words in proptest::collection::vec(0..6u8, 144),
        later in proptest::collection::vec((0..12u8, 0..12u8, 0..4u8), 0..24),
        seed in any::<u64>(),
    ) {
        let status = |word: u8| match word {
            0 | 1 => Some(EdgeStatus::Heard),
            2 => Some(EdgeStatus::Lost),
            3 => Some(EdgeStatus::NoPath),
            4 => Some(EdgeStatus::Checking),
            _ => None,
        };
        let mut table: Vec<Option<EdgeStatus>> = words.into_iter().map(status).collect();
        let (ids, mut records) = records(12, |i, j| table[usize::from(i) * 12 + usize::from(j)]);
        let len = records.len();
        for place in 0..len {
            let other = usize::try_from(seed.rotate_left(u32::try_from(place).expect("small")) % 24).expect("small");
            records.swap(place, other);
        }
        for (version, (i, j, word)) in (3u64..).zip(later) {
            table[usize::from(i) * 12 + usize::from(j)] = status(word);
            let edges = (0..12u8).filter(|other| *other != i);
            let edges = edges.filter_map(|other| {
                Some((ids[usize::from(other)], table[usize::from(i) * 12 + usize::from(other)]?))
            });
            records.push(links_record(&mut Keys::new(i), version, edges.collect()));
        }
        let mut view = View::open(MemoryStore::default(), 1);
        let mut roster = Roster::default();
        let mut evaluation = Evaluation::default();
        let mut met = false;
        for record in &records {
            view.merge(record, None, NOW_S);
            roster.touch(record.origin());
            let refreshed = roster.refresh(&view, &plexmesh_proto::admission::Admissions::default(), NOW_S, 0);
            let Some(me) = roster.index_of(&ids[0]) else { continue };
            if !met {
                evaluation = evaluate(&roster, me);
                met = true;
            }
            reevaluate(&mut evaluation, &roster, me, &refreshed, &mut Losses::new());
            prop_assert_eq!(&evaluation, &evaluate(&roster, me));
        }
        prop_assert_eq!(&evaluation, &judge(&records, ids[0]).1);
    }
}
