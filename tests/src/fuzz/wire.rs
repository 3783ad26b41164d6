//! Messages of the protocol: what is decoded, encoded and decoded again is the same, and so are its
//! bytes.

use std::fmt::Debug;

use plexmesh_proto::admission::credential::Credential;
use plexmesh_proto::admission::request::{AdmissionAnswer, AdmissionRequest};
use plexmesh_proto::admission::token::{JoinToken, TokenError};
use plexmesh_proto::exchange::reconcile::riblt::{self, Decoder};
use plexmesh_proto::record::{Certificate, Payload, Record};
use plexmesh_proto::wire;

/// Length of the items of sketches, as exchanges have them.
const ITEM: usize = 16;
/// Salt of sketches: which one matters to nobody but the sender.
const SALT: u64 = 7;

/// What was encoded decodes to the same value, whose encoding is the same.
fn same<T, E>(value: &T, encode: fn(&T) -> Vec<u8>, decode: fn(&[u8]) -> Result<T, E>)
where
    T: PartialEq + Debug,
    E: PartialEq + Debug,
{
    let encoded = encode(value);
    let again = decode(&encoded);
    assert_eq!(again.as_ref(), Ok(value), "another value after encoding and decoding");
    assert_eq!(again.map(|it| encode(&it)), Ok(encoded), "another encoding of the same value");
}

/// A broadcast record: its parts, and its payload by itself.
pub(super) fn broadcast(bytes: &[u8]) -> bool {
    let Ok(record) = wire::decode_broadcast(bytes) else { return false };
    let encoded = wire::encode_broadcast(&record);
    assert!(encoded.len() <= record.wire_bytes(), "longer than it says of itself");
    same(&record, wire::encode_broadcast, wire::decode_broadcast);
    payload(&record);
    true
}

fn payload(record: &Record) {
    let payload = record.payload();
    let again = Payload::decode(record.kind(), &payload.encode());
    assert_eq!(again.as_ref(), Ok(payload), "another payload after encoding and decoding");
}

/// A request of an exchange.
pub(super) fn request(bytes: &[u8]) -> bool {
    let Ok(request) = wire::decode_request(bytes) else { return false };
    let encoded = wire::encode_request(&request);
    assert!(encoded.len() <= wire::request_bytes(&request), "longer than reckoned");
    if encoded.len() <= wire::MAX_EXCHANGE_BYTES {
        same(&request, wire::encode_request, wire::decode_request);
    }
    request.push.iter().for_each(|record| payload(record));
    true
}

/// An answer of an exchange.
pub(super) fn answer(bytes: &[u8]) -> bool {
    let Ok(answer) = wire::decode_answer(bytes) else { return false };
    let encoded = wire::encode_answer(&answer);
    assert!(encoded.len() <= wire::answer_bytes(&answer), "longer than reckoned");
    if encoded.len() <= wire::MAX_EXCHANGE_BYTES {
        same(&answer, wire::encode_answer, wire::decode_answer);
    }
    answer.records.iter().for_each(|record| payload(record));
    true
}

/// A probe frame.
pub(super) fn frame(bytes: &[u8]) -> bool {
    let Ok(frame) = wire::decode_frame(bytes) else { return false };
    if let Some(frame) = &frame {
        let encoded = wire::encode_frame(frame);
        assert!(encoded.len() <= wire::MAX_FRAME_BYTES, "longer than frames are");
        assert_eq!(wire::decode_frame(&encoded), Ok(Some(*frame)));
    }
    true
}

/// A certificate, alone or with its enroller's.
pub(super) fn certificate(bytes: &[u8]) -> bool {
    let Ok(certificate) = Certificate::parse(bytes) else { return false };
    same(&certificate, Certificate::encode, Certificate::parse);
    true
}

/// What is said where strangers are let in, and where members meet. No two of these have a form in
/// common, but a decoder may be lenient.
pub(super) fn admission(bytes: &[u8]) -> bool {
    let request = AdmissionRequest::decode(bytes).inspect(|it| {
        same(it, AdmissionRequest::encode, AdmissionRequest::decode);
    });
    let answer = AdmissionAnswer::decode(bytes).inspect(|it| {
        same(it, AdmissionAnswer::encode, AdmissionAnswer::decode);
    });
    let credential = Credential::decode(bytes).inspect(|it| {
        same(it, Credential::encode, Credential::decode);
    });
    request.is_ok() || answer.is_ok() || credential.is_ok()
}

/// The text of a join token.
pub(super) fn token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(token) = JoinToken::parse(text, 0) else { return false };
    let again = token.to_text();
    assert_eq!(JoinToken::parse(&again, 0).as_ref(), Ok(&token));
    let expired = JoinToken::parse(&again, token.expires_s());
    assert_eq!(expired, Err(TokenError::Expired));
    true
}

/// Coded symbols of a set, and a decoder that is given them.
pub(super) fn sketch(bytes: &[u8]) -> bool {
    let Ok(batch) = riblt::decode_batch::<ITEM>(bytes) else { return false };
    let encoded = riblt::encode_batch(&batch.symbols, batch.from, batch.set_size);
    assert_eq!(riblt::decode_batch(&encoded).as_ref(), Ok(&batch));
    let local = [[1; ITEM], [2; ITEM], [3; ITEM]];
    let mut decoder = Decoder::new(local.iter(), SALT);
    if decoder.add_symbols(&batch.symbols).is_ok()
        && decoder.is_complete()
        && let Ok(difference) = decoder.into_difference()
    {
        assert!(difference.only_local.iter().all(|item| local.contains(item)));
        assert!(!difference.only_remote.iter().any(|item| local.contains(item)));
    }
    true
}
