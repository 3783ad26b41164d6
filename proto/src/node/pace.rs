//! How many broadcasts of one origin are taken and passed on: a member that speaks without end is not to have the whole mesh check and repeat it.

use alloc::collections::BTreeMap;

use crate::types::{MILLI, PeerId, Time};

/// What an origin may say, evenly: several times what one says whose links all change again and again.
const INTERVAL: u64 = 100 * MILLI;
/// What it may say at once: an admin that gives a new secret to all of a mesh says one thing to each.
const BURST: u64 = 256;
/// Origins remembered, those that speak most; with them goes what they owe. More than a mesh has that spoke within the seconds that a burst is paid off in.
const MAX_ORIGINS: usize = 8_192;

/// What origins said lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When what each said is paid off.
    paid_off: BTreeMap<PeerId, Time>,
}

impl Pace {
    /// Whether one more broadcast of an origin is taken now.
    pub(super) fn allows(&self, origin: &PeerId, now: Time) -> bool {
        self.paid_off.get(origin).is_none_or(|due| due.since(now) <= INTERVAL * (BURST - 1))
    }

    /// Counts one.
    pub(super) fn take(&mut self, origin: PeerId, now: Time) {
        if self.paid_off.len() >= MAX_ORIGINS {
            self.paid_off.retain(|_, due| *due > now);
        }
        if self.paid_off.len() < MAX_ORIGINS || self.paid_off.contains_key(&origin) {
            let due = self.paid_off.entry(origin).or_insert(now);
            *due = (*due).max(now).plus(INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SECOND;

    #[test]
    fn an_origin_has_its_burst_and_then_its_rate_and_others_have_theirs() {
        let (mut pace, now) = (Pace::default(), Time(SECOND));
        let (loud, quiet) = (PeerId([1; 32]), PeerId([2; 32]));
        let mut takes = |origin: PeerId, now| {
            let allowed = pace.allows(&origin, now);
            if allowed {
                pace.take(origin, now);
            }
            allowed
        };
        let taken = (0..2 * BURST).filter(|_| takes(loud, now)).count();
        assert_eq!(taken as u64, BURST);
        assert!(takes(quiet, now));
        assert!(takes(loud, now.plus(INTERVAL)) && !takes(loud, now.plus(INTERVAL)));
    }

    #[test]
    fn so_many_origins_are_remembered_and_no_more() {
        let mut pace = Pace::default();
        for number in 0..2 * MAX_ORIGINS {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(number as u64).to_le_bytes());
            pace.take(PeerId(id), Time(0));
        }
        assert_eq!(pace.paid_off.len(), MAX_ORIGINS);
    }
}
