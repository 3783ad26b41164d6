//! Names of users.

use std::fs::File;
use std::io::Read;

/// Where the users of this host are.
const USER_FILE: &str = "/etc/passwd";
/// How much of it is read, in bytes: tens of thousands of users.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The name of a user; `None` if this host's own list has none. Directories over the network are not
/// asked: a change must not wait for them. Blocks.
pub(super) fn name_of(uid: u32) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(USER_FILE).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    name_in(&String::from_utf8_lossy(&bytes), uid)
}

/// The name in the text of a user file: lines of `name:password:uid:...`.
fn name_in(text: &str, uid: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let text = "root:x:0:0::/root:/bin/sh\nbroken\nalice:x:1042:7::/home/alice:/bin/sh\n";
        assert_eq!(name_in(text, 1_042).as_deref(), Some("alice"));
        assert_eq!(name_in(text, 7), None);
    }
}
