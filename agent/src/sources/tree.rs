//! A tree of files, whose ids are their paths.

use std::io::{self, ErrorKind};

use super::layout::OWN_MANIFEST;
use super::root::{Entry, Root, is_off_limits};
use super::{Found, Listing, MAX_SHARDS, SourceFault};

/// How deep a tree is followed: deeper than any storage lays its files.
const MAX_DEPTH: usize = 16;
/// Longest path below the root, in bytes.
const MAX_PATH_BYTES: usize = 1_024;

/// All regular files below the root. Directories that may not be read are refused and counted; the
/// root itself has to be readable.
pub(super) fn list(root: &Root, listing: &mut Listing) -> Result<(), SourceFault> {
    let mut waiting: Vec<(String, usize)> = Vec::new();
    walk(root, "", 0, listing, &mut waiting)?;
    while let Some((path, depth)) = waiting.pop() {
        let walked = match descend(root, &path) {
            // It went away since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(_) => false,
            Ok(directory) => walk(&directory, &path, depth, listing, &mut waiting).is_ok(),
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
    path: &str,
    depth: usize,
    listing: &mut Listing,
    waiting: &mut Vec<(String, usize)>,
) -> Result<(), SourceFault> {
    let mut denied = false;
    directory.names(&mut |name| {
        let Some(name) = name else {
            listing.refused += 1;
            return;
        };
        if is_off_limits(name) || (path.is_empty() && name == OWN_MANIFEST) {
            return;
        }
        let full = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let entry = match directory.entry(name) {
            Ok(Some(entry)) => entry,
            Ok(None) => return,
            Err(error) => {
                denied |= error.kind() == ErrorKind::PermissionDenied;
                listing.closed.insert(full.into());
                return;
            }
        };
        let room = full.len() <= MAX_PATH_BYTES && listing.shards.len() < MAX_SHARDS;
        match entry {
            Entry::File(facts) if room => {
                let found = Found { record: None, file: Some(facts) };
                listing.shards.insert(full.into(), found);
            }
            // As many directories as shards may wait: an empty tree can be endless too.
            Entry::Directory if room && depth < MAX_DEPTH && waiting.len() < MAX_SHARDS => {
                waiting.push((full, depth + 1));
            }
            Entry::File(_) | Entry::Directory | Entry::Other => listing.refused += 1,
        }
    })?;
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
