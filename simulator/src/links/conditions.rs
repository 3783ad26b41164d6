//! What paths do to packets, in the units of the packet path.

use crate::dice::Chance;
use crate::scenario::Conditions;

use super::burst::BurstModel;

/// [`Conditions`] with probabilities as thresholds. `None` leaves the word to whoever is next: a
/// path asks its own rules, then those of its ends, then those of all paths.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    pub(super) jitter_us: Option<u64>,
    pub(super) loss: Option<Chance>,
    pub(super) burst: Option<BurstModel>,
    pub(super) duplicate: Option<Chance>,
    pub(super) reorder: Option<HoldUp>,
    pub(super) up_kbps: Option<u64>,
    pub(super) down_kbps: Option<u64>,
}

/// Packets that fall behind later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HoldUp {
    pub(super) share: Chance,
    pub(super) by_us: u64,
}

/// What one path does to packets, all rules considered; bandwidth belongs to its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) jitter_us: u64,
    pub(super) loss: Chance,
    /// Bursts of the sender's access or of the path, and of the receiver's access.
    pub(super) bursts: [Option<BurstModel>; 2],
    pub(super) duplicate: Chance,
    pub(super) reorder: Option<HoldUp>,
}

impl From<&Conditions> for Rules {
    fn from(conditions: &Conditions) -> Self {
        Self {
            jitter_us: conditions.jitter.map(|span| span.micros()),
            loss: conditions.loss.map(Chance::new),
            burst: conditions.burst.as_ref().map(BurstModel::new),
            duplicate: conditions.duplicate.map(Chance::new),
            reorder: conditions.reorder.map(|reorder| HoldUp {
                share: Chance::new(reorder.share),
                by_us: reorder.by.micros(),
            }),
            up_kbps: conditions.up_kbps,
            down_kbps: conditions.down_kbps,
        }
    }
}

impl Rules {
    pub(crate) fn of_jitter_and_loss(jitter_us: u64, loss: Chance) -> Self {
        Self { jitter_us: Some(jitter_us), loss: Some(loss), ..Self::default() }
    }

    /// These rules, and `below` where they are silent.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            jitter_us: self.jitter_us.or(below.jitter_us),
            loss: self.loss.or(below.loss),
            burst: self.burst.or(below.burst),
            duplicate: self.duplicate.or(below.duplicate),
            reorder: self.reorder.or(below.reorder),
            up_kbps: self.up_kbps.or(below.up_kbps),
            down_kbps: self.down_kbps.or(below.down_kbps),
        }
    }

    /// Whether there is nothing in it but jitter and independent losses.
    pub(super) fn is_plain(&self) -> bool {
        *self == Self { jitter_us: self.jitter_us, loss: self.loss, ..Self::default() }
    }

    /// Whether anything in it is worse for those who use the path than `other`.
    pub(super) fn is_worse_than(&self, other: &Self) -> bool {
        let share = |rules: &Self| rules.reorder.map_or(Chance::NEVER, |reorder| reorder.share);
        let slower = |mine: Option<u64>, theirs: Option<u64>| {
            mine.unwrap_or(u64::MAX) < theirs.unwrap_or(u64::MAX)
        };
        self.jitter_us.unwrap_or(0) > other.jitter_us.unwrap_or(0)
            || self.loss.unwrap_or_default() > other.loss.unwrap_or_default()
            || (self.burst.is_some() && self.burst != other.burst)
            || share(self) > share(other)
            || slower(self.up_kbps, other.up_kbps)
            || slower(self.down_kbps, other.down_kbps)
    }
}

impl Path {
    /// What a path does under the rules of all paths, of both ends, and its own. Where both ends
    /// have a rule, a packet passes through both.
    pub(super) fn resolve(
        all: &Rules,
        sender: Option<Rules>,
        receiver: Option<Rules>,
        own: Option<Rules>,
    ) -> Self {
        let (own, sender) = (own.unwrap_or_default(), sender.unwrap_or_default());
        let receiver = receiver.unwrap_or_default();
        let chance = |pick: fn(&Rules) -> Option<Chance>| {
            let ends = both(pick(&sender), pick(&receiver), Chance::or);
            pick(&own).or(ends).or(pick(all)).unwrap_or_default()
        };
        let jitter_us = both(sender.jitter_us, receiver.jitter_us, u64::saturating_add);
        let reorder = both(sender.reorder, receiver.reorder, |a, b| HoldUp {
            share: a.share.or(b.share),
            by_us: a.by_us.max(b.by_us),
        });
        let bursts = match (own.burst, sender.burst, receiver.burst) {
            (Some(burst), _, _) => [Some(burst), None],
            (None, None, None) => [all.burst, None],
            (None, sender, receiver) => [sender, receiver],
        };
        Self {
            jitter_us: own.jitter_us.or(jitter_us).or(all.jitter_us).unwrap_or(0),
            loss: chance(|rules| rules.loss),
            bursts,
            duplicate: chance(|rules| rules.duplicate),
            reorder: own.reorder.or(reorder).or(all.reorder),
        }
    }
}

fn both<T>(a: Option<T>, b: Option<T>, join: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(join(a, b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losing(loss: f64) -> Rules {
        Rules { loss: Some(Chance::new(loss)), ..Rules::default() }
    }

    #[test]
    fn an_end_replaces_what_all_paths_do_and_two_ends_add_up() {
        let all = losing(0.5);
        let one = Path::resolve(&all, Some(losing(0.25)), None, None);
        assert_eq!(one.loss, Chance::new(0.25));
        let two = Path::resolve(&all, Some(losing(0.25)), Some(losing(0.25)), None);
        assert_eq!(two.loss, Chance::new(0.4375));
        let own = Path::resolve(&all, Some(losing(0.25)), Some(losing(0.25)), Some(losing(0.0)));
        assert_eq!(own.loss, Chance::NEVER);
    }

    #[test]
    fn worse_is_more_loss_or_less_bandwidth_and_not_the_reverse() {
        let slow = Rules { up_kbps: Some(64), ..losing(0.1) };
        assert!(slow.is_worse_than(&losing(0.1)) && !losing(0.1).is_worse_than(&slow));
        assert!(losing(0.2).is_worse_than(&losing(0.1)));
        assert!(!losing(0.1).is_worse_than(&losing(0.1)));
    }
}
