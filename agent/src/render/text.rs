//! Texts that came from elsewhere, and ids cut short.

use std::collections::{BTreeMap, BTreeSet};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::table::Cell;
use super::terminal::Screen;
use crate::api::schema::PeerRef;

/// Characters of a shortened id: the eight that all Ed25519 ids share and six that differ, of which
/// two among 5000 peers are equal once in a thousand meshes. Ids that still collide in one view are
/// shown longer.
const SHORT_ID: usize = 14;

/// A text that a peer chose, made safe to print: nothing in it moves the cursor or turns the
/// direction of writing.
#[must_use]
pub fn clean(screen: &Screen, text: &str) -> String {
    text.chars()
        .map(|letter| {
            let unsafe_here =
                letter.is_control() || turns(letter) || (!screen.unicode && !letter.is_ascii());
            if unsafe_here { '?' } else { letter }
        })
        .collect()
}

/// Whether a character changes the direction of writing, or takes no place of its own.
const fn turns(letter: char) -> bool {
    matches!(
        letter,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Columns that a text takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.width()
}

/// A text cut to a number of columns.
#[must_use]
pub fn cut(screen: &Screen, text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mark = if screen.unicode { "…" } else { "." };
    let mut left = width.saturating_sub(1);
    let mut short: String = text
        .chars()
        .take_while(|letter| {
            let fits = letter.width().unwrap_or(0) <= left;
            left = left.saturating_sub(letter.width().unwrap_or(0));
            fits
        })
        .collect();
    if width > 0 {
        short.push_str(mark);
    }
    short
}

/// How the peers of one view are called: by name where that is unambiguous, by shortened id else.
#[derive(Clone, Debug, Default)]
pub struct Names {
    labels: BTreeMap<String, String>,
    short: usize,
    wide: bool,
}

impl Names {
    /// Names for these peers.
    pub fn new<'a>(
        screen: &Screen,
        peers: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Self {
        let peers: BTreeMap<&str, Option<&str>> = peers.into_iter().collect();
        let short = if screen.full_ids { usize::MAX } else { unambiguous(peers.keys().copied()) };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in peers.values().copied().flatten() {
            *counts.entry(name).or_default() += 1;
        }
        let label = |(id, name): (&&str, &Option<&str>)| {
            let id_text = id.get(..short).unwrap_or(id);
            let label = match name {
                Some(name) if counts.get(name) == Some(&1) => clean(screen, name),
                Some(name) => format!("{} ({id_text})", clean(screen, name)),
                None => id_text.to_owned(),
            };
            ((*id).to_owned(), label)
        };
        Self { labels: peers.iter().map(label).collect(), short, wide: screen.wide }
    }

    /// Names for these peers.
    pub fn of<'a>(screen: &Screen, peers: impl IntoIterator<Item = &'a PeerRef>) -> Self {
        Self::new(screen, peers.into_iter().map(|peer| (peer.id.as_str(), peer.name.as_deref())))
    }

    /// A field with what a peer is called; a program gets its full id.
    #[must_use]
    pub fn cell(&self, id: &str) -> Cell {
        Cell::new(self.label(id)).exact(id)
    }

    /// What a peer is called.
    #[must_use]
    pub fn label(&self, id: &str) -> String {
        self.labels.get(id).cloned().unwrap_or_else(|| self.id(id))
    }

    /// A peer's id: full in wide views, else shortened.
    #[must_use]
    pub fn id(&self, id: &str) -> String {
        let length = if self.wide { id.len() } else { self.short.max(SHORT_ID) };
        id.get(..length).unwrap_or(id).to_owned()
    }
}

/// The least length, from [`SHORT_ID`] on, at which these ids differ.
fn unambiguous<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    let ids: BTreeSet<&str> = ids.collect();
    // In rising order the longest common beginning is between neighbours.
    let common = ids
        .iter()
        .zip(ids.iter().skip(1))
        .map(|(a, b)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count());
    common.max().map_or(SHORT_ID, |length| SHORT_ID.max(length + 1))
}

/// How far a clock is ahead, to be followed by what it is compared with.
#[must_use]
pub fn offset(ahead_seconds: f64) -> String {
    let side = if ahead_seconds < 0.0 { "behind" } else { "ahead of" };
    format!("{:.1} s {side}", ahead_seconds.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample::screen;

    #[test]
    fn a_peers_name_cannot_control_the_terminal() {
        let name = "a\x1b[2Jb\u{202e}c\r\n";
        assert_eq!(clean(&screen(), name), "a?[2Jb?c??");
    }

    #[test]
    fn ids_are_as_long_as_it_takes_to_tell_them_apart() {
        let (a, b) = ("12D3KooWAAAAAAAAAAxx", "12D3KooWAAAAAAAAAAyy");
        let names = Names::new(&screen(), [(a, None), (b, None)]);
        assert_eq!(names.label(a), "12D3KooWAAAAAAAAAAx");
        let names = Names::new(&screen(), [(a, None)]);
        assert_eq!(names.label(a), "12D3KooWAAAAAA");
    }

    #[test]
    fn equal_names_are_told_apart_by_id() {
        let (a, b) = ("12D3KooWAAAAAAAA", "12D3KooWBBBBBBBB");
        let names = Names::new(&screen(), [(a, Some("x")), (b, Some("x"))]);
        assert_eq!(names.label(a), "x (12D3KooWAAAAAA)");
    }

    #[test]
    fn a_cut_text_counts_columns_not_letters() {
        assert_eq!(cut(&screen(), "abcdef", 4), "abc…");
        assert_eq!(cut(&screen(), "語語語", 5), "語語…");
    }
}
