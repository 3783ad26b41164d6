//! The manifest of a Backup Node: a JSON object of records by shard id.
//!
//! Its daemon rewrites it in place, so a reader may find it torn: it is read again a few times, and
//! then the last good copy stands in for a while. Of a record only digest and length are kept; what
//! clients put beside them is not even held in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::marker::PhantomData;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::root::Root;
use super::{Expected, FileFacts, MAX_SHARDS, SourceFault};

/// Its name.
pub(super) const MANIFEST: &str = "shards_database.json";
/// Longest manifest that is read, in bytes: 100 thousand records take about 40 MiB.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How often a torn manifest is read again at once, and after what time: writing takes
/// milliseconds.
const TRIES: u32 = 4;
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long the last good copy stands in: past that, nobody is writing it, it is broken.
const STAND_IN: Duration = Duration::from_secs(60);
/// Longest shard id, in bytes: what the name of a file may have, without its prefix.
const MAX_ID_BYTES: usize = 249;

/// What is expected of shards, by id.
pub type Records = BTreeMap<Box<str>, Expected>;

/// The last good copy.
#[derive(Debug, Default)]
pub(super) struct Cache {
    records: Records,
    refused: usize,
    /// What the file was like when it was read; `None` before.
    read: Option<FileFacts>,
    bad_since: Option<Instant>,
}

/// What is recorded.
pub(super) struct Manifest<'a> {
    pub(super) records: &'a Records,
    /// Records that were left alone.
    pub(super) refused: usize,
    /// It is an earlier copy.
    pub(super) stale: bool,
}

impl Cache {
    /// Reads the manifest, unless it is as it was. A copy stands in for one that cannot be read for
    /// the moment; without a copy it is a fault at once.
    pub(super) fn read(&mut self, root: &Root) -> Result<Manifest<'_>, SourceFault> {
        let mut reason = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(RETRY_INTERVAL);
            }
            match self.try_read(root) {
                Ok(()) => {
                    self.bad_since = None;
                    let refused = self.refused;
                    return Ok(Manifest { records: &self.records, refused, stale: false });
                }
                Err(error) => reason = error.to_string(),
            }
        }
        let since = *self.bad_since.get_or_insert_with(Instant::now);
        if self.read.is_some() && since.elapsed() < STAND_IN {
            return Ok(Manifest { records: &self.records, refused: self.refused, stale: true });
        }
        Err(SourceFault::NotReadable { path: root.path().join(MANIFEST), reason })
    }

    fn try_read(&mut self, root: &Root) -> io::Result<()> {
        let (file, before) = root.open_file(MANIFEST)?;
        if self.read == Some(before) {
            return Ok(());
        }
        if before.size_bytes > MAX_BYTES {
            return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let text = BufReader::with_capacity(64 * 1024, (&file).take(MAX_BYTES));
        let (records, refused) = parse(text)?;
        let (_, after) = root.open_file(MANIFEST)?;
        if before != after {
            return Err(io::Error::other("it changed while it was read"));
        }
        *self = Self { records, refused, read: Some(before), bad_since: None };
        Ok(())
    }
}

/// The records of a manifest's text, and how many were left alone.
///
/// # Errors
/// If it is no JSON object of records, or cannot be read.
pub fn parse(text: impl Read) -> io::Result<(Records, usize)> {
    let parsed: Parsed = serde_json::from_reader(text).map_err(without_text)?;
    Ok((parsed.records, parsed.refused))
}

/// Why a manifest does not parse, without what stands in it: that names shards and clients, and the
/// reason is logged.
fn without_text(error: serde_json::Error) -> io::Error {
    let what = match error.classify() {
        Category::Io => return error.into(),
        Category::Syntax => "it is no JSON",
        Category::Data => "it is no object of records by shard id",
        Category::Eof => "it ends too early",
    };
    io::Error::other(format!("{what}: line {}, column {}", error.line(), error.column()))
}

/// Whether an id can be part of a file's name, and of nothing else.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.contains(['/', '\0'])
}

#[derive(Default)]
struct Parsed {
    records: Records,
    refused: usize,
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Parsed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of records by shard id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
                let mut parsed = Parsed::default();
                while let Some(id) = map.next_key::<String>()? {
                    let record: Record = map.next_value()?;
                    if is_plain(&id) && parsed.records.len() < MAX_SHARDS {
                        parsed.records.insert(id.into(), record.0);
                    } else {
                        parsed.refused += 1;
                    }
                }
                Ok(parsed)
            }
        }
        from.deserialize_map(Collect)
    }
}

/// A record of which everything but digest and length is skipped. One that is odd is still a
/// record: it promises less.
struct Record(Expected);

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut expected = Expected::default();
                while let Some(field) = map.next_key::<String>()? {
                    match field.as_str() {
                        "original_hash" => {
                            let value: Loose<[u8; 32]> = map.next_value()?;
                            expected.sha256 = value.0;
                        }
                        "size_bytes" => {
                            let value: Loose<u64> = map.next_value()?;
                            expected.size_bytes = value.0;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Record(expected))
            }
        }
        from.deserialize_map(Fields)
    }
}

/// A value that may be of another type than expected, and is then unknown. Whatever it is, nothing
/// of it is held: a list in its place may be as long as the manifest.
struct Loose<T>(Option<T>);

/// What can be taken from a scalar.
trait Scalar: Sized {
    fn of_text(text: &str) -> Option<Self>;
    fn of_number(number: u64) -> Option<Self>;
}

impl Scalar for [u8; 32] {
    fn of_text(text: &str) -> Option<Self> {
        digest(text)
    }

    fn of_number(_: u64) -> Option<Self> {
        None
    }
}

impl Scalar for u64 {
    fn of_text(_: &str) -> Option<Self> {
        None
    }

    fn of_number(number: u64) -> Option<Self> {
        Some(number)
    }
}

impl<'de, T: Scalar> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Scalar> Visitor<'de> for Any<T> {
            type Value = Loose<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Loose(T::of_text(text)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Loose(T::of_number(number)))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Loose(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Loose(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Loose(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Loose(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Loose(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Loose(None))
            }
        }
        from.deserialize_any(Any(PhantomData))
    }
}

/// 64 hexadecimal digits as bytes.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.trim().as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let text = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(text, 16).ok()?;
    }
    Some(bytes)
}
