//! `moved`: marks a directory whose peer lives elsewhere, so that no two hosts speak with one
//! identity.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files::{self, FileError};
use crate::api::problem::{Code, Problem};
use crate::time::WallTime;

/// The file's name in the data directory.
const FILE: &str = "moved";
/// What its first line says; when stands in the second.
const HEADER: &str = "plexmesh moved v1";
/// Longest time that is shown, in bytes.
const MAX_TIME_BYTES: usize = 40;

/// The peer of a directory was moved away.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the peer of {} was moved away with `plexmesh export-identity`, {since}", .dir.display())]
pub struct MovedAway {
    dir: PathBuf,
    since: String,
}

impl MovedAway {
    /// The file that says so.
    #[must_use]
    pub fn mark(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}

impl From<MovedAway> for Problem {
    /// Says how to take the move back.
    fn from(moved: MovedAway) -> Self {
        let mark = moved.mark();
        let cause = format!(
            "it is to run where the exported file was imported: two hosts with one identity \
             contradict each other. If that file was not imported anywhere, and never will be, \
             delete {} to take the move back",
            mark.display()
        );
        Self::new(Code::MovedAway, moved.to_string())
            .because(cause)
            .then(format!("rm {}", mark.display()))
    }
}

/// Marks a directory.
pub(super) fn mark(dir: &Path, now: WallTime) -> Result<(), FileError> {
    files::write_atomically(&dir.join(FILE), format!("{HEADER}\n{now}\n").as_bytes(), false)
}

/// Refuses a directory that is marked. A mark that does not read is one all the same.
///
/// # Errors
/// [`MovedAway`] if it is.
pub fn refuse(dir: &Path) -> Result<(), MovedAway> {
    let path = dir.join(FILE);
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let since = files::read_text(&path, false).ok().as_deref().and_then(time_in);
    let since = since.map_or("it is not known when".to_owned(), |time| format!("at {time}"));
    Err(MovedAway { dir: dir.to_owned(), since })
}

fn time_in(text: &str) -> Option<String> {
    let mut lines = text.lines();
    (lines.next()? == HEADER).then_some(())?;
    let time = lines.next()?;
    let is_plain = time.len() <= MAX_TIME_BYTES && time.bytes().all(|it| it.is_ascii_graphic());
    is_plain.then(|| time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_directory_is_refused_with_when_and_the_way_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refuse(dir.path()), Ok(()));
        mark(dir.path(), WallTime::from_s(1_700_000_000)).unwrap();
        let problem = Problem::from(refuse(dir.path()).unwrap_err());
        assert!(problem.message.contains("at 2023-11-14T22:13:20"), "{problem}");
        assert_eq!(problem.code.exit_code(), 7);
        let mark = dir.path().join("moved");
        assert_eq!(problem.next_command.unwrap(), format!("rm {}", mark.display()));
    }

    #[test]
    fn a_mark_that_does_not_read_is_a_mark() {
        for text in ["", "plexmesh moved v1\n", "plexmesh moved v2\nnow\n", "\u{1b}[2J\n\u{1b}"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let said = refuse(dir.path()).unwrap_err().to_string();
            assert!(said.contains("not known when") && !said.contains('\u{1b}'), "{said}");
        }
    }
}
