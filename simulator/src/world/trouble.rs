//! What goes wrong with hosts and paths, and how it is made good again.

use std::time::Duration;

use plexmesh_proto::port::Input;

use super::{Happening, World, micros};
use crate::dice::Chance;
use crate::links::{Fate, Load};
use crate::scenario::Conditions;
use crate::transport::{Arrival, Power};

impl World {
    /// Stops a process as SIGSTOP does: its kernel goes on taking packets in.
    pub fn pause(&mut self, host: usize) {
        if self.transport.power(host) != Power::On {
            return;
        }
        let now = self.now;
        if let Some(place) = self.hosts.get_mut(host).filter(|place| place.node.is_some()) {
            place.well_since = None;
            self.transport.pause(host, now);
        }
    }

    /// Lets a paused process go on: what came meanwhile and the overdue timer come now, in an order
    /// that the seed decides.
    pub fn resume(&mut self, host: usize) {
        if matches!(self.transport.power(host), Power::Paused(_)) {
            self.transport.resume(host, self.now);
            self.go_on(host);
        }
    }

    /// Puts a whole host to sleep, as the lid of a laptop does: nothing goes in or out, its process
    /// keeps its memory, and its clocks go on.
    pub fn sleep(&mut self, host: usize) {
        let now = self.now;
        if self.transport.power(host) == Power::On
            && let Some(place) = self.hosts.get_mut(host).filter(|place| place.node.is_some())
        {
            place.well_since = None;
            self.transport.sleep(host, now);
        }
    }

    /// Wakes a host: its timers are overdue, and it still believes in its connections.
    pub fn wake(&mut self, host: usize) {
        if matches!(self.transport.power(host), Power::Asleep(_)) {
            self.transport.wake(host);
            self.go_on(host);
        }
    }

    /// Makes everything reach a process this much late.
    pub fn set_slow(&mut self, host: usize, by: Option<Duration>) {
        if let Some(place) = self.hosts.get_mut(host) {
            place.plight.set_slow(by);
        }
        self.note_impairment(host);
    }

    /// Lets a process run for a while, then stand still for a while, and so on: what comes then
    /// waits, and its timers fire late. Its kernel takes packets in, and QUIC's own timers go on.
    pub fn set_starved(&mut self, host: usize, turn: Option<(Duration, Duration)>) {
        let turn_us = turn.map_or(0, |(run, stall)| micros(run).saturating_add(micros(stall)));
        let phase_us = self.dice.below(turn_us);
        if let Some(place) = self.hosts.get_mut(host) {
            place.plight.set_starved(turn, phase_us);
        }
        self.note_impairment(host);
    }

