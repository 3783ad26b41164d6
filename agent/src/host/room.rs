//! The room that the data directory takes: looked at every minute, and held below a cap. What was set
//! aside there is told as long as it lies there.
//!
//! What goes is what nobody needs to run: databases that did not open and were set aside. Identity,
//! certificate, `mesh.toml`, keys, store, inventory and the audit log stay whatever they take; the
//! log's rotated files too, as they are evidence and bounded by themselves.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::report::{HealthCode, Severity};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::settings::Settings;

/// Room with which the store can hardly be written any more, in bytes.
pub const FULL_BYTES: u64 = 16 * MIB;
const MIB: u64 = 1024 * 1024;
/// Between two looks. A directory of some hundred files is walked in a millisecond.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Files and directories that a look counts; an agent makes some hundred at the most.
const MAX_ENTRIES: usize = 100_000;
/// How deep they lie at the most; an agent's lie two deep.
const MAX_DEPTH: usize = 8;
/// What a database that was set aside is called, before the time at which that was.
const SET_ASIDE: [&str; 2] = ["store.unreadable-", "inventory.unreadable-"];
/// Things that a finding names: the first few explain it.
const NAMED: usize = 3;

/// What is wrong with a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub code: HealthCode,
    /// How soon somebody is to look at it.
    pub severity: Severity,
    /// What speaks for it, in one English sentence.
    pub evidence: String,
}

/// Looks every minute, and at once when the cap changes; tells what comes of it. Ends with the
/// settings.
pub async fn watch(
    mut settings: watch::Receiver<Arc<Settings>>,
    told: watch::Sender<Vec<Trouble>>,
) {
    loop {
        let (dir, cap) = {
            let settings = settings.borrow_and_update();
            (settings.data_dir.clone(), settings.max_data_bytes)
        };
        let looked = tokio::task::spawn_blocking(move || look(&dir, cap, free_bytes(&dir)));
        match looked.await {
            Ok(Ok(troubles)) => tell(&told, troubles),
            Ok(Err(error)) => tracing::debug!(%error, "the data directory cannot be looked at"),
            Err(error) => tracing::warn!(%error, "looking at the data directory failed"),
        }
        if let Ok(Err(_)) = timeout(LOOK_INTERVAL, settings.changed()).await {
            return;
        }
    }
}

fn tell(told: &watch::Sender<Vec<Trouble>>, troubles: Vec<Trouble>) {
    let known = |it: &Trouble| told.borrow().iter().any(|known| known.code == it.code);
    for new in troubles.iter().filter(|it| !known(it)) {
        tracing::warn!("{}", new.evidence);
    }
    told.send_replace(troubles);
}

/// Makes room as far as it may, and finds what is wrong then.
fn look(dir: &Path, cap: u64, free: Option<u64>) -> io::Result<Vec<Trouble>> {
    let shortage = make_room(dir, cap, free)?;
    Ok(shortage.into_iter().chain(kept_aside(dir)?).collect())
}

/// Databases that were set aside and nobody has deleted.
fn kept_aside(dir: &Path) -> io::Result<Option<Trouble>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)?.take(MAX_ENTRIES) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if set_aside_at(&name, &entry.path()).is_some() {
            names.push(name);
        }
    }
    names.sort();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok((!names.is_empty()).then(|| Trouble {
        code: HealthCode::DatabaseSetAside,
        severity: Severity::Low,
        evidence: format!("{}{more} did not open and was set aside", names.join(", ")),
    }))
}

/// Room that is left on the file system, in bytes; `None` if it does not say.
fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Something directly in the data directory, with all that lies in it.
#[derive(Debug)]
struct Thing {
    name: String,
    path: PathBuf,
    bytes: u64,
}

/// Removes what may go, the oldest first, until the rest is within the cap and the file system has
/// room. Gives what is still short then.
///
/// # Errors
/// If the directory cannot be listed.
fn make_room(dir: &Path, cap: u64, free: Option<u64>) -> io::Result<Option<Trouble>> {
    let mut things = things(dir)?;
    let (mut used, mut free) = (things.iter().map(|it| it.bytes).sum::<u64>(), free);
    let mut aside: Vec<(u64, usize)> = things
        .iter()
        .enumerate()
        .filter_map(|(place, thing)| Some((set_aside_at(&thing.name, &thing.path)?, place)))
        .collect();
    aside.sort_unstable();
    for (_, place) in aside {
        if used <= cap && free.is_none_or(|free| free >= FULL_BYTES) {
            break;
        }
        let Some(thing) = things.get_mut(place) else { continue };
        match fs::remove_dir_all(&thing.path) {
            Ok(()) => {
                tracing::warn!(
                    removed = %thing.path.display(), bytes = thing.bytes,
                    "a database that was set aside is removed: the data directory has too little room"
                );
                let gone = std::mem::take(&mut thing.bytes);
                used = used.saturating_sub(gone);
                free = free.map(|free| free.saturating_add(gone));
            }
            Err(error) => tracing::warn!(%error, path = %thing.path.display(), "cannot be removed"),
        }
    }
    things.sort_by_key(|thing| std::cmp::Reverse(thing.bytes));
    Ok(shortage(&things, used, cap, free))
}

