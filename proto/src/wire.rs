//! Bytes to messages and back, with a cap on everything.
//!
//! Nothing here panics, or allocates more than [`MAX_DECODE_ALLOCATION`], whatever the input is.

use alloc::sync::Arc;
use alloc::vec::Vec;

use prost::Message;

use crate::exchange::message::{Cursor, ExchangeAnswer, ExchangeRequest, SketchRange};
use crate::membership::frame::Frame;
use crate::record::{Record, RecordError};
use crate::schema::{self, frame::Content};
use crate::types::{PeerId, RecordId, StateDigest, Version};

/// Largest frame, in bytes; the longest real one, an indirect request, takes about 45.
pub const MAX_FRAME_BYTES: usize = 128;
/// Largest request or answer of an exchange, in bytes.
pub const MAX_EXCHANGE_BYTES: usize = 64 * 1024;
/// Largest broadcast, in bytes: one record with its frame.
pub const MAX_BROADCAST_BYTES: usize = 9 * 1024;
/// Most that decoding one message holds at a time, in bytes: two bytes of input can stand for an empty record of about 80 bytes, before lists are
/// counted, and vectors grow by doubling.
pub const MAX_DECODE_ALLOCATION: u64 = 8 * 1024 * 1024;
/// Most ids in one list of an exchange: half of an answer's bytes.
pub const MAX_IDS: usize = 4_096;
/// Most records in one message.
pub const MAX_RECORDS: usize = 256;
/// Highest coded symbol that may be asked for: enough for 16,000 differences; past that the log is cheaper.
pub const MAX_SYMBOL: u32 = 24 * 1024;

/// A message that does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not an encoded message of this kind.
    #[error("not an encoded message")]
    Encoding,
    /// The message, or a list in it, is past its cap.
    #[error("message exceeds its cap")]
    TooLarge,
    /// A field has a length that it cannot have.
    #[error("a field has the wrong length")]
    Length,
    /// A record inside does not parse.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Encodes a frame.
#[must_use]
pub fn encode_frame(frame: &Frame) -> Vec<u8> {
    let content = match *frame {
        Frame::Probe { seq, unheard, own_stream } => {
            Content::Probe(schema::Probe { seq, unheard, own_stream })
        }
        Frame::Pong { seq, own_stream } => Content::Pong(schema::Pong { seq, own_stream }),
        Frame::Silent { silence_ms } => Content::Silent(schema::Silent { silence_ms }),
        Frame::IndirectRequest { target, nonce } => {
            Content::IndirectRequest(schema::IndirectRequest { target: target.0.to_vec(), nonce })
        }
        Frame::IndirectReport { nonce, heard } => {
            Content::IndirectReport(schema::IndirectReport { nonce, heard })
        }
    };
    schema::Frame { content: Some(content) }.encode_to_vec()
}

/// Decodes a frame; `None` is a frame of a later version of the protocol.
///
/// # Errors
/// [`WireError`] names what is wrong.
pub fn decode_frame(bytes: &[u8]) -> Result<Option<Frame>, WireError> {
    let frame: schema::Frame = decode(bytes, MAX_FRAME_BYTES)?;
    Ok(match frame.content {
        None => None,
        Some(Content::Probe(probe)) => {
            let schema::Probe { seq, unheard, own_stream } = probe;
            Some(Frame::Probe { seq, unheard, own_stream })
        }
        Some(Content::Pong(pong)) => {
            Some(Frame::Pong { seq: pong.seq, own_stream: pong.own_stream })
        }
        Some(Content::Silent(silent)) => Some(Frame::Silent { silence_ms: silent.silence_ms }),
        Some(Content::IndirectRequest(request)) => {
            let target = PeerId::from_slice(&request.target).ok_or(WireError::Length)?;
            Some(Frame::IndirectRequest { target, nonce: request.nonce })
        }
        Some(Content::IndirectReport(report)) => {
            Some(Frame::IndirectReport { nonce: report.nonce, heard: report.heard })
        }
    })
}

/// Encodes a record for the broadcast channel.
#[must_use]
pub fn encode_broadcast(record: &Record) -> Vec<u8> {
    record.to_wire().encode_to_vec()
}

/// Decodes a record from the broadcast channel.
///
/// # Errors
/// [`WireError`] names what is wrong.
pub fn decode_broadcast(bytes: &[u8]) -> Result<Record, WireError> {
    record(decode(bytes, MAX_BROADCAST_BYTES)?)
}

/// Encodes a request.
#[must_use]
pub fn encode_request(request: &ExchangeRequest) -> Vec<u8> {
    let cursor = request.changes.unwrap_or_default();
    schema::ExchangeRequest {
        digest: request.digest.0.to_vec(),
        log_epoch: cursor.epoch,
        log_cursor: cursor.position,
        wants: request.wants.iter().map(|id| id.0).collect(),
        push: request.push.iter().map(|record| record.to_wire()).collect(),
        sketch: request.sketch.map(|range| schema::Sketch {
            salt: range.salt,
            from: range.from,
            to: range.to,
        }),
        changes: request.changes.is_some(),
    }
    .encode_to_vec()
}

