//! What passed on a path: for those who measure a fault on the link.

use super::{Fate, Load};

/// Most delays that one path remembers: a hundred packets a second for ten minutes.
const MAX_DELAYS: usize = 60_000;

/// Counts of one direction of one path since it is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathStats {
    /// Loads (a message's packets, sent together) that were sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Those that arrived.
    pub arrived: u64,
    /// Those that the network lost.
    pub lost: u64,
    /// Those that met a cut.
    pub blocked: u64,
    /// Those that met a full queue.
    pub dropped: u64,
    /// Packets that came once more.
    pub duplicated: u64,
    /// Those that fell behind.
    pub held_up: u64,
    /// Longest wait for a line, in microseconds.
    pub longest_queue_us: u64,
    /// How long each that arrived took, in microseconds, in the order of sending; the first 60,000.
    pub delays_us: Vec<u64>,
}

impl PathStats {
    pub(super) fn note(&mut self, load: Load, fate: Fate) {
        self.sent += 1;
        self.sent_bytes += load.bytes as u64;
        match fate {
            Fate::Arrives { after_us, queued_us, copies, held_up } => {
                self.arrived += 1;
                self.duplicated += u64::from(copies);
                self.held_up += u64::from(held_up);
                self.longest_queue_us = self.longest_queue_us.max(queued_us);
                if self.delays_us.len() < MAX_DELAYS {
                    self.delays_us.push(after_us);
                }
            }
            Fate::Lost => self.lost += 1,
            Fate::Blocked => self.blocked += 1,
            Fate::Dropped => self.dropped += 1,
        }
    }

    /// The delay that a share (0 to 1) of what arrived does not exceed, in microseconds; `None` if
    /// nothing arrived.
    #[must_use]
    pub fn delay_quantile_us(&self, share: f64) -> Option<u64> {
        let mut delays = self.delays_us.clone();
        delays.sort_unstable();
        let last = delays.len().checked_sub(1)?;
        delays.get((share.clamp(0.0, 1.0) * last as f64) as usize).copied()
    }
}
