//! Wire forms: what is encoded decodes to the same, no bytes can do harm, and the golden bytes of version 1 stay as they are.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Keys, finding_record, links_record, other_record, peer_record};
use plexmesh_proto::admission::request::{
    AdmissionAnswer, AdmissionRefusal, AdmissionRequest, Admitted,
};
use plexmesh_proto::admission::token::{Enroller, Secret, TokenId};
use plexmesh_proto::exchange::message::{Cursor, ExchangeAnswer, ExchangeRequest, SketchRange};
use plexmesh_proto::integrity::{FindingKind, Inventory};
use plexmesh_proto::latency::MAX_HEARTBEAT_EDGES;
use plexmesh_proto::membership::frame::Frame;
use plexmesh_proto::record::{
    EdgeStatus, Enrolment, Heartbeat, Invite, KeyEpoch, MAX_KEY_EPOCH, Payload, Record,
    RecordError, Resources, Revocation, RevocationCause,
};
use plexmesh_proto::types::{PeerId, RecordId, StateDigest, Version};
use plexmesh_proto::wire;
use proptest::prelude::*;

fn frames() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (any::<u32>(), any::<bool>(), any::<bool>())
            .prop_map(|(seq, unheard, own_stream)| Frame::Probe { seq, unheard, own_stream }),
        (any::<u32>(), any::<bool>()).prop_map(|(seq, own_stream)| Frame::Pong { seq, own_stream }),
        any::<u32>().prop_map(|silence_ms| Frame::Silent { silence_ms }),
        (any::<[u8; 32]>(), any::<u32>())
            .prop_map(|(target, nonce)| Frame::IndirectRequest { target: PeerId(target), nonce }),
        (any::<u32>(), any::<bool>())
            .prop_map(|(nonce, heard)| Frame::IndirectReport { nonce, heard }),
    ]
}

fn records() -> impl Strategy<Value = Vec<Arc<Record>>> {
    let one = (0..3u8, 0..4u8, 1..1000u64, proptest::collection::vec(any::<u8>(), 0..200));
    proptest::collection::vec(one, 0..5).prop_map(|specs| {
        specs
            .into_iter()
            .map(|(origin, form, version, text)| {
                let mut keys = Keys::new(origin);
                match form {
                    0 => peer_record(&mut Keys::new(99), &mut keys, version),
                    1 => {
                        let edges =
                            text.iter().take(9).map(|b| (PeerId([*b; 32]), EdgeStatus::Lost));
                        links_record(&mut keys, version, edges.collect())
                    }
                    2 => finding_record(&mut keys, version, 1 + origin, 7),
                    _ => other_record(&mut keys, 500, version, 9_000, &text),
                }
            })
            .collect()
    })
}

fn ids() -> impl Strategy<Value = Vec<RecordId>> {
    proptest::collection::vec(any::<u64>().prop_map(RecordId), 0..40)
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (any::<u64>(), any::<u64>()).prop_map(|(epoch, position)| Cursor { epoch, position })
}

