//! What a host suffers from, beside being off or standing still.

use std::collections::VecDeque;
use std::time::Duration;

use plexmesh_proto::types::Time;

use super::micros;
use crate::host::MAX_INBOX;
use crate::transport::Arrival;

/// The troubles of one host.
#[derive(Debug, Default)]
pub(crate) struct Plight {
    /// How late everything reaches the process.
    slow_us: u64,
    /// What has not reached it yet, and when it does; in order.
    late: VecDeque<(Time, Arrival)>,
    starved: Option<Starved>,
    /// The end of a stall has been put into the queue, and what comes until then waits.
    pub(super) draining: bool,
    /// Whether the host or its paths are worse off than the scenario's base.
    impaired: bool,
    /// When that last ended.
    unimpaired_since: Time,
    /// Its operator took it out of the mesh.
    pub(super) left: bool,
}

/// A process that runs and stands still in turn.
#[derive(Clone, Copy, Debug)]
struct Starved {
    run_us: u64,
    stall_us: u64,
    /// Where in its turn it was when time began.
    phase_us: u64,
}

impl Plight {
    pub(super) fn set_slow(&mut self, by: Option<Duration>) {
        self.slow_us = by.map_or(0, micros);
    }

    /// `drawn` is below the length of a turn.
    pub(super) fn set_starved(&mut self, turn: Option<(Duration, Duration)>, drawn: u64) {
        self.starved = turn.map(|(run, stall)| Starved {
            run_us: micros(run),
            stall_us: micros(stall),
            phase_us: drawn,
        });
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.slow_us > 0 || self.starved.is_some()
    }

    /// When the process goes on; `None` if it runs.
    pub(super) fn stalls_until(&self, now: Time) -> Option<Time> {
        let Starved { run_us, stall_us, phase_us } = self.starved?;
        let turn_us = run_us.saturating_add(stall_us).max(1);
        let place = (now.0 + phase_us) % turn_us;
        (place >= run_us).then(|| now.plus(turn_us - place))
    }

    /// When something that comes now reaches the process; `None` at once.
    pub(super) fn reaches_at(&self, now: Time) -> Option<Time> {
        let before = self.late.back().map_or(Time(0), |(at, _)| *at);
        let at = now.plus(self.slow_us).max(before);
        (at > now).then_some(at)
    }

    /// Keeps something until it reaches the process; whether it is the first. Gives it back if
    /// there is no room.
    pub(super) fn put_off(&mut self, at: Time, arrival: Arrival) -> Result<bool, Arrival> {
        if self.late.len() >= MAX_INBOX {
            return Err(arrival);
        }
        self.late.push_back((at, arrival));
        Ok(self.late.len() == 1)
    }

    pub(super) fn take_late(&mut self, now: Time) -> Option<Arrival> {
        let is_due = self.late.front().is_some_and(|(at, _)| *at <= now);
        if is_due { self.late.pop_front().map(|(_, arrival)| arrival) } else { None }
    }

    pub(super) fn next_late(&self) -> Option<Time> {
        self.late.front().map(|(at, _)| *at)
    }

    pub(super) fn late(&self) -> usize {
        self.late.len()
    }

    pub(super) fn set_impaired(&mut self, impaired: bool, now: Time) {
        if self.impaired && !impaired {
            self.unimpaired_since = now;
        }
        self.impaired = impaired;
    }

    /// Since when it is not impaired; `None` if it is.
    pub(super) fn unimpaired_since(&self) -> Option<Time> {
        (!self.impaired).then_some(self.unimpaired_since)
    }

    /// The process ends.
    pub(crate) fn stop(&mut self) {
        self.late.clear();
        self.draining = false;
    }
}
