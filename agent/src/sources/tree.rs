//! A tree of files, whose ids are their paths.

use std::io::{self, ErrorKind};

use super::layout::OWN_MANIFEST;
use super::root::{Entry, Root, is_off_limits};
use super::{FileFacts, Listing, MAX_SHARDS, SourceFault};

/// How deep a tree is followed: deeper than any storage lays its files.
const MAX_DEPTH: usize = 16;
/// Longest path below the root, in bytes.
const MAX_PATH_BYTES: usize = 1_024;

/// All regular files below the root. Directories that may not be read are refused and counted; the
/// root itself has to be readable.
pub(super) fn list(
    root: &Root,
    files: &mut Vec<(Box<str>, FileFacts)>,
    listing: &mut Listing,
) -> Result<(), SourceFault> {
    let mut waiting: Vec<(String, usize)> = Vec::new();
    walk(root, ("", 0), files, listing, &mut waiting)?;
    while let Some((path, depth)) = waiting.pop() {
        let walked = match descend(root, &path) {
            // It went away since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(_) => false,
            Ok(directory) => walk(&directory, (&path, depth), files, listing, &mut waiting).is_ok(),
        };
        if !walked {
            listing.refused += 1;
            listing.closed.insert(path.into());
        }
    }
    Ok(())
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

fn walk(
    directory: &Root,
    (path, depth): (&str, usize),
    files: &mut Vec<(Box<str>, FileFacts)>,
    listing: &mut Listing,
    waiting: &mut Vec<(String, usize)>,
) -> Result<(), SourceFault> {
    let is_own = |name: &str| path.is_empty() && name == OWN_MANIFEST;
    let entries = directory.entries(&|name| !is_off_limits(name) && !is_own(name))?;
    listing.refused += entries.unnamed;
    let (mut denied, before) = (false, waiting.len());
    for (name, entry) in entries.found {
        let full = if path.is_empty() { name } else { format!("{path}/{name}") };
        let room = full.len() <= MAX_PATH_BYTES && files.len() < MAX_SHARDS;
        match entry {
            Ok(Some(Entry::File(facts))) if room => {
                files.push((full.into(), facts));
            }
            // As many directories as shards may wait: an empty tree can be endless too.
            Ok(Some(Entry::Directory))
                if room && depth < MAX_DEPTH && waiting.len() < MAX_SHARDS =>
            {
                waiting.push((full, depth + 1));
            }
            Ok(Some(_)) => listing.refused += 1,
            Ok(None) => {}
            Err(error) => {
                denied |= error.kind() == ErrorKind::PermissionDenied;
                listing.closed.insert(full.into());
            }
        }
    }
    // The last is walked first: all in the order of their names.
    waiting.get_mut(before..).unwrap_or_default().reverse();
    directory.searched(denied)
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