proptest! {
    #[test]
    fn a_frame_decodes_to_what_was_encoded(frame in frames()) {
        let bytes = wire::encode_frame(&frame);
        prop_assert!(bytes.len() <= wire::MAX_FRAME_BYTES);
        prop_assert_eq!(wire::decode_frame(&bytes), Ok(Some(frame)));
    }

    #[test]
    fn no_bytes_harm_who_reads_requests_for_admission(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let _ = AdmissionRequest::decode(&bytes);
        let _ = AdmissionAnswer::decode(&bytes);
    }

    #[test]
    fn a_request_decodes_to_what_was_encoded(
        digest in any::<[u8; 16]>(),
        changes in proptest::option::of(cursor()),
        wants in ids(),
        push in records(),
        sketch in proptest::option::of((any::<u64>(), 0..100u32, 100..200u32)),
    ) {
        let request = ExchangeRequest {
            digest: StateDigest(digest),
            changes,
            wants,
            push,
            sketch: sketch.map(|(salt, from, to)| SketchRange { salt, from, to }),
        };
        let bytes = wire::encode_request(&request);
        prop_assert!(bytes.len() <= wire::request_bytes(&request));
        prop_assert_eq!(wire::decode_request(&bytes), Ok(request));
    }

    #[test]
    fn an_answer_decodes_to_what_was_encoded(
        digest in any::<[u8; 16]>(),
        cursor in cursor(),
        log_reset in any::<bool>(),
        ids in ids(),
        absent in ids(),
        records in records(),
        symbols in proptest::collection::vec(any::<u8>(), 0..300),
        version in any::<u64>(),
        wall_ms in any::<u64>(),
    ) {
        let answer = ExchangeAnswer {
            digest: StateDigest(digest),
            cursor,
            log_reset,
            ids,
            records,
            absent,
            settling: log_reset,
            symbols,
            your_version: Version(version),
            wall_ms,
        };
        let bytes = wire::encode_answer(&answer);
        prop_assert!(bytes.len() <= wire::answer_bytes(&answer));
        prop_assert_eq!(wire::decode_answer(&bytes), Ok(answer));
    }

    #[test]
    fn a_broadcast_record_keeps_its_bytes_and_its_signature(records in records()) {
        for record in records {
            let back = wire::decode_broadcast(&wire::encode_broadcast(&record)).expect("decodes");
            prop_assert_eq!(back.body(), record.body());
            prop_assert!(back.verify(&mut Keys::new(0), &common::MESH));
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = wire::decode_frame(&bytes);
        let _ = wire::decode_request(&bytes);
        let _ = wire::decode_answer(&bytes);
        let _ = wire::decode_broadcast(&bytes);
    }

    #[test]
    fn a_damaged_message_does_not_panic(
        records in records(),
        cut in any::<proptest::sample::Index>(),
        flip in any::<(proptest::sample::Index, u8)>(),
    ) {
        let answer = ExchangeAnswer { records, ..ExchangeAnswer::default() };
        let mut bytes = wire::encode_answer(&answer);
        let at = flip.0.index(bytes.len());
        bytes[at] ^= flip.1;
        let _ = wire::decode_answer(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = wire::decode_answer(&bytes);
    }
}

#[test]
fn messages_past_their_cap_are_refused_before_they_are_read() {
    let large = vec![0u8; wire::MAX_EXCHANGE_BYTES + 1];
    assert_eq!(wire::decode_answer(&large), Err(wire::WireError::TooLarge));
    assert_eq!(wire::decode_request(&large), Err(wire::WireError::TooLarge));
    assert_eq!(
        wire::decode_frame(&large[..=wire::MAX_FRAME_BYTES]),
        Err(wire::WireError::TooLarge)
    );
}

#[test]
fn golden_bytes_of_version_1_frames() {
    let golden: [(Frame, &[u8]); 6] = [
        (
            Frame::Probe { seq: 300, unheard: true, own_stream: false },
            &[0x0a, 5, 8, 0xac, 2, 16, 1],
        ),
        (
            Frame::Probe { seq: 300, unheard: false, own_stream: true },
            &[0x0a, 5, 8, 0xac, 2, 24, 1],
        ),
        (Frame::Pong { seq: 1, own_stream: false }, &[0x12, 2, 8, 1]),
        (Frame::Pong { seq: 1, own_stream: true }, &[0x12, 4, 8, 1, 16, 1]),
        (Frame::Silent { silence_ms: 5 }, &[0x1a, 2, 8, 5]),
        (Frame::IndirectReport { nonce: 9, heard: true }, &[0x2a, 4, 8, 9, 16, 1]),
    ];
    for (frame, bytes) in golden {
        assert_eq!(wire::encode_frame(&frame), bytes);
        assert_eq!(wire::decode_frame(bytes), Ok(Some(frame)));
    }
}

#[test]
fn golden_bytes_of_a_version_1_record() {
    let record = other_record(&mut Keys::new(1), 200, 0x0102, 9_000, b"hi");
    let body: &[u8] =
        &[0x10, 0xc8, 1, 0x21, 2, 1, 0, 0, 0, 0, 0, 0, 0x28, 0xa8, 0x46, 0x32, 2, b'h', b'i'];
    assert_eq!(record.body(), body);
    assert_eq!(record.signature()[..4], GOLDEN_SIGNATURE_START);
    assert_eq!(record.hash()[..4], GOLDEN_HASH_START);
}

/// Ed25519 is deterministic: another start means that the signed bytes changed, and old peers would refuse every record.
const GOLDEN_SIGNATURE_START: [u8; 4] = [239, 48, 30, 220];
/// Another start means that ids and digests of old and new peers differ.
const GOLDEN_HASH_START: [u8; 4] = [95, 90, 94, 241];

#[test]
fn golden_bytes_of_a_finding() {
    let record = finding_record(&mut Keys::new(1), 0x0102, 2, 300);
    let body: &[u8] = &[
        0x10, 5, 0x1a, 1, 2, 0x21, 2, 1, 0, 0, 0, 0, 0, 0, 0x28, 0xc0, 0x84, 0x3d, 0x32, 16, 8, 2,
        16, 0xac, 2, 24, 4, 33, 9, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(record.body(), body);
}

#[test]
fn golden_bytes_of_what_lets_in_and_puts_out() {
    let (peer, other) = (PeerId([3; 32]), Keys::new(1));
    let note = "n".to_owned();
    let invite = Invite { secret_hash: [1; 32], uses: 2, for_peer: Some(peer), note };
    let bytes = [&[0x0a, 32][..], &[1; 32], &[0x10, 2, 0x1a, 32], &[3; 32], &[0x22, 1, b'n']];
    assert_eq!(Payload::Invite(invite).encode(), bytes.concat());
    let enrolment = Enrolment { token: TokenId([2; 16]), peer, uses: 1 };
    let bytes = [&[0x0a, 16][..], &[2; 16], &[0x12, 32], &[3; 32], &[0x18, 1]];
    assert_eq!(Payload::Enrolment(enrolment).encode(), bytes.concat());
    let certificate = common::certificate(&mut Keys::new(99), other.id());
    let (long, cause) = (certificate.encode(), RevocationCause::Forgotten);
    let (reason, name) = ("r".to_owned(), "a".to_owned());
    let certificate = Box::new(certificate);
    let sealed = KeyEpoch { epoch: 2, recipient: peer, sealed: vec![7; 4], certificate };
    let certificate = sealed.certificate.clone();
    let revocation = Revocation { peer, cause, reason, name, certificate };
    let length = [u8::try_from(long.len() & 127).expect("7 bits") | 128, 1];
    let bytes =
        [&[0x0a, 32][..], &[3; 32], &[0x10, 2, 0x1a, 1, b'r', 0x22, 1, b'a', 0x2a], &length, &long];
    assert_eq!(Payload::Revocation(Box::new(revocation)).encode(), bytes.concat());
    let bytes =
        [&[8, 2, 0x12, 32][..], &[3; 32], &[0x1a, 4, 7, 7, 7, 7, 0x22], &length, &long].concat();
    let payload = Payload::KeyEpoch(sealed);
    assert_eq!(payload.encode(), bytes);
    assert_eq!(Payload::decode(payload.kind(), &bytes), Ok(payload));
}

#[test]
fn golden_bytes_of_a_request_for_admission_and_of_answers() {
    let secret = Secret::from_slice(&[5; 16]);
    let request = AdmissionRequest { wall_ms: 300, secret, agent_version: "1".to_owned() };
    let bytes = [&[8, 0xac, 2, 0x12, 16][..], &[5; 16], &[0x1a, 1, b'1']].concat();
    assert_eq!(request.encode(), bytes);
    assert_eq!(AdmissionRequest::decode(&bytes), Ok(request));
    let outcome = Err(AdmissionRefusal::Clock { offset_ms: -2 });
    let refused = AdmissionAnswer { wall_ms: 1, outcome };
    assert_eq!(refused.encode(), [8, 1, 0x1a, 4, 8, 6, 0x10, 3]);
    assert_eq!(AdmissionAnswer::decode(&refused.encode()), Ok(refused));
    let admitted = Admitted {
        certificate: common::certificate(&mut Keys::new(99), PeerId([3; 32])),
        mesh: common::MESH,
        founding: vec![PeerId([1; 32])],
        changes: Vec::new(),
        seeds: vec![Enroller { peer: PeerId([2; 32]), addresses: vec!["/a".to_owned()] }],
        secrets: vec![(1, [4; 32])],
    };
    let answer = AdmissionAnswer { wall_ms: 1, outcome: Ok(admitted) };
    assert_eq!(AdmissionAnswer::decode(&answer.encode()), Ok(answer));
}

#[test]
fn a_finding_whose_key_is_not_its_kind_is_refused() {
    let record = finding_record(&mut Keys::new(1), 1, 2, 3);
    let mut body = record.body().to_vec();
    body[4] = 3;
    let parsed = Record::parse(&record.origin().0, body, record.signature());
    assert_eq!(parsed, Err(RecordError::UnexpectedKey));
}

#[test]
fn a_finding_of_a_later_version_passes_and_one_past_all_versions_does_not() {
    let of_kind = |kind| {
        let body = finding_record(&mut Keys::new(1), 1, 2, 3).body().to_vec();
        // The key is a byte of its own, the kind the first field of the payload.
        let mut changed = body.clone();
        changed[4] = kind;
        let place = body.iter().rposition(|byte| *byte == 8).expect("the field's number") + 1;
        changed[place] = kind;
        Record::parse(&[7; 32], changed, &[0; 64])
    };
    let parsed = of_kind(40).expect("unknown, but possible");
    let Payload::Finding(finding) = parsed.payload() else { panic!("no finding") };
    assert_eq!(finding.kind, FindingKind::Other(40));
    assert!(of_kind(64).is_err());
}

#[test]
fn a_full_heartbeat_stays_within_its_300_bytes() {
    let heartbeat = Heartbeat {
        instance: u64::MAX,
        uptime_s: 40_000_000,
        resources: Resources {
            cpu_permille: Some(1_000),
            memory_permille: Some(1_000),
            disk_total_mib: Some(20_000_000),
            disk_free_mib: Some(20_000_000),
            load_centi: Some(10_000),
        },
        coordinate: vec![1; 20],
        edges: vec![1; 9 * MAX_HEARTBEAT_EDGES],
        inventory: Some(Inventory {
            counts: [100_000, 0, 12, 200, 0, 0, 0, 0, 3, 0, 1_000, 0],
            sources: 3,
            oldest_s: Some(86_400),
            pending: 1_000,
            digest: [9; 8],
        }),
        revocations: u32::MAX,
        key_epoch: MAX_KEY_EPOCH,
    };
    let mut keys = Keys::new(1);
    let (id, version) = (keys.id(), Version(u64::MAX));
    let payload = Payload::Heartbeat(heartbeat.clone());
    let record = Record::sign(&mut keys, &common::MESH, id, version, 2_000_000_000, payload);
    let bytes = wire::encode_broadcast(&record);
    assert!(bytes.len() <= 300, "{} bytes", bytes.len());
    let back = wire::decode_broadcast(&bytes).expect("decodes");
    assert_eq!(back.payload(), &Payload::Heartbeat(heartbeat));
}

#[test]
fn a_frame_of_a_later_version_is_skipped_and_not_an_error() {
    assert_eq!(wire::decode_frame(&[0xfa, 1, 2, 8, 1]), Ok(None));
}

#[test]
fn a_far_longer_list_than_allowed_is_refused() {
    let wants = vec![RecordId(1); wire::MAX_IDS + 1];
    let bytes = wire::encode_request(&ExchangeRequest { wants, ..ExchangeRequest::default() });
    assert_eq!(wire::decode_request(&bytes), Err(wire::WireError::TooLarge));
}
