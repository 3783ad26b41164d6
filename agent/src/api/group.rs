//! The group that may ask over the local socket.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, chown};
use thiserror::Error;

/// Where the system's groups are.
const GROUP_FILE: &str = "/etc/group";
/// How much of it is read, in bytes: thousands of groups with many users.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As the configuration has it.
    pub name: String,
    /// Its number.
    pub id: u32,
}

/// Why a group cannot have the socket.
#[derive(Debug, Error)]
pub enum GroupError {
    /// No such group.
    #[error(
        "there is no group `{name}` in {GROUP_FILE}, which agent.socket_group names; make it with \
         `groupadd --system {name}`, or name another one, or give its number"
    )]
    Unknown {
        /// What was named.
        name: String,
    },
    /// The groups cannot be looked up.
    #[error("cannot read {GROUP_FILE} to look up `{name}`: {source}; give the group's number")]
    Lookup {
        /// What was named.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The system refuses.
    #[error(
        "cannot give {} to the group `{name}`: {source}; the agent's user has to be in that group, \
         or root", .path.display()
    )]
    Refused {
        /// The socket.
        path: PathBuf,
        /// The group.
        name: String,
        /// Why.
        source: io::Error,
    },
}

/// The group with this name, or with this number, whatever names it.
///
/// # Errors
/// If there is none, or the groups cannot be read.
pub fn find(name: &str) -> Result<Group, GroupError> {
    if let Ok(id) = name.parse() {
        return Ok(Group { name: name.to_owned(), id });
    }
    let lookup = |source| GroupError::Lookup { name: name.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(GROUP_FILE).map_err(lookup)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(lookup)?;
    find_in(&String::from_utf8_lossy(&bytes), name)
        .map(|id| Group { name: name.to_owned(), id })
        .ok_or_else(|| GroupError::Unknown { name: name.to_owned() })
}

/// The number of a group in the text of a group file: lines of `name:password:number:users`.
fn find_in(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

/// Gives a socket to a group; its owner stays.
///
/// # Errors
/// If the system refuses.
pub fn give(socket: &Path, group: &Group) -> Result<(), GroupError> {
    chown(socket, None, Some(Gid::from_raw(group.id))).map_err(|error| GroupError::Refused {
        path: socket.to_owned(),
        name: group.name.clone(),
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let text = "root:x:0:\nplexmesh-web:x:7:\nbroken\nplexmesh:x:1042:alice,bob\n";
        assert_eq!(find_in(text, "plexmesh"), Some(1_042));
        assert_eq!(find_in(text, "plex"), None);
        assert_eq!(find_in(text, "broken"), None);
    }

    #[test]
    fn a_number_needs_no_name() {
        assert_eq!(find("1042").unwrap().id, 1_042);
    }

    #[test]
    fn a_group_that_is_not_there_is_named_with_what_to_do() {
        let text = find("no-such-group-here").unwrap_err().to_string();
        assert!(text.contains("no-such-group-here") && text.contains("groupadd"), "{text}");
    }
}
