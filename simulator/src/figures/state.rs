//! The state directory: what came of each row, one small file each, so that a run that was
//! interrupted goes on where it was.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Measured, Row, Size};
use crate::report::API_VERSION;

/// The kind of the documents in a state directory.
pub const KIND: &str = "SimulationFigure";
/// The version of their form; others are measured anew.
const FORMAT: u32 = 1;

/// What came of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowResult {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// Version of the form.
    pub format: u32,
    /// The program that measured: see [`fingerprint`].
    pub program: String,
    /// Name of the row.
    pub row: String,
    /// How large its worlds were.
    pub size: Size,
    /// The seed that all of it follows from.
    pub seed: u64,
    /// What was measured.
    pub measured: Measured,
    /// How long that took, in seconds.
    pub wall_seconds: f64,
}

/// What was found of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A result of another build, or in another form.
    Stale,
    /// A result of this program.
    Fresh(Box<RowResult>),
}

/// What tells one build of the program from another: its version, and the BLAKE3 of its file.
///
/// # Errors
/// If the file cannot be read.
pub fn fingerprint(program: &Path) -> io::Result<String> {
    let bytes = fs::read(program)?;
    Ok(format!("{} {}", env!("CARGO_PKG_VERSION"), blake3::hash(&bytes).to_hex()))
}

/// A directory of results.
#[derive(Clone, Debug)]
pub struct State {
    directory: PathBuf,
    program: String,
    size: Size,
    seed: u64,
}

impl State {
    /// Makes the directory, unless it is there, and sees whether it can be written to. `program` is
    /// the [`fingerprint`] of who measures.
    ///
    /// # Errors
    /// If it cannot.
    pub fn open(directory: &Path, program: String, size: Size, seed: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let state = Self { directory: directory.to_path_buf(), program, size, seed };
        let trial = state.directory.join(format!(".trial-{}", std::process::id()));
        fs::write(&trial, "")?;
        fs::remove_file(&trial)?;
        Ok(state)
    }

    /// What is known of a row.
    #[must_use]
    pub fn find(&self, row: &Row) -> Found {
        let Ok(text) = fs::read(self.path(row)) else { return Found::Nothing };
        match serde_json::from_slice::<RowResult>(&text) {
            Ok(result) if self.is_own(&result, row) => Found::Fresh(Box::new(result)),
            _ => Found::Stale,
        }
    }

    /// Keeps what came of a row, and gives it. The file is whole or not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, row: &Row, measured: Measured, wall_seconds: f64) -> io::Result<RowResult> {
        let result = RowResult {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            format: FORMAT,
            program: self.program.clone(),
            row: row.name.to_owned(),
            size: self.size,
            seed: self.seed,
            measured,
            wall_seconds,
        };
        let text = serde_json::to_string_pretty(&result).map_err(io::Error::other)?;
        write_whole(&self.path(row), &format!("{text}\n"))?;
        Ok(result)
    }

    fn path(&self, row: &Row) -> PathBuf {
        self.directory.join(format!("{}.{}.{}.json", row.name, self.size.name(), self.seed))
    }

    fn is_own(&self, result: &RowResult, row: &Row) -> bool {
        result.format == FORMAT
            && result.program == self.program
            && result.row == row.name
            && (result.size, result.seed) == (self.size, self.seed)
    }
}

/// Writes a file so that a reader, or a crash, sees the old text or the new one and nothing between.
///
/// # Errors
/// If it cannot be written.
pub fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        // What is left of it is of no use; it may not even be there.
        let _gone = fs::remove_file(&beside);
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    fn open(directory: &Path, program: &str, seed: u64) -> State {
        State::open(directory, program.to_owned(), Size::Reduced, seed).unwrap()
    }

    #[test]
    fn a_result_is_found_again_by_the_same_program_size_and_seed_only() {
        let directory = tempfile::tempdir().unwrap();
        let row = rows().next().unwrap();
        let state = open(directory.path(), "one", 1);
        assert_eq!(state.find(row), Found::Nothing);
        let kept = state.keep(row, Measured::default(), 1.5).unwrap();
        assert_eq!(state.find(row), Found::Fresh(Box::new(kept)));
        assert_eq!(open(directory.path(), "two", 1).find(row), Found::Stale);
        assert_eq!(open(directory.path(), "one", 2).find(row), Found::Nothing);
        fs::write(state.path(row), "{").unwrap();
        assert_eq!(state.find(row), Found::Stale);
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
