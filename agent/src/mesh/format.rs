//! `format`: which form the files of a data directory have, and which version of plexmesh wrote
//! them last.
//!
//! The number grows when an older agent would misread the directory or destroy something in it,
//! and only then: what an older one merely does not know needs no new number. A newer agent takes
//! over what an older one left; the other way round it refuses, and says which version to go back
//! to.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files::{self, FileError};
use crate::api::problem::{Code, Problem};

/// The file's name in the data directory.
pub const FILE: &str = "format";
/// What its first line says in front of the number.
const LABEL: &str = "plexmesh data v";
/// What its second line says in front of the version.
const WRITER: &str = "written by plexmesh ";
/// The form that this version writes.
///
/// 1: identity, certificate and `mesh.toml` with a version each, `store/`, `inventory/`. Directories
/// without a `format` have it too: they are of versions before the file.
pub const CURRENT: u32 = 1;
/// This version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Longest version that is read, in bytes. It is shown to people.
const MAX_VERSION_BYTES: usize = 64;
/// Where the package puts the program; `cargo install` puts it elsewhere.
const PACKAGED_PROGRAM: &str = "/usr/bin/plexmesh";

/// Why a data directory cannot be used by this version.
#[derive(Debug, Error)]
pub enum FormatError {
    /// The file cannot be read or written, or says nothing that makes sense.
    #[error(transparent)]
    File(#[from] FileError),
    /// A newer version was here.
    #[error(
        "{} has data of format {found}, written by plexmesh {writer}; this is plexmesh {VERSION}, \
         which knows formats up to {CURRENT}", .dir.display()
    )]
    Newer {
        /// The data directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The version that wrote it.
        writer: String,
    },
}

impl From<FormatError> for Problem {
    /// Says the way back.
    fn from(error: FormatError) -> Self {
        let message = error.to_string();
        let (dir, writer) = match error {
            FormatError::File(error) => return error.into(),
            FormatError::Newer { dir, writer, .. } => (dir, writer),
        };
        let cause = format!(
            "plexmesh was downgraded. Nothing was changed: plexmesh {writer} still runs with this \
             directory once it is installed again, and this version with a copy of {} from before \
             the upgrade",
            dir.display()
        );
        let packaged =
            std::env::current_exe().is_ok_and(|program| program == Path::new(PACKAGED_PROGRAM));
        let next = install_command(&writer, packaged);
        Self::new(Code::NewerData, message).because(cause).then(next)
    }
}

/// What installs a version in the way in which this program was installed: by the package, or from
/// the sources of that version, where it is to be typed.
fn install_command(version: &str, packaged: bool) -> String {
    // The version comes from a file and goes to a shell by hand.
    let is_version = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    if !packaged {
        format!("cargo install --locked --path agent   # in the sources of plexmesh {version}")
    } else if version.bytes().all(is_version) {
        // A version before a release sorts before it: that is what the tilde says to dpkg.
        format!(
            "sudo apt install ./plexmesh_{}-1_*.deb --allow-downgrades",
            version.replace('-', "~")
        )
    } else {
        "sudo apt install ./plexmesh_*.deb --allow-downgrades".to_owned()
    }
}

/// What a directory says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    format: u32,
    writer: String,
}

/// Makes sure that this version may use a data directory, and notes that it does. The directory has
/// to exist and nobody else may use it. Gives the other version that used it last, if there is one.
///
/// # Errors
/// [`FormatError`] if a newer version's files are in it, or the note cannot be read or written.
/// Nothing was changed then.
pub fn claim(dir: &Path) -> Result<Option<String>, FormatError> {
    let before = read(dir)?;
    if let Some(Stamp { format, writer }) = &before
        && *format > CURRENT
    {
        let (dir, writer) = (dir.to_owned(), writer.clone());
        return Err(FormatError::Newer { dir, found: *format, writer });
    }
    // There is one format so far, and a directory without a note has it: nothing is to be turned
    // into anything.
    let now = Stamp { format: CURRENT, writer: VERSION.to_owned() };
    if before.as_ref() != Some(&now) {
        let text = format!("{LABEL}{}\n{WRITER}{}\n", now.format, now.writer);
        files::write_atomically(&dir.join(FILE), text.as_bytes(), false)?;
    }
    Ok(before.map(|it| it.writer).filter(|writer| *writer != VERSION))
}

