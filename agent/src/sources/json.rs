//! Records of shards in JSON, as several programs write them.
//!
//! Of a record only digests, length and name are kept; what clients put beside them is not even
//! held in memory. A field of another type than expected promises nothing, and is no error.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::digest::{Algorithm, DigestSet};
use super::{Expected, MAX_SHARDS};

/// Longest text that is taken from a record, in bytes: the longest path that a system opens.
const MAX_TEXT_BYTES: usize = 4_096;
/// The version of our own manifest.
const OWN_VERSION: u64 = 1;

/// What is expected of shards, by id.
pub type Records = BTreeMap<Box<str>, Expected>;

/// How a document is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// An object of records by shard id: the Backup Node's.
    ById,
    /// An object with `version` and an object `shards` of records by path: our own.
    Own,
    /// An object with a list `shard_locations` of records: one backup's.
    Backup,
    /// One record: a shard's sidecar.
    Single,
}

/// How a format names the fields of a record.
struct Names {
    /// Fields with a digest in hexadecimal digits.
    digests: &'static [(&'static str, Algorithm)],
    /// A field with an object of digests, named as [`Algorithm::word`] has them.
    digest_object: Option<&'static str>,
    size: &'static str,
    /// What says which shard it is, where the place of the record does not: the first of them that
    /// is there.
    names: &'static [&'static str],
}

impl Format {
    const fn names(self) -> &'static Names {
        match self {
            Self::ById => &Names {
                digests: &[("original_hash", Algorithm::Sha256)],
                digest_object: None,
                size: "size_bytes",
                names: &[],
            },
            Self::Own => &Names {
                digests: &[
                    ("blake3", Algorithm::Blake3),
                    ("sha256", Algorithm::Sha256),
                    ("sha512", Algorithm::Sha512),
                    ("blake2b", Algorithm::Blake2b),
                ],
                digest_object: None,
                size: "sizeBytes",
                names: &[],
            },
            Self::Backup => &Names {
                digests: &[],
                digest_object: Some("checksums"),
                size: "size_bytes",
                names: &["storage_path", "shard_id"],
            },
            Self::Single => &Names {
                digests: &[("checksum", Algorithm::Sha256)],
                digest_object: None,
                size: "size",
                names: &["shard_id"],
            },
        }
    }
}

/// What a document says.
struct Table<'a> {
    format: Format,
    /// The id of a shard by what a record calls it; `None` if that names no file of the source.
    id_of: &'a dyn Fn(&str) -> Option<&str>,
    records: Records,
    refused: usize,
}

impl Table<'_> {
    /// Adds a record; a later one of the same id takes its place.
    fn add(&mut self, name: Option<&str>, expected: Expected) {
        match name.and_then(self.id_of) {
            Some(id) if self.records.len() < MAX_SHARDS => {
                self.records.insert(id.into(), expected);
            }
            _ => self.refused += 1,
        }
    }
}

/// The records of a document, and how many were left alone: `id_of` gives no id for what they are
/// called, or there are more than [`MAX_SHARDS`].
///
/// # Errors
/// If it is no JSON of that format, or cannot be read.
pub(super) fn parse(
    text: impl Read,
    format: Format,
    id_of: &dyn Fn(&str) -> Option<&str>,
) -> io::Result<(Records, usize)> {
    let mut table = Table { format, id_of, records: Records::new(), refused: 0 };
    let mut from = serde_json::Deserializer::from_reader(text);
    Document(&mut table).deserialize(&mut from).and_then(|()| from.end()).map_err(without_text)?;
    Ok((table.records, table.refused))
}

/// Why a document does not parse, without what stands in it: that names shards and clients, and the
/// reason is logged.
fn without_text(error: serde_json::Error) -> io::Error {
    let what = match error.classify() {
        Category::Io => return error.into(),
        Category::Syntax => "it is no JSON",
        Category::Data => "it holds no records of shards",
        Category::Eof => "it ends too early",
    };
    io::Error::other(format!("{what}: line {}, column {}", error.line(), error.column()))
}

/// Implements what a seed needs beside its visitor: any value is asked for, so that one of another
/// type is a matter of the visitor.
macro_rules! seed {
    ($seed:ty, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
                from.deserialize_any(self)
            }
        }
    };
}

