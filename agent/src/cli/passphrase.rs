//! A passphrase from a file or from the person at the terminal.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::output::Output;
use crate::api::problem::{Code, Problem};
use crate::mesh::envelope::Passphrase;

/// Shortest passphrase that a new file gets, in characters: the file may lie around, and whoever has
/// it can try as long as he likes.
const MIN_CHARS: usize = 12;
/// Longest passphrase, in bytes: past it the wrong file was named.
const MAX_BYTES: u64 = 1_024;
/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;

/// The passphrase for a new file: long enough, and typed twice.
///
/// # Errors
/// [`Problem`] that says how to give one.
pub fn choose(file: Option<&Path>, output: &Output) -> Result<Passphrase, Problem> {
    let text = match file {
        Some(file) => in_file(file, output)?,
        None => {
            let text = asked("Passphrase for the file: ")?;
            if asked("The same again: ")? != text {
                return Err(Problem::new(Code::Usage, "the two passphrases differ")
                    .because("one of them was mistyped; nothing was done"));
            }
            text
        }
    };
    if text.chars().count() < MIN_CHARS {
        let message = format!("the passphrase has to have at least {MIN_CHARS} characters");
        return Err(Problem::new(Code::Usage, message)
            .because("whoever gets hold of the file can try passphrases as long as he likes"));
    }
    Ok(Passphrase::new(text))
}

/// The passphrase of a file that is there.
///
/// # Errors
/// [`Problem`] that says how to give one.
pub fn give(file: Option<&Path>, output: &Output) -> Result<Passphrase, Problem> {
    let text = match file {
        Some(file) => in_file(file, output)?,
        None => asked("Passphrase of the file: ")?,
    };
    Ok(Passphrase::new(text))
}

fn asked(question: &str) -> Result<String, Problem> {
    if !io::stdin().is_terminal() {
        return Err(Problem::new(Code::Usage, "there is nobody to ask for the passphrase")
            .because("standard input is not a terminal")
            .then("repeat the command with --passphrase-file FILE"));
    }
    rpassword::prompt_password(question)
        .map_err(|error| Problem::new(Code::Failed, format!("no passphrase was given: {error}")))
}

/// The one line of a file.
fn in_file(path: &Path, output: &Output) -> Result<String, Problem> {
    let failed = |error: io::Error| {
        Problem::new(Code::Usage, format!("cannot read {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() && metadata.mode() & NOT_OWNER != 0 {
        let path = path.display();
        output.note(&format!("others can read the passphrase in {path}; chmod 600 {path}"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    one_line(&bytes).map_err(|reason| {
        Problem::new(Code::Usage, format!("{} holds no passphrase: {reason}", path.display()))
            .because("the file is to hold the passphrase on one line and nothing else")
    })
}

fn one_line(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err("it is too long");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => Err("it is empty"),
        line if line.contains('\n') => Err("it has several lines"),
        line => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_one_line_with_whatever_spaces_it_has() {
        for text in ["two words ", "two words \n", "two words \r\n"] {
            assert_eq!(one_line(text.as_bytes()).unwrap(), "two words ");
        }
        let long = [b'x'; MAX_BYTES as usize + 1];
        for bytes in [&b""[..], b"\n", b"one\ntwo\n", b"\xff", &long] {
            assert!(one_line(bytes).is_err(), "{bytes:?}");
        }
    }
}