fn read(dir: &Path) -> Result<Option<Stamp>, FileError> {
    let path = dir.join(FILE);
    if !files::is_there(&path)? {
        return Ok(None);
    }
    let text = files::read_text(&path, false)?;
    parse(&text).map(Some).ok_or(FileError::Malformed { path, reason: "it names no format" })
}

/// Later formats may add lines.
fn parse(text: &str) -> Option<Stamp> {
    let mut lines = text.lines();
    let format = lines.next()?.strip_prefix(LABEL)?.parse().ok()?;
    let writer = lines.next()?.strip_prefix(WRITER)?;
    let is_plain = writer.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = !writer.is_empty() && writer.len() <= MAX_VERSION_BYTES;
    (is_plain && fits).then(|| Stamp { format, writer: writer.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        dir
    }

    fn noted(dir: &Path) -> String {
        std::fs::read_to_string(dir.join(FILE)).unwrap()
    }

    #[test]
    fn a_directory_from_before_the_note_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(claim(dir.path()).unwrap(), None);
        assert_eq!(noted(dir.path()), format!("plexmesh data v1\nwritten by plexmesh {VERSION}\n"));
    }

    #[test]
    fn a_version_finds_its_own_note_in_order() {
        let dir = tempfile::tempdir().unwrap();
        claim(dir.path()).unwrap();
        assert_eq!(claim(dir.path()).unwrap(), None);
    }

    #[test]
    fn another_version_of_the_same_format_is_named_and_followed() {
        for other in ["0.0.1", "99.0.0"] {
            let dir = holding(&format!("plexmesh data v1\nwritten by plexmesh {other}\n"));
            assert_eq!(claim(dir.path()).unwrap().as_deref(), Some(other));
            assert!(noted(dir.path()).contains(VERSION), "{other}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_with_who_wrote_it_and_left_as_it_is() {
        let text = "plexmesh data v2\nwritten by plexmesh 0.9.0\nsomething new\n";
        let dir = holding(text);
        let refused = claim(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("format 2, written by plexmesh 0.9.0"), "{refused}");
        assert_eq!(noted(dir.path()), text);
    }

    #[test]
    fn the_way_back_names_the_version_to_install() {
        let dir = holding("plexmesh data v2\nwritten by plexmesh 0.9.0\n");
        let problem = Problem::from(claim(dir.path()).unwrap_err());
        assert_eq!(problem.code.exit_code(), 7);
        assert!(problem.likely_cause.unwrap().contains("plexmesh 0.9.0 still runs"));
        let next = "cargo install --locked --path agent   # in the sources of plexmesh 0.9.0";
        assert_eq!(problem.next_command.unwrap(), next);
    }

    #[test]
    fn the_way_back_of_a_package_is_its_package() {
        for (version, package) in [
            ("0.9.0", "./plexmesh_0.9.0-1_*.deb"),
            ("1.0.0-rc.1", "./plexmesh_1.0.0~rc.1-1_*.deb"),
            ("0.9;reboot", "./plexmesh_*.deb"),
        ] {
            let next = install_command(version, true);
            assert_eq!(next, format!("sudo apt install {package} --allow-downgrades"));
        }
    }

    #[test]
    fn a_note_that_makes_no_sense_is_refused_and_left_as_it_is() {
        let long = format!("plexmesh data v1\nwritten by plexmesh {}\n", "9".repeat(1_000));
        for text in ["", "v1\n", "plexmesh data v1\n", "plexmesh data v-1\nx\n", &long] {
            let dir = holding(text);
            assert!(matches!(claim(dir.path()), Err(FormatError::File(_))), "{text}");
            assert_eq!(noted(dir.path()), text);
        }
    }
}