fn shortage(largest: &[Thing], used: u64, cap: u64, free: Option<u64>) -> Option<Trouble> {
    let short = |severity, evidence| Trouble { code: HealthCode::DataDirFull, severity, evidence };
    let takes: Vec<String> = largest
        .iter()
        .take(NAMED)
        .filter(|thing| thing.bytes > 0)
        .map(|thing| format!("{} takes {}", thing.name, amount(thing.bytes)))
        .collect();
    let takes = takes.join(", ");
    if let Some(free) = free.filter(|free| *free < FULL_BYTES) {
        let free = amount(free);
        let evidence = format!(
            "{free} are left on the file system of the data directory, which takes {}: {takes}",
            amount(used)
        );
        return Some(short(Severity::High, evidence));
    }
    let evidence =
        || format!("the data directory takes {}, of {}: {takes}", amount(used), amount(cap));
    (used > cap).then(|| short(Severity::Medium, evidence()))
}

/// The second at which a database was set aside; `None` for all else.
fn set_aside_at(name: &str, path: &Path) -> Option<u64> {
    let digits = SET_ASIDE.iter().find_map(|start| name.strip_prefix(start))?;
    let is_dir = fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    digits.parse().ok().filter(|_| is_dir)
}

fn things(dir: &Path) -> io::Result<Vec<Thing>> {
    let mut left = MAX_ENTRIES;
    let mut things = Vec::new();
    for entry in fs::read_dir(dir)?.take(MAX_ENTRIES) {
        let entry = entry?;
        let bytes = weigh(&entry, MAX_DEPTH, &mut left);
        let name = entry.file_name().to_string_lossy().into_owned();
        things.push(Thing { name, path: entry.path(), bytes });
    }
    Ok(things)
}

/// What an entry takes on the disk, links not followed. What vanishes meanwhile takes nothing.
fn weigh(entry: &DirEntry, depth: usize, left: &mut usize) -> u64 {
    /// The unit of `st_blocks`, whatever the file system's own is.
    const BLOCK: u64 = 512;
    let Some(rest) = left.checked_sub(1) else { return 0 };
    *left = rest;
    let Ok(metadata) = entry.metadata() else { return 0 };
    let own = metadata.blocks().saturating_mul(BLOCK);
    if !metadata.is_dir() || depth == 0 {
        return own;
    }
    let inside = fs::read_dir(entry.path()).into_iter().flatten().flatten();
    inside.fold(own, |sum, entry| sum.saturating_add(weigh(&entry, depth - 1, left)))
}

/// Bytes for a sentence.
fn amount(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Option<u64> = Some(1 << 40);

    fn dir_with(files: &[(&str, u64)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, mib) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![1; usize::try_from(mib * MIB).unwrap()]).unwrap();
        }
        dir
    }

    fn left(dir: &tempfile::TempDir) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_set_aside_goes_the_oldest_first_and_no_more_than_needed() {
        let dir = dir_with(&[
            ("store.unreadable-900/db", 2),
            ("inventory.unreadable-1000/db", 2),
            ("store.unreadable-1100/db", 2),
            ("store/db", 2),
        ]);
        assert_eq!(make_room(dir.path(), 7 * MIB, PLENTY).unwrap(), None);
        assert_eq!(left(&dir), ["inventory.unreadable-1000", "store", "store.unreadable-1100"]);
        assert_eq!(make_room(dir.path(), 3 * MIB, PLENTY).unwrap(), None);
        assert_eq!(left(&dir), ["store"]);
    }

    #[test]
    fn what_was_set_aside_is_told_until_it_is_deleted() {
        let dir = dir_with(&[("store.unreadable-900/db", 1), ("store/db", 1)]);
        let told = look(dir.path(), 1 << 30, PLENTY).unwrap();
        let [Trouble { code: HealthCode::DatabaseSetAside, evidence, .. }] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!(evidence, "store.unreadable-900 did not open and was set aside");
        fs::remove_dir_all(dir.path().join("store.unreadable-900")).unwrap();
        assert_eq!(look(dir.path(), 1 << 30, PLENTY).unwrap(), []);
    }

    #[test]
    fn nothing_else_goes_and_what_takes_the_room_is_told() {
        let names = [
            "audit.log",
            "audit.log.1",
            "authority.key",
            "certificate",
            "identity.key",
            "inventory",
            "mesh.toml",
            "store",
            "store.unreadable-",
            "store.unreadable-x",
        ];
        let files: Vec<(&str, u64)> = names.into_iter().zip(1..).collect();
        let dir = dir_with(&files);
        // A link is not followed, and not taken for a database.
        std::os::unix::fs::symlink(dir.path(), dir.path().join("store.unreadable-5")).unwrap();
        let short = make_room(dir.path(), MIB, PLENTY).unwrap().unwrap();
        assert_eq!(short.severity, Severity::Medium);
        let told = "the data directory takes 55 MiB, of 1 MiB: store.unreadable-x takes 10 MiB, \
            store.unreadable- takes 9 MiB, store takes 8 MiB";
        assert_eq!(short.evidence, told);
        assert_eq!(left(&dir).len(), names.len() + 1);
    }

    #[test]
    fn a_full_file_system_is_a_shortage_below_the_cap_too() {
        let dir = dir_with(&[("store.unreadable-900/db", 1), ("store/db", 2)]);
        let short = make_room(dir.path(), 1 << 30, Some(MIB)).unwrap().unwrap();
        assert_eq!(short.severity, Severity::High);
        assert!(short.evidence.starts_with("3 MiB are left"), "{}", short.evidence);
        assert_eq!(left(&dir), ["store"]);
        assert_eq!(make_room(dir.path(), 1 << 30, None).unwrap(), None);
    }
}
