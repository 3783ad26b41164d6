//! The manifest of a Backup Node server, in SQLite.
//!
//! SQLite writes to a database that it only reads: it makes files of shared memory beside it, with
//! the reader's owner and mode, and the program that owns it may then not be able to open it. So it
//! is copied first, together with what was not brought into it yet, and read there.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::digest::{Algorithm, DigestSet};
use super::json::Records;
use super::records::{MAX_BYTES, open};
use super::root::{Entry, Root};
use super::{Expected, MAX_SHARDS};

/// What belongs to a database, by what its name has more: what was written and is not in it yet,
/// and what is to be taken back.
pub(super) const BESIDE: [&str; 2] = ["-wal", "-journal"];
/// Of a record only what is needed; clients put personal data into another column.
const QUERY: &str = "SELECT shard_id, original_hash, size_bytes FROM shards";

/// The records of a database, and how many were left alone.
pub(super) fn load(
    directory: &Root,
    name: &str,
    id_of: &dyn Fn(&str) -> Option<&str>,
) -> io::Result<(Records, usize)> {
    // Only its owner may enter.
    let scratch = tempfile::Builder::new().prefix("plexmesh-").tempdir()?;
    let copy = scratch.path().join("copy");
    write_copy(open(directory, name)?.0, &copy)?;
    for suffix in BESIDE {
        let beside = format!("{name}{suffix}");
        if matches!(directory.entry(&beside)?, Some(Entry::File(_))) {
            write_copy(open(directory, &beside)?.0, &scratch.path().join(format!("copy{suffix}")))?;
        }
    }
    // What SQLite says never quotes a record.
    read(&copy, id_of).map_err(io::Error::other)
}

fn write_copy(from: File, to: &Path) -> io::Result<()> {
    io::copy(&mut from.take(MAX_BYTES), &mut File::create_new(to)?).map(|_| ())
}

fn read(path: &Path, id_of: &dyn Fn(&str) -> Option<&str>) -> rusqlite::Result<(Records, usize)> {
    // It is a copy: what was begun and not finished is taken back in it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    let mut query = database.prepare(QUERY)?;
    let mut rows = query.query([])?;
    let (mut records, mut refused) = (Records::new(), 0);
    while let Some(row) = rows.next()? {
        let (id, expected) = record(row)?;
        match id.as_deref().and_then(id_of) {
            Some(id) if records.len() < MAX_SHARDS => {
                records.insert(id.into(), expected);
            }
            _ => refused += 1,
        }
    }
    Ok((records, refused))
}

/// A column of another type than expected promises nothing: SQLite keeps whatever is written.
fn record(row: &Row<'_>) -> rusqlite::Result<(Option<String>, Expected)> {
    let mut expected = Expected::default();
    if let Some(text) = text(row.get_ref(1)?) {
        let mut digests = DigestSet::default();
        digests.add_hex(Algorithm::Sha256, text);
        expected.digest = digests.expected();
    }
    if let ValueRef::Integer(size) = row.get_ref(2)? {
        expected.size_bytes = u64::try_from(size).ok();
    }
    Ok((text(row.get_ref(0)?).map(str::to_owned), expected))
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    let ValueRef::Text(bytes) = value else { return None };
    std::str::from_utf8(bytes).ok()
}
