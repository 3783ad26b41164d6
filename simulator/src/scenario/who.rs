//! Sets of peers.

use serde::{Deserialize, Serialize};

/// A set of peers. In a file: a count (drawn), a share like `"5%"` (drawn, at least one), a list of
/// indices, a range like `"10..20"`, `"all"`, or the name of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Who {
    /// So many, drawn.
    Count(usize),
    /// These.
    Listed(Vec<usize>),
    /// A share, a range, `all` or a group's name, as written.
    Named(String),
}

/// What a [`Who`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice<'a> {
    /// So many, drawn.
    Count(usize),
    /// So many per cent, drawn.
    Share(f64),
    /// These.
    Listed(&'a [usize]),
    /// From one up to and without another.
    Range(usize, usize),
    /// Everybody.
    All,
    /// A group.
    Group(&'a str),
}

/// How to write a set of peers.
pub(crate) const FORMS: &str = "a count, a share like \"5%\", a list of indices like [0, 3], \
                                a range like \"10..20\", \"all\", or the name of a group";

impl Who {
    /// What it says.
    ///
    /// # Errors
    /// If it says nothing that could be understood: what is wrong with it.
    pub fn choice(&self) -> Result<Choice<'_>, String> {
        match self {
            Self::Count(0) => Err("no peers at all".to_owned()),
            Self::Count(count) => Ok(Choice::Count(*count)),
            Self::Listed(peers) => listed(peers),
            Self::Named(text) => named(text.trim()),
        }
    }

    /// Whether which peers these are is left to the dice.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        matches!(self.choice(), Ok(Choice::Count(_) | Choice::Share(_)))
    }
}

impl Choice<'_> {
    /// How many peers are to be drawn, of so many.
    #[must_use]
    pub fn drawn_of(&self, peers: usize) -> Option<usize> {
        match self {
            Self::Count(count) => Some(*count),
            // Multiplication, division and truncation are the same on every machine.
            Self::Share(share) => Some(((peers as f64 * share / 100.0 + 0.5) as usize).max(1)),
            _ => None,
        }
    }
}

/// Whether a group may have this name: nothing that could be another form of [`Who`].
pub(crate) fn is_group_name(text: &str) -> bool {
    text != "all"
        && text.starts_with(|first: char| first.is_alphabetic())
        && text.chars().all(|each| each.is_alphanumeric() || each == '-' || each == '_')
}

fn listed(peers: &[usize]) -> Result<Choice<'_>, String> {
    let mut sorted = peers.to_vec();
    sorted.sort_unstable();
    let twice = sorted.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    });
    match twice {
        Some(peer) => Err(format!("peer {peer} is listed twice")),
        None if peers.is_empty() => Err("an empty list of peers".to_owned()),
        None => Ok(Choice::Listed(peers)),
    }
}

fn named(text: &str) -> Result<Choice<'_>, String> {
    if text == "all" {
        return Ok(Choice::All);
    }
    if let Some(share) = text.strip_suffix('%') {
        let share: Option<f64> = share.trim_end().parse().ok();
        return share
            .filter(|share| *share > 0.0 && *share <= 100.0)
            .map(Choice::Share)
            .ok_or_else(|| format!("`{text}` is no share above 0% and up to 100%"));
    }
    if let Some((from, to)) = text.split_once("..") {
        let range = from.trim().parse().ok().zip(to.trim().parse().ok());
        return range
            .filter(|(from, to)| from < to)
            .map(|(from, to)| Choice::Range(from, to))
            .ok_or_else(|| format!("`{text}` is no range whose end lies behind its beginning"));
    }
    if is_group_name(text) {
        return Ok(Choice::Group(text));
    }
    Err(format!("`{text}` is no set of peers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        let named = |text: &str| Who::Named(text.to_owned());
        assert_eq!(Who::Count(3).choice(), Ok(Choice::Count(3)));
        assert_eq!(Who::Listed(vec![4, 1]).choice(), Ok(Choice::Listed(&[4, 1])));
        assert_eq!(named("2.5 %").choice(), Ok(Choice::Share(2.5)));
        assert_eq!(named("10 .. 20").choice(), Ok(Choice::Range(10, 20)));
        assert_eq!(named("all").choice(), Ok(Choice::All));
        assert_eq!(named("laptops").choice(), Ok(Choice::Group("laptops")));
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in
            ["0%", "101%", "NaN%", "inf%", "-3%", "%", "5..5", "9..2", "a..b", "", "5", "a b"]
        {
            assert!(Who::Named(text.to_owned()).choice().is_err(), "{text}");
        }
        assert!(Who::Count(0).choice().is_err());
        assert!(Who::Listed(vec![]).choice().is_err());
        assert!(Who::Listed(vec![1, 2, 1]).choice().is_err());
    }

    #[test]
    fn a_share_is_at_least_one() {
        let drawn = |share, peers| Choice::Share(share).drawn_of(peers);
        assert_eq!(drawn(1.0, 20), Some(1));
        assert_eq!(drawn(30.0, 25), Some(8));
        assert_eq!(drawn(100.0, 25), Some(25));
    }
}
