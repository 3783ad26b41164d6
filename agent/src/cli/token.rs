//! The token of `plexmesh join`: where it comes from, and what is wrong with it.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use plexmesh_proto::admission::token::{JoinToken, MAX_TOKEN_CHARS, TokenError};

use crate::api::problem::{Code, Problem};

/// What stands for standard input in the place of a token.
const STANDARD_INPUT: &str = "-";
/// Most bytes that are read: the longest token, and white space around it.
const MAX_READ_BYTES: usize = MAX_TOKEN_CHARS + 1_024;
/// Permission bits of group and others.
const NOT_OWNER: u32 = 0o077;

/// Where the token is.
#[derive(Clone, Debug, Args)]
pub struct TokenArgs {
    /// `-` to read the token from standard input; or the token, which others on this host can see
    #[arg(
        value_name = "TOKEN",
        required_unless_present = "token_file",
        conflicts_with = "token_file"
    )]
    pub token: Option<String>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// A token that was read, and what whoever gave it should know.
#[derive(Debug)]
pub struct ReadToken {
    /// The token.
    pub token: JoinToken,
    /// Who else may have seen it.
    pub warning: Option<String>,
}

impl TokenArgs {
    /// Reads the token and checks all of it. Blocks.
    ///
    /// # Errors
    /// [`Problem`] with exit code 2. It shows no part of the token.
    pub fn read(&self, wall_s: u64) -> Result<ReadToken, Problem> {
        let stdin = io::stdin();
        let by_line = stdin.is_terminal();
        self.read_with(stdin.lock(), by_line, wall_s)
    }

    /// As [`Self::read`]; standard input ends with its first line if a person types it.
    fn read_with(
        &self,
        stdin: impl BufRead,
        by_line: bool,
        wall_s: u64,
    ) -> Result<ReadToken, Problem> {
        let (text, warning) = match (&self.token_file, self.token.as_deref()) {
            (Some(path), _) => in_file(path)?,
            (None, Some(STANDARD_INPUT)) => {
                let text = bounded(stdin, by_line);
                (text.map_err(|error| unreadable("standard input", &error))?, None)
            }
            (None, Some(typed)) => {
                let warning = "others on this host can see the token in the list of processes; \
                    `plexmesh join -` and --token-file keep it to yourself";
                (typed.to_owned(), Some(warning.to_owned()))
            }
            (None, None) => (String::new(), None),
        };
        let token = JoinToken::parse(without_advice(&text), wall_s).map_err(explained)?;
        Ok(ReadToken { token, warning })
    }
}

/// What `plexmesh invite` prints goes on, after an empty line, with what the token is for; whoever keeps
/// its output in a file keeps that, too.
fn without_advice(text: &str) -> &str {
    let text = text.trim_start();
    text.split_once("\n\n").map_or(text, |(token, _)| token)
}

