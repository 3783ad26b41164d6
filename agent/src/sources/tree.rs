//! A tree of files, whose ids are their paths.

use std::io::{self, ErrorKind};

use super::layout::OWN_MANIFEST;
use super::root::{Entry, Root, is_off_limits};
use super::scan::{Directory, Scan};
use super::{MAX_SHARDS, SourceFault};

/// How deep a tree is followed: deeper than any storage lays its files.
const MAX_DEPTH: usize = 16;
/// Longest path below the root, in bytes.
const MAX_PATH_BYTES: usize = 1_024;

/// All directories below the root. Those that may not be read are refused and counted; the root itself
/// has to be readable.
pub(super) fn scan(root: &Root, scan: &mut Scan) -> Result<(), SourceFault> {
    let is_own = |name: &str| name == OWN_MANIFEST;
    scan.add(root, &|name| !is_off_limits(name) && !is_own(name))?;
    let mut waiting: Vec<(String, usize)> = Vec::new();
    let mut refused = scan.directories.first().map_or(0, |it| wait_for(it, 0, &mut waiting));
    while let Some((path, depth)) = waiting.pop() {
        let directory = descend(root, &path);
        // It went away since it was listed.
        if directory.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            continue;
        }
        let added = scan.add_below(path, directory, &|name| !is_off_limits(name));
        refused += added.map_or(0, |added| wait_for(added, depth, &mut waiting));
    }
    scan.refused += refused;
    Ok(())
}

/// Has the directories in one scanned; how many are left alone.
fn wait_for(directory: &Directory, depth: usize, waiting: &mut Vec<(String, usize)>) -> usize {
    let mut refused = 0;
    for (name, entry) in directory.found.iter() {
        if !matches!(entry, Ok(Some(Entry::Directory))) {
            continue;
        }
        // As many directories as shards may wait: an empty tree can be endless too.
        match path_of(directory, name) {
            Some(path) if depth < MAX_DEPTH && waiting.len() < MAX_SHARDS => {
                waiting.push((path, depth + 1));
            }
            _ => refused += 1,
        }
    }
    refused
}

/// The path of an entry below the root; `None` if it is too long.
pub(super) fn path_of(directory: &Directory, name: &str) -> Option<String> {
    let path = match directory.path.as_str() {
        "" => name.to_owned(),
        above => format!("{above}/{name}"),
    };
    (path.len() <= MAX_PATH_BYTES).then_some(path)
}

/// The id of a file by its path in a manifest; `None` if it is none that would be listed.
pub(super) fn path_id(path: &str) -> Option<&str> {
    let listed = path.len() <= MAX_PATH_BYTES
        && path != OWN_MANIFEST
        && path.split('/').count() <= MAX_DEPTH + 1
        && path
            .split('/')
            .all(|part| !is_off_limits(part) && !part.contains('\0') && checked(part).is_ok());
    listed.then_some(path)
}

/// Calls `with` with the directory and the name of a file; no link is followed on the way.
pub(super) fn at<T>(
    root: &Root,
    path: &str,
    with: &dyn Fn(&Root, &str) -> io::Result<T>,
) -> io::Result<T> {
    match path.rsplit_once('/') {
        Some((directory, name)) => with(&descend(root, directory)?, name),
        None => with(root, path),
    }
}

fn descend(root: &Root, path: &str) -> io::Result<Root> {
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    let mut at = root.child(checked(first)?)?;
    for part in parts {
        at = at.child(checked(part)?)?;
    }
    Ok(at)
}

/// A part of a path that leads down and nowhere else.
pub(super) fn checked(part: &str) -> io::Result<&str> {
    if matches!(part, "" | "." | "..") {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a path that leaves its root"));
    }
    Ok(part)
}