    /// Cuts the path from one host to another; the way back stays.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.links.cut(from, to, self.now);
        [from, to].into_iter().for_each(|host| self.note_impairment(host));
    }

    /// Mends one cut.
    pub fn mend(&mut self, from: usize, to: usize) {
        self.links.mend(from, to, self.now);
        [from, to].into_iter().for_each(|host| self.note_impairment(host));
    }

    /// Separates groups of hosts from each other; hosts in none of them form one more group. Ends
    /// the partition before.
    pub fn partition(&mut self, groups: &[&[usize]]) {
        self.links.partition(groups, self.now);
    }

    /// Ends the partition and mends all cuts.
    pub fn heal(&mut self) {
        self.links.heal(self.now);
        self.note_all_impairments();
    }

    /// Sets the probability from 0 to 1 that a packet is lost, on every path that has none of its
    /// own.
    pub fn set_loss(&mut self, probability: f64) {
        self.links.set_loss(Chance::new(probability));
        self.after_change();
    }

    /// Sets the probability that a packet from one host to another is lost; `None` goes back to
    /// that of all paths.
    pub fn set_pair_loss(&mut self, from: usize, to: usize, probability: Option<f64>) {
        self.links.set_pair_loss(from, to, probability.map(Chance::new));
        self.after_change();
    }

    /// Sets the probabilities from 0 to 1 that a host loses a packet that comes in and one that
    /// goes out, beside what its paths lose.
    pub fn set_host_loss(&mut self, host: usize, ingress: f64, egress: f64) {
        self.links.set_host_loss(host, Chance::new(ingress), Chance::new(egress));
        self.after_change();
    }

    /// Sets what all paths do to packets; what is left out goes back to the base. While no time has
    /// passed this sets the base itself.
    pub fn set_conditions(&mut self, conditions: &Conditions) {
        self.links.set_conditions(conditions);
        self.after_change();
    }

    /// Sets what the access of a host does to packets, both ways, in place of what all paths do;
    /// where both ends of a path have conditions, a packet passes through both. What is left out,
    /// and `None`, goes back to the base. While no time has passed this sets the base itself.
    pub fn set_host_conditions(&mut self, host: usize, conditions: Option<&Conditions>) {
        self.links.set_host(host, conditions);
        self.after_change();
    }

    /// Sets what the path from one host to another does to packets, in place of all else that is
    /// said of it; bandwidths, which belong to hosts, have no effect here.
    pub fn set_path_conditions(&mut self, from: usize, to: usize, conditions: Option<&Conditions>) {
        self.links.set_pair(from, to, conditions.map(Into::into));
        self.after_change();
    }

    /// Makes the conditions that hold now the base that [`Self::heal_all`] goes back to.
    pub fn keep_as_base(&mut self) {
        self.links.keep_as_base();
        self.note_all_impairments();
    }

    /// Makes everything good that can be: no cut, no partition, the conditions of the base, no host
    /// asleep, paused, slow or starved. Crashed hosts stay off, clocks and lies stay as they are.
    pub fn heal_all(&mut self) {
        self.links.restore(self.now);
        for host in 0..self.hosts.len() {
            self.set_slow(host, None);
            if let Some(place) = self.hosts.get_mut(host) {
                place.plight.set_starved(None, 0);
            }
            self.resume(host);
            self.wake(host);
        }
        self.note_all_impairments();
    }

    /// Sets a host's wall clock ahead of the world's, or behind it, in milliseconds.
    pub fn set_clock_offset(&mut self, host: usize, offset_ms: i64) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.clock_offset_ms = offset_ms;
        }
    }

    /// Sends one packet from one host to another, outside of all connections, and tells what
    /// becomes of it: for those who measure a path. It takes its share of bandwidth; no draw of the
    /// world changes.
    pub fn try_path(&mut self, from: usize, to: usize, bytes: usize) -> Fate {
        self.links.send(self.now, Load { from, to, bytes, packets: 1 }, &mut self.trial_dice)
    }

    /// Something reached a host.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(arrival.at).filter(|host| host.node.is_some()) else {
            return;
        };
        let Some(at) = host.plight.reaches_at(now) else {
            self.reach(arrival);
            return;
        };
        let (index, start) = (arrival.at, host.starts);
        match host.plight.put_off(at, arrival) {
            Ok(true) => self.queue.push(at, Happening::Late { host: index, start }),
            Ok(false) => {}
            Err(_) => host.inbox_dropped += 1,
        }
    }

    /// What a slow host took in earlier reaches its process.
    pub(super) fn on_late(&mut self, index: usize, start: u64) {
        let now = self.now;
        while let Some(arrival) = self
            .hosts
            .get_mut(index)
            .filter(|host| host.starts == start)
            .and_then(|host| host.plight.take_late(now))
        {
            self.reach(arrival);
        }
        let host = self.hosts.get(index).filter(|host| host.starts == start);
        if let Some(at) = host.and_then(|host| host.plight.next_late()) {
            self.queue.push(at, Happening::Late { host: index, start });
        }
    }

    /// Puts something aside if the process stands still; gives it back if it runs.
    pub(super) fn hold_back(&mut self, arrival: Arrival) -> Option<Arrival> {
        let now = self.now;
        let index = arrival.at;
        let host = self.hosts.get_mut(index).filter(|host| host.node.is_some())?;
        if self.transport.power(index) != Power::On {
            host.put_aside(arrival);
            return None;
        }
        let stall = host.plight.stalls_until(now);
        if stall.is_none() && !host.plight.draining {
            return Some(arrival);
        }
        host.put_aside(arrival);
        if let (Some(until), false) = (stall, host.plight.draining) {
            host.plight.draining = true;
            self.queue.push(until, Happening::Drain { host: index, start: host.starts });
        }
        None
    }

    /// A stall is over: what waited comes.
    pub(super) fn on_drain(&mut self, index: usize, start: u64) {
        let Some(host) = self.hosts.get_mut(index).filter(|host| host.starts == start) else {
            return;
        };
        host.plight.draining = false;
        if self.transport.power(index) == Power::On {
            for arrival in host.take_inbox() {
                self.reach(arrival);
            }
        }
    }

    /// A process goes on after it stood still.
    fn go_on(&mut self, host: usize) {
        let timer_first = self.dice.below(2) == 0;
        let Some(place) = self.hosts.get_mut(host) else { return };
        place.well_since = Some(self.now);
        place.armed = None;
        let inbox = place.take_inbox();
        let stalls = place.plight.stalls_until(self.now).is_some();
        if timer_first && !stalls {
            self.feed(host, Input::Tick, 0);
        }
        for arrival in inbox {
            self.reach(arrival);
        }
        self.arm(host);
        self.settle();
    }

    fn after_change(&mut self) {
        if self.now.0 == 0 {
            self.links.keep_as_base();
        }
        self.note_all_impairments();
    }

    fn note_all_impairments(&mut self) {
        (0..self.hosts.len()).for_each(|host| self.note_impairment(host));
    }

    fn note_impairment(&mut self, host: usize) {
        let others = self.hosts.len().saturating_sub(1);
        let (into, out) = self.links.cut_ways(host);
        let secluded = 2 * into.max(out) >= others.max(1);
        let impaired = secluded || self.links.is_impaired(host);
        if let Some(place) = self.hosts.get_mut(host) {
            let impaired = impaired || place.plight.is_troubled();
            place.plight.set_impaired(impaired, self.now);
        }
    }
}