/// Decodes a request.
///
/// # Errors
/// [`WireError`] names what is wrong.
pub fn decode_request(bytes: &[u8]) -> Result<ExchangeRequest, WireError> {
    let wire: schema::ExchangeRequest = decode(bytes, MAX_EXCHANGE_BYTES)?;
    Ok(ExchangeRequest {
        digest: digest(&wire.digest)?,
        changes: wire
            .changes
            .then_some(Cursor { epoch: wire.log_epoch, position: wire.log_cursor }),
        wants: ids(&wire.wants)?,
        push: records(wire.push)?,
        sketch: wire.sketch.map(sketch).transpose()?,
    })
}

/// Encodes an answer.
#[must_use]
pub fn encode_answer(answer: &ExchangeAnswer) -> Vec<u8> {
    schema::ExchangeAnswer {
        digest: answer.digest.0.to_vec(),
        log_epoch: answer.cursor.epoch,
        log_cursor: answer.cursor.position,
        log_reset: answer.log_reset,
        ids: answer.ids.iter().map(|id| id.0).collect(),
        records: answer.records.iter().map(|record| record.to_wire()).collect(),
        symbols: answer.symbols.clone(),
        your_version: answer.your_version.0,
        absent: answer.absent.iter().map(|id| id.0).collect(),
        settling: answer.settling,
        wall_ms: answer.wall_ms,
    }
    .encode_to_vec()
}

/// Decodes an answer.
///
/// # Errors
/// [`WireError`] names what is wrong.
pub fn decode_answer(bytes: &[u8]) -> Result<ExchangeAnswer, WireError> {
    let wire: schema::ExchangeAnswer = decode(bytes, MAX_EXCHANGE_BYTES)?;
    Ok(ExchangeAnswer {
        digest: digest(&wire.digest)?,
        cursor: Cursor { epoch: wire.log_epoch, position: wire.log_cursor },
        log_reset: wire.log_reset,
        ids: ids(&wire.ids)?,
        records: records(wire.records)?,
        absent: ids(&wire.absent)?,
        symbols: wire.symbols,
        settling: wire.settling,
        your_version: Version(wire.your_version),
        wall_ms: wire.wall_ms,
    })
}

/// Size of an encoded request, in bytes, without encoding it.
#[must_use]
pub fn request_bytes(request: &ExchangeRequest) -> usize {
    // Digest, epoch, cursor, head of the wants, sketch, flag: each at its longest.
    const FIXED: usize = 18 + 9 + 11 + 4 + 24 + 2;
    FIXED + request.wants.len() * 8 + records_bytes(&request.push)
}

/// Size of an encoded answer, in bytes, without encoding it.
#[must_use]
pub fn answer_bytes(answer: &ExchangeAnswer) -> usize {
    // Digest, epoch, cursor, two flags, heads of ids, absent and symbols, version, clock: each at its longest.
    const FIXED: usize = 18 + 9 + 11 + 2 + 2 + 4 + 4 + 4 + 9 + 11;
    FIXED
        + (answer.ids.len() + answer.absent.len()) * 8
        + answer.symbols.len()
        + records_bytes(&answer.records)
}

fn records_bytes(records: &[Arc<Record>]) -> usize {
    records.iter().map(|record| record.wire_bytes()).sum()
}

fn decode<M: Message + Default>(bytes: &[u8], cap: usize) -> Result<M, WireError> {
    if bytes.len() > cap {
        return Err(WireError::TooLarge);
    }
    M::decode(bytes).map_err(|_| WireError::Encoding)
}

fn digest(bytes: &[u8]) -> Result<StateDigest, WireError> {
    bytes.try_into().map(StateDigest).map_err(|_| WireError::Length)
}

fn ids(ids: &[u64]) -> Result<Vec<RecordId>, WireError> {
    if ids.len() > MAX_IDS {
        return Err(WireError::TooLarge);
    }
    Ok(ids.iter().copied().map(RecordId).collect())
}

fn sketch(wire: schema::Sketch) -> Result<SketchRange, WireError> {
    if wire.from >= wire.to || wire.to > MAX_SYMBOL {
        return Err(WireError::Length);
    }
    Ok(SketchRange { salt: wire.salt, from: wire.from, to: wire.to })
}

fn record(wire: schema::SignedRecord) -> Result<Record, WireError> {
    Ok(Record::parse(&wire.origin, wire.body, &wire.signature)?)
}

fn records(wire: Vec<schema::SignedRecord>) -> Result<Vec<Arc<Record>>, WireError> {
    if wire.len() > MAX_RECORDS {
        return Err(WireError::TooLarge);
    }
    // One that does not parse, perhaps of a later version, must not take the others with it.
    Ok(wire.into_iter().filter_map(|signed| record(signed).ok()).map(Arc::new).collect())
}
