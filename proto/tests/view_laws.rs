//! Laws of the view: what it keeps is a function of the set of records, whatever their order.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Keys, NOW_S, other_record};
use plexmesh_proto::record::Record;
use plexmesh_proto::types::StateDigest;
use plexmesh_proto::view::{EXPIRY_GRACE_S, MAX_UNKNOWN_SLOTS, MemoryStore, Merge, View};
use proptest::prelude::*;

fn open() -> View<MemoryStore> {
    View::open(MemoryStore::default(), 1)
}

fn contents(view: &View<MemoryStore>) -> Vec<[u8; 32]> {
    let mut hashes = Vec::new();
    view.for_each(&mut |record| hashes.push(*record.hash()));
    hashes.sort_unstable();
    hashes
}

fn merged(records: &[Arc<Record>]) -> (StateDigest, Vec<[u8; 32]>) {
    let mut view = open();
    for record in records {
        view.merge(record, None, NOW_S);
    }
    (view.digest(), contents(&view))
}

/// All records of a view, as another view would receive them.
fn all(view: &View<MemoryStore>) -> Vec<Arc<Record>> {
    let mut records = Vec::new();
    view.for_each(&mut |record| records.push(record.clone()));
    records
}

/// Few origins, kinds, versions and bodies, so that equal versions and contradictions are common.
fn records() -> impl Strategy<Value = Vec<Arc<Record>>> {
    let one = (0..3u8, 100..103u32, 1..4u64, 0..3u8);
    proptest::collection::vec(one, 0..24).prop_map(|specs| {
        specs
            .into_iter()
            .map(|(origin, kind, version, body)| {
                other_record(&mut Keys::new(origin), kind, version, 9_000, &[body])
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn merging_is_commutative_and_idempotent_also_at_equal_versions(
        (records, shuffled) in records().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle()))
    ) {
        let twice: Vec<_> = shuffled.iter().chain(&shuffled).cloned().collect();
        prop_assert_eq!(merged(&records), merged(&shuffled));
        prop_assert_eq!(merged(&records), merged(&twice));
    }

    #[test]
    fn merging_is_associative(a in records(), b in records(), c in records()) {
        let join = |x: &[Arc<Record>], y: &[Arc<Record>]| {
            let mut view = open();
            for record in x.iter().chain(y) {
                view.merge(record, None, NOW_S);
            }
            all(&view)
        };
        let left = join(&join(&a, &b), &c);
        let right = join(&a, &join(&b, &c));
        prop_assert_eq!(merged(&left), merged(&right));
    }

    #[test]
    fn expiry_never_resurrects(records in records(), late in 0u64..2_000) {
        let mut view = open();
        for record in &records {
            view.merge(record, None, NOW_S);
        }
        let end = 9_000 + EXPIRY_GRACE_S;
        view.expire(end + late);
        prop_assert!(view.is_empty());
        prop_assert_eq!(view.digest(), open().digest());
        for record in &records {
            prop_assert_eq!(view.merge(record, None, end + late), Merge::Expired);
        }
    }
}

#[test]
fn two_bodies_under_one_version_are_both_kept_as_proof() {
    let mut keys = Keys::new(1);
    let mut view = open();
    let [a, b] = [b"a", b"b"].map(|text| other_record(&mut keys, 200, 5, 9_000, text));
    assert_eq!(view.merge(&a, None, NOW_S), Merge::Taken);
    assert_eq!(view.merge(&b, None, NOW_S), Merge::Contradiction);
    assert_eq!(all(&view).len(), 2);
    assert!(view.contradiction(keys.id(), a.kind()).is_some());
}

#[test]
fn a_later_version_replaces_a_contradiction() {
    let mut keys = Keys::new(1);
    let mut view = open();
    for text in [b"a", b"b"] {
        view.merge(&other_record(&mut keys, 200, 5, 9_000, text), None, NOW_S);
    }
    let later = other_record(&mut keys, 200, 6, 9_000, b"c");
    assert_eq!(view.merge(&later, None, NOW_S), Merge::Taken);
    assert_eq!(all(&view), [later]);
}

#[test]
fn unknown_kinds_are_bounded_by_rank_and_not_by_arrival() {
    let mut keys = Keys::new(1);
    let surplus = u32::try_from(MAX_UNKNOWN_SLOTS).expect("small") + 8;
    let records: Vec<_> = (0..surplus)
        .map(|i| other_record(&mut keys, 300 + i, u64::from((i * 7) % surplus) + 1, 9_000, b"x"))
        .collect();
    let mut backwards = records.clone();
    backwards.reverse();
    let (digest, kept) = merged(&records);
    assert_eq!(kept.len(), MAX_UNKNOWN_SLOTS);
    assert_eq!(merged(&backwards).0, digest);
}

#[test]
fn an_expired_record_does_not_count_before_its_bytes_leave() {
    let mut keys = Keys::new(1);
    let record = other_record(&mut keys, 200, 5, 2_000, b"a");
    let mut view = open();
    view.merge(&record, None, NOW_S);
    assert!(view.get(keys.id(), record.kind(), 1_999).is_some());
    assert!(view.get(keys.id(), record.kind(), 2_000).is_none());
    assert!(view.holds(record.id()));
}
