//! What an operator can do for the databases of an agent that does not run.

use std::io;
use std::path::{Path, PathBuf};

use super::database::{Content, Database, Fault, file_bytes};
use super::{DIRECTORY, StoreError, swap};
use crate::scrub::inventory;

/// The databases of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The last view, and the own clock.
    View,
    /// What is remembered of shards.
    Inventory,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::View, Self::Inventory];

    /// Name of its directory inside of the data directory.
    #[must_use]
    pub const fn directory(self) -> &'static str {
        match self {
            Self::View => DIRECTORY,
            Self::Inventory => inventory::DIRECTORY,
        }
    }

    /// Where what is lost of it comes from.
    #[must_use]
    pub const fn refill(self) -> &'static str {
        match self {
            Self::View => "the mesh",
            Self::Inventory => "the next scrub",
        }
    }
}

/// One database as it was found, or as it is after it was cared for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cared {
    /// Which it is.
    pub which: Which,
    /// Its directory.
    pub path: PathBuf,
    /// What it holds; `None` if there is none, or it does not open.
    pub content: Option<Content>,
    /// Bytes of its file; `None` if there is none.
    pub file_bytes: Option<u64>,
    /// Bytes of its file before; `None` if nothing was changed.
    pub file_bytes_before: Option<u64>,
    /// Where what cannot be read was moved.
    pub set_aside: Option<PathBuf>,
    /// Why it does not open; `None` if it does.
    pub fault: Option<String>,
}

impl Cared {
    /// Whether all that it ever held can be read.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_whole = |content: Content| content.is_whole && content.damaged == 0;
        self.fault.is_none() && self.content.is_none_or(is_whole)
    }
}

/// Reads a database of a data directory through. Nobody else may use it. Blocks.
///
/// # Errors
/// If the system refuses. A damaged one is no error.
pub fn check(data_dir: &Path, which: Which) -> Result<Cared, StoreError> {
    let Some(opened) = open(data_dir, which)? else { return Ok(absent(data_dir, which)) };
    match opened {
        Ok(database) => done(which, database, None, None),
        Err(reason) => Ok(Cared { fault: Some(reason), ..absent(data_dir, which) }),
    }
}

/// Copies a database into a file that is as small as can be. Nobody else may use it. Blocks.
///
/// # Errors
/// If the system refuses, or the database is damaged; then it stays as it was.
pub fn compact(data_dir: &Path, which: Which) -> Result<Cared, StoreError> {
    let Some(opened) = open(data_dir, which)? else { return Ok(absent(data_dir, which)) };
    let path = data_dir.join(which.directory());
    let damaged = |reason| StoreError::Damaged { path: path.clone(), reason };
    let database = opened.map_err(damaged)?;
    let content = database.content();
    if !content.is_whole || content.damaged > 0 {
        return Err(damaged("parts of it cannot be read".to_owned()));
    }
    anew(which, database)
}

/// Makes a database anew of what can be read of it; what cannot is set aside with the rest of the old
/// one. Nobody else may use it. Blocks.
///
/// # Errors
/// If the system refuses; then it stays as it was.
pub fn rebuild(data_dir: &Path, which: Which) -> Result<Cared, StoreError> {
    let Some(opened) = open(data_dir, which)? else { return Ok(absent(data_dir, which)) };
    if let Ok(database) = opened {
        return anew(which, database);
    }
    let path = data_dir.join(which.directory());
    let before = file_bytes(&path);
    let (database, aside) = Database::open_or_set_aside(&path, which.refill())?;
    done(which, database, before, aside)
}

/// Opens a database; `None` if there is none, and why it is damaged if it is.
fn open(data_dir: &Path, which: Which) -> Result<Option<Result<Database, String>>, StoreError> {
    let path = data_dir.join(which.directory());
    let failed = |fault| StoreError::of(&path, fault);
    swap::finish(&path).map_err(|error: io::Error| failed(error.into()))?;
    if !path.exists() {
        return Ok(None);
    }
    match Database::open(&path) {
        Ok(database) => Ok(Some(Ok(database))),
        Err(Fault::Damage(reason)) => Ok(Some(Err(reason))),
        Err(fault) => Err(failed(fault)),
    }
}

fn anew(which: Which, database: Database) -> Result<Cared, StoreError> {
    let (path, before) = (database.path().to_owned(), database.file_bytes().ok());
    let (database, aside) = database.compact().map_err(|fault| StoreError::of(&path, fault))?;
    done(which, database, before, aside)
}

fn done(
    which: Which,
    database: Database,
    file_bytes_before: Option<u64>,
    set_aside: Option<PathBuf>,
) -> Result<Cared, StoreError> {
    let (path, content) = (database.path().to_owned(), Some(database.content()));
    database.close().map_err(|fault| StoreError::of(&path, fault))?;
    let file_bytes = file_bytes(&path);
    Ok(Cared { which, path, content, file_bytes, file_bytes_before, set_aside, fault: None })
}

fn absent(data_dir: &Path, which: Which) -> Cared {
    let path = data_dir.join(which.directory());
    let file_bytes = file_bytes(&path);
    Cared {
        which,
        path,
        content: None,
        file_bytes,
        file_bytes_before: None,
        set_aside: None,
        fault: None,
    }
}
