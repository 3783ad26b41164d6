//! How often broadcasts of one origin are passed on: a member that speaks without end is not to have the whole mesh repeat it.

use alloc::collections::BTreeMap;

use crate::types::{MILLI, PeerId, Time};

/// What an origin may have passed on, evenly: several times what one says whose links all change again and again.
const INTERVAL: u64 = 100 * MILLI;
/// What it may have passed on at once: an admin that gives a new secret to all of a mesh says one thing to each.
const BURST: u64 = 256;
/// Origins remembered, those that speak most; with them goes what they owe. More than a mesh has that spoke within the seconds that a burst is paid off in.
const MAX_ORIGINS: usize = 8_192;

/// What origins said lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When what each had passed on is paid off.
    paid_off: BTreeMap<PeerId, Time>,
}

impl Pace {
    /// Whether one more broadcast of an origin is passed on now; if so it is counted.
    pub(super) fn takes(&mut self, origin: PeerId, now: Time) -> bool {
        let due = self.paid_off.get(&origin).copied().unwrap_or(now).max(now);
        if due.since(now) > INTERVAL * (BURST - 1) {
            return false;
        }
        if self.paid_off.len() >= MAX_ORIGINS {
            self.paid_off.retain(|_, due| *due > now);
        }
        if self.paid_off.len() < MAX_ORIGINS || self.paid_off.contains_key(&origin) {
            self.paid_off.insert(origin, due.plus(INTERVAL));
        }
        true
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
        let taken = (0..2 * BURST).filter(|_| pace.takes(loud, now)).count();
        assert_eq!(taken as u64, BURST);
        assert!(pace.takes(quiet, now));
        assert!(pace.takes(loud, now.plus(INTERVAL)) && !pace.takes(loud, now.plus(INTERVAL)));
    }

    #[test]
    fn so_many_origins_are_remembered_and_no_more() {
        let mut pace = Pace::default();
        for number in 0..2 * MAX_ORIGINS {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(number as u64).to_le_bytes());
            assert!(pace.takes(PeerId(id), Time(0)));
        }
        assert_eq!(pace.paid_off.len(), MAX_ORIGINS);
    }
}