fn in_file(path: &Path) -> Result<(String, Option<String>), Problem> {
    let named = path.display();
    let failed = |error| unreadable(&named.to_string(), &error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let is_open = metadata.is_file() && metadata.mode() & NOT_OWNER != 0;
    let warning = is_open
        .then(|| format!("others can read the token in {named}; delete the file, or chmod 600"));
    let text = bounded(io::BufReader::new(file), false).map_err(failed)?;
    Ok((text, warning))
}

/// The text, as far as a token may be long: a longer one is refused as such.
fn bounded(reader: impl BufRead, by_line: bool) -> io::Result<String> {
    let mut reader = reader.take(MAX_READ_BYTES as u64);
    let mut bytes = Vec::new();
    if by_line {
        reader.read_until(b'\n', &mut bytes)?;
    } else {
        reader.read_to_end(&mut bytes)?;
    }
    // What is no text has characters that no token has.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(what: &str, error: &io::Error) -> Problem {
    Problem::new(Code::Usage, format!("cannot read the token from {what}: {error}"))
        .then("plexmesh join -")
}

fn explained(error: TokenError) -> Problem {
    let problem = Problem::new(Code::Usage, error.to_string());
    match error {
        TokenError::Expired => problem
            .because(
                "a token is good for an hour unless its maker said otherwise, and this host's \
                 clock counts",
            )
            .then("on an enroller: plexmesh invite"),
        TokenError::Malformed(_) => problem
            .because("it was made by another version of plexmesh")
            .then("on an enroller: plexmesh invite"),
        _ => problem
            .because("part of it was not copied, or was mistyped; nothing was done with it")
            .then("plexmesh join -"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;
    use plexmesh_net::Identity;
    use plexmesh_proto::admission::token::{Enroller, Secret};
    use plexmesh_proto::record::MeshId;
    use plexmesh_proto::types::PeerId;

    use super::*;
    use crate::identity::NodeKeys;

    const NOW_S: u64 = 1_800_000_000;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        args: TokenArgs,
    }

    fn token() -> JoinToken {
        let secret = Secret::generate(&mut NodeKeys::new(Identity::generate()));
        let addresses = vec!["/ip4/192.0.2.1/udp/6374/quic-v1".to_owned()];
        let enrollers = vec![Enroller { peer: PeerId([3; 32]), addresses }];
        JoinToken::new(MeshId([7; 32]), secret, NOW_S + 60, enrollers).unwrap()
    }

    fn read(words: &[&str], stdin: &[u8]) -> Result<ReadToken, Problem> {
        let args = Typed::try_parse_from([&["join"], words].concat()).unwrap().args;
        args.read_with(stdin, false, NOW_S)
    }

    fn refusal(stdin: &[u8]) -> String {
        let problem = read(&["-"], stdin).unwrap_err();
        assert_eq!(problem.code.exit_code(), 2);
        problem.message
    }

    #[test]
    fn a_token_comes_from_standard_input_a_file_or_with_a_warning_the_command_line() {
        let (token, dir) = (token(), tempfile::tempdir().unwrap());
        let text = token.to_text();
        let piped = read(&["-"], format!("  {text}\r\n\n").as_bytes()).unwrap();
        assert_eq!((&piped.token, piped.warning), (&token, None));
        let path = dir.path().join("token");
        fs::write(&path, format!("{text}\n")).unwrap();
        for (mode, warns) in [(0o600, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let filed = read(&["--token-file", path.to_str().unwrap()], b"").unwrap();
            assert_eq!(filed.token, token);
            assert_eq!(filed.warning.is_some_and(|it| it.contains("chmod 600")), warns, "{mode:o}");
        }
        let typed = read(&[&text], b"").unwrap();
        assert!(typed.warning.unwrap().contains("list of processes"));
    }

    #[test]
    fn a_person_at_a_terminal_ends_the_token_with_the_line() {
        let args = TokenArgs { token: Some("-".to_owned()), token_file: None };
        let typed = format!("{}\nwhat follows is not read", token().to_text());
        assert!(args.read_with(typed.as_bytes(), true, NOW_S).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_token_is_told_with_its_place_and_without_its_text() {
        let text = token().to_text();
        let changed = |place: usize, with: &str| {
            let mut bytes = text.clone();
            bytes.replace_range(place..=place, with);
            bytes
        };
        let other = if text.as_bytes()[40] == b'a' { "b" } else { "a" };
        let cases = [
            (String::new(), "no join token"),
            ("hunter2".to_owned(), "no join token"),
            (changed(30, "\n"), "at character 31"),
            (changed(30, "!"), "character 31 of"),
            (changed(40, other), "damaged"),
            (text[..text.len() - 1].to_owned(), "damaged"),
            ("x".repeat(1 << 20), "far longer"),
        ];
        for (wrong, expected) in cases {
            let said = refusal(wrong.as_bytes());
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("hunter2") && !said.contains(&text[9..20]), "{said}");
        }
        assert!(refusal(&[0xff; 100]).contains("no join token"));
    }

    #[test]
    fn the_whole_output_of_invite_is_a_token_too() {
        let made = token();
        let printed = format!("{}\n\nlets 2 peers in until tomorrow\n", made.to_text());
        assert_eq!(read(&["-"], printed.as_bytes()).unwrap().token, made);
    }

    #[test]
    fn an_expired_token_is_told() {
        let args = TokenArgs { token: Some(token().to_text()), token_file: None };
        let problem = args.read_with(&b""[..], false, NOW_S + 60).unwrap_err();
        assert!(problem.message.contains("expired") && problem.code == Code::Usage);
    }

    #[test]
    fn a_token_has_one_place_to_come_from() {
        for words in [&["join"][..], &["join", "-", "--token-file", "x"]] {
            assert_eq!(Typed::try_parse_from(words).unwrap_err().exit_code(), 2);
        }
        let missing = read(&["--token-file", "/nonexistent/token"], b"").unwrap_err();
        assert_eq!(missing.code, Code::Usage);
    }
}
