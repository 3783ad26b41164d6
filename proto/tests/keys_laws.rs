//! Which secret of the mesh a peer takes does not depend on the order in which records came.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

mod common;

use std::sync::Arc;

use common::Keys;
use plexmesh_proto::admission::Admissions;
use plexmesh_proto::keys::{highest_epoch, sealed_to};
use plexmesh_proto::record::{Certificate, KeyEpoch, Payload, Record, Role};
use plexmesh_proto::types::{PeerId, Version};
use plexmesh_proto::view::{MemoryStore, View};
use plexmesh_proto::wire;
use proptest::prelude::*;

const RECIPIENT: PeerId = PeerId([3; 32]);

fn sealed(admin: u8, version: u64, epoch: u32, recipient: PeerId) -> Arc<Record> {
    let (mut authority, mut keys) = (Keys::new(99), Keys::new(admin));
    let (issuer, id, roles) = (authority.id(), keys.id(), vec![Role::Member, Role::Admin]);
    let certificate =
        Certificate::issue(&mut authority, issuer, common::MESH, id, roles, 0, 1_000_000);
    let certificate = Box::new(certificate);
    let payload = Payload::KeyEpoch(KeyEpoch { epoch, recipient, sealed: vec![7], certificate });
    Arc::new(Record::sign(&mut keys, &common::MESH, id, Version(version), 1_000_000, payload))
}

fn view_of(records: &[Arc<Record>]) -> View<MemoryStore> {
    let mut view = View::open(MemoryStore::default(), 1);
    for record in records {
        view.merge(record, None, 0);
    }
    view
}

fn taken(view: &View<MemoryStore>) -> Vec<Arc<Record>> {
    sealed_to(view, &Admissions::default(), &RECIPIENT, 0)
}

fn records() -> impl Strategy<Value = (Vec<Arc<Record>>, Vec<Arc<Record>>)> {
    let one = (0..3u8, 1..6u64, 1..5u32, any::<bool>());
    proptest::collection::vec(one, 0..12).prop_flat_map(|specs| {
        let made = specs.into_iter().map(|(admin, version, epoch, other)| {
            let recipient = if other { PeerId([4; 32]) } else { RECIPIENT };
            sealed(admin, version, epoch, recipient)
        });
        let records: Vec<_> = made.collect();
        (Just(records.clone()), Just(records).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn order_and_replays_change_nothing((records, shuffled) in records()) {
        let (view, other) = (view_of(&records), view_of(&[shuffled.clone(), shuffled].concat()));
        prop_assert_eq!(taken(&view), taken(&other));
        prop_assert_eq!(highest_epoch(&view), highest_epoch(&other));
    }
}

/// What the records of one rotation take, in bytes.
struct Cost {
    /// The longest on the wire.
    record: usize,
    /// The admin's certificate in it.
    certificate: usize,
    /// All in the memory of a view.
    held: u64,
}

fn cost(recipients: u16) -> Cost {
    let (mut authority, mut admin) = (Keys::new(99), Keys::new(1));
    let (issuer, id) = (authority.id(), admin.id());
    let roles = vec![Role::Member, Role::Enroller, Role::Admin];
    // As an agent's: moments of these years, and the 48 bytes that sealing adds.
    let (begin_s, end_s, sealed) = (1_800_000_000, 1_807_776_000, vec![7; 80]);
    let certificate =
        Certificate::issue(&mut authority, issuer, common::MESH, id, roles, begin_s, end_s);
    let certificate = Box::new(certificate);
    let version = Version::at_ms(begin_s * 1_000 + 1);
    let encoded = (0..recipients).map(|number| {
        let recipient = Keys::numbered(number).id();
        let (sealed, certificate) = (sealed.clone(), certificate.clone());
        let payload = Payload::KeyEpoch(KeyEpoch { epoch: 2, recipient, sealed, certificate });
        let record = Record::sign(&mut admin, &common::MESH, id, version, end_s, payload);
        wire::encode_broadcast(&record)
    });
    let encoded: Vec<Vec<u8>> = encoded.collect();
    let mut view = View::open(MemoryStore::default(), 1);
    let held = allocation_counter::measure(|| {
        for bytes in &encoded {
            let record = Arc::new(wire::decode_broadcast(bytes).unwrap());
            assert!(view.merge(&record, None, begin_s).changed());
        }
    });
    Cost {
        record: encoded.iter().map(Vec::len).max().unwrap(),
        certificate: certificate.encode().len(),
        held: held.bytes_current.unsigned_abs(),
    }
}

#[test]
fn a_new_secret_costs_a_peer_half_a_kibibyte_of_traffic_and_two_of_memory_for_each_member() {
    for recipients in [50, 5_000] {
        let Cost { record, certificate, held } = cost(recipients);
        let received = record * usize::from(recipients);
        println!(
            "{recipients} members: {record} bytes a record, {certificate} of them the certificate; \
             {received} received, {held} in memory"
        );
        assert!(record <= 512 && held <= 2_048 * u64::from(recipients));
    }
}

#[test]
fn the_highest_epoch_comes_first_and_between_equal_ones_the_later() {
    let (low, high, later) =
        (sealed(0, 9, 1, RECIPIENT), sealed(1, 2, 2, RECIPIENT), sealed(2, 3, 2, RECIPIENT));
    let view = view_of(&[low.clone(), later.clone(), high.clone()]);
    assert_eq!(taken(&view), [later, high, low]);
}