/// A whole document.
struct Document<'t, 'a>(&'t mut Table<'a>);
seed!(Document<'_, '_>, ());

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let table = self.0;
        match table.format {
            Format::ById => return ById(table).visit_map(map),
            Format::Single => {
                let record = Record(table.format.names()).visit_map(map)?;
                table.add(record.name.as_deref(), record.expected);
                return Ok(());
            }
            Format::Own | Format::Backup => {}
        }
        let (mut has_records, mut version) = (false, None);
        while let Some(field) = map.next_key::<String>()? {
            match (table.format, field.as_str()) {
                (Format::Own, "shards") => map.next_value_seed(ById(table))?,
                (Format::Own, "version") => version = map.next_value_seed(Field(None))?.number(),
                (Format::Backup, "shard_locations") => map.next_value_seed(List(table))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            }
            has_records |= field != "version";
        }
        let known = table.format != Format::Own || version == Some(OWN_VERSION);
        if has_records && known { Ok(()) } else { Err(A::Error::custom("no records")) }
    }
}

/// Records by what they are called.
struct ById<'t, 'a>(&'t mut Table<'a>);
seed!(ById<'_, '_>, ());

impl<'de> Visitor<'de> for ById<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of records by shard id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let record = map.next_value_seed(Record(self.0.format.names()))?;
            self.0.add(Some(&name), record.expected);
        }
        Ok(())
    }
}

/// Records that say themselves what they are about.
struct List<'t, 'a>(&'t mut Table<'a>);
seed!(List<'_, '_>, ());

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(record) = list.next_element_seed(Record(self.0.format.names()))? {
            self.0.add(record.name.as_deref(), record.expected);
        }
        Ok(())
    }
}

/// What is kept of a record.
#[derive(Debug, Default)]
struct Kept {
    expected: Expected,
    name: Option<String>,
}

/// One record. One that is odd is still a record: it promises less.
struct Record(&'static Names);
seed!(Record, Kept);

impl<'de> Visitor<'de> for Record {
    type Value = Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kept, A::Error> {
        let (mut kept, mut digests) = (Kept::default(), DigestSet::default());
        let mut rank = usize::MAX;
        while let Some(field) = map.next_key::<String>()? {
            let field = field.as_str();
            let algorithm = self.0.digests.iter().find(|(name, _)| *name == field);
            if let Some((_, algorithm)) = algorithm {
                if let Some(text) = map.next_value_seed(Field(None))?.text() {
                    digests.add_hex(*algorithm, &text);
                }
            } else if field == self.0.size {
                kept.expected.size_bytes = map.next_value_seed(Field(None))?.number();
            } else if Some(field) == self.0.digest_object {
                map.next_value_seed(Field(Some(&mut digests)))?;
            } else if let Some(at) = self.0.names.iter().position(|name| *name == field) {
                let text = map.next_value_seed(Field(None))?.text();
                if text.is_some() && at <= rank {
                    (kept.name, rank) = (text, at);
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        kept.expected.digest = digests.expected();
        Ok(kept)
    }
}

/// A value that is wanted as text or as a number. Of a list or an object in its place nothing is
/// held: it may be as long as the document. Digests by algorithm go where somebody waits for them.
struct Field<'t>(Option<&'t mut DigestSet>);
seed!(Field<'_>, Value);

/// What stood where a scalar was wanted.
enum Value {
    Text(String),
    Number(u64),
    Other,
}

impl Value {
    fn text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    const fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        let short = text.len() <= MAX_TEXT_BYTES;
        Ok(if short { Value::Text(text.to_owned()) } else { Value::Other })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Value, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(digests) = self.0 else {
            return IgnoredAny.visit_map(map).map(|_| Value::Other);
        };
        while let Some(word) = map.next_key::<String>()? {
            let text = map.next_value_seed(Field(None))?.text();
            let algorithm = Algorithm::ALL.into_iter().find(|it| it.word() == word);
            if let Some((algorithm, text)) = algorithm.zip(text) {
                digests.add_hex(algorithm, &text);
            }
        }
        Ok(Value::Other)
    }
}
