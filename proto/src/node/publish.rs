//! When this peer publishes what.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

use super::Node;
use crate::exchange::pacing::{BROADCAST_TRAVEL, heartbeat_interval};
use crate::latency;
use crate::membership::Haste;
use crate::port::{Crypto, Output};
use crate::record::{Heartbeat, Kind, Links, Payload, Record, Resources};
use crate::types::{MILLI, Now, SECOND, Time, Version};
use crate::view::RecordStore;

/// How long a starting peer waits to hear of its own earlier versions before it publishes.
const START_HOLD: u64 = 3 * SECOND;
/// What an earlier start reported is left alone for this long, for connections and first probes: a peer that restarts and hears whom it heard before has nothing to
/// tell, and a mesh of which a third restarts at once is spared a broadcast from each.
const RESUME_QUIET: u64 = 5 * SECOND;
/// A change that does not bring a loss waits this long for others to share its record: rings that move make many small ones.
const GATHER: u64 = SECOND;
/// A subject that was found waits this long for others: when a path is back they come within a few round trips of each other.
const GATHER_FOUND: u64 = 200 * MILLI;
/// `Links` records that may follow each other at once: check and loss of three subjects, and what had just been published before.
const LINKS_BURST: u32 = 8;
/// One more `Links` record per this much time: a loss that finds no token waits no longer, and a peer whose edges flip all the time costs the mesh two broadcasts a
/// second.
const LINKS_REFILL: u64 = 500 * MILLI;
/// Part of their interval by which heartbeats are spread: enough that peers which started together do not speak together for long, and the oldest figures are hardly older for it.
const HEARTBEAT_JITTER: u64 = 8;
/// Heartbeats ahead of time are this far apart at least.
const HEARTBEAT_GAP: u64 = 5 * SECOND;
/// A heartbeat is valid for this many intervals, so that two may get lost.
const HEARTBEAT_LIVES: u64 = 3;
/// And this much longer, for the way through the mesh.
const HEARTBEAT_TRAVEL_S: u64 = 60;
/// Shares of a resource, per mille, whose crossing is told at once: the warning and critical levels of storage operations.
const LEVELS: [u32; 2] = [800, 900];

/// What this peer has to publish, and when.
#[derive(Debug)]
pub(super) struct Publisher {
    instance: u64,
    started: Time,
    hold_until: Option<Time>,
    /// Kinds that still say what an earlier start said, and until when nobody need look.
    kept: BTreeMap<Kind, Time>,
    due: BTreeMap<Kind, Time>,
    links_tokens: u32,
    links_refilled: Time,
    last_links: Option<Links>,
    last_heartbeat: Option<Time>,
    first_version: Option<Version>,
    last_state: Option<(Version, Time)>,
    resources: Resources,
}

impl Publisher {
    pub(super) const fn new(instance: u64, now: Time) -> Self {
        Self {
            instance,
            started: now,
            hold_until: Some(now),
            kept: BTreeMap::new(),
            due: BTreeMap::new(),
            links_tokens: LINKS_BURST,
            links_refilled: now,
            last_links: None,
            last_heartbeat: None,
            first_version: None,
            last_state: None,
            resources: Resources {
                cpu_permille: None,
                memory_permille: None,
                disk_total_mib: None,
                disk_free_mib: None,
                load_centi: None,
            },
        }
    }

    /// The random number that tells this start from others.
    pub(super) const fn instance(&self) -> u64 {
        self.instance
    }

    /// When this start began.
    pub(super) const fn started(&self) -> Time {
        self.started
    }

    /// Begins; a peer that is not alone first asks for its own earlier versions.
    pub(super) fn start(&mut self, now: Time, alone: bool) {
        self.started = now;
        self.hold_until = Some(if alone { now } else { now.plus(START_HOLD) });
    }

    /// A neighbour told the highest version that it knows of this peer.
    pub(super) fn heard_of_own_versions(&mut self, now: Time) {
        if let Some(hold) = &mut self.hold_until {
            *hold = now.min(*hold);
        }
    }

    /// Whether this start had published before `version` was made: then a stranger's word under it is a clone's, not a remnant.
    pub(super) fn spoke_before(&self, version: Version) -> bool {
        self.first_version.is_some_and(|first| first < version)
    }

    /// The version of the last state record, once its broadcast has had the time to arrive: a neighbour that lacks it then missed it, and is given it.
    pub(super) fn settled_version(&self, now: Time) -> Option<Version> {
        let (version, at) = self.last_state?;
        (now.since(at) >= BROADCAST_TRAVEL).then_some(version)
    }

    /// Makes the next `Links` go out even if they say the same as the last.
    pub(super) fn forget_links(&mut self) {
        self.last_links = None;
    }

    /// Asks for a publication; it is skipped if nothing changed by then.
    pub(super) fn request(&mut self, kind: Kind, now: Time, haste: Haste) {
        let gap = self.last_heartbeat.filter(|_| kind == Kind::HEARTBEAT);
        let earliest = gap.map_or(now, |last| last.plus(HEARTBEAT_GAP));
        let kept = self.kept.get(&kind).filter(|_| haste != Haste::AtOnce && kind == Kind::LINKS);
        let earliest = kept.map_or(earliest, |until| earliest.max(*until));
        let gather = match haste {
            Haste::AtOnce => 0,
            Haste::Soon => GATHER_FOUND,
            Haste::Later => GATHER,
        };
        self.request_at(kind, now.plus(gather).max(earliest));
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.hold_until.or_else(|| self.due.values().min().copied())
    }

    /// Takes in new readings; whether one crossed a level.
    pub(super) fn set_resources(&mut self, resources: Resources) -> bool {
        let crossed = levels(&self.resources) != levels(&resources);
        let first = self.resources == Resources::default();
        self.resources = resources;
        crossed && !first
    }

    /// Asks for a publication at a time.
    pub(super) fn request_at(&mut self, kind: Kind, at: Time) {
        let due = self.due.entry(kind).or_insert(at);
        *due = at.min(*due);
    }

    /// The next kind that is due.
    fn take_due(&mut self, now: Time) -> Option<Kind> {
        if self.hold_until.is_some_and(|hold| now >= hold) {
            self.hold_until = None;
            for kind in [Kind::PEER, Kind::LINKS, Kind::HEARTBEAT] {
                let at = self.kept.get(&kind).map_or(now, |until| now.max(*until));
                self.due.insert(kind, at);
            }
            if self.kept.contains_key(&Kind::PEER) {
                self.due.remove(&Kind::PEER);
            }
        }
        if self.hold_until.is_some() {
            return None;
        }
        let kind = *self.due.iter().find(|(_, at)| **at <= now)?.0;
        self.due.remove(&kind);
        Some(kind)
    }

    /// Whether a `Links` record may go out now; if not, asks again for when it may.
    fn take_links_token(&mut self, now: Time) -> bool {
        let earned = now.since(self.links_refilled) / LINKS_REFILL;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(LINKS_BURST);
            self.links_tokens = self.links_tokens.saturating_add(earned).min(LINKS_BURST);
            self.links_refilled = now;
        }
        if self.links_tokens == 0 {
            self.due.insert(Kind::LINKS, self.links_refilled.plus(LINKS_REFILL));
            return false;
        }
        self.links_tokens -= 1;
        true
    }
}

impl<C: Crypto, S: RecordStore> Node<C, S> {
    /// Takes over what this peer said before it was stopped and what still holds.
    pub(super) fn resume(&mut self, now: Now) {
        let me = self.me();
        let own = |kind| self.view.get(me, kind, now.wall_s());
        let mut kept = BTreeMap::new();
        if let Some(Payload::Peer(profile, certificate)) =
            own(Kind::PEER).as_deref().map(Record::payload)
            && own(Kind::LEAVE).is_none()
            && *profile == self.config.profile
            && **certificate == self.config.certificate
        {
            kept.insert(Kind::PEER, now.time);
        }
        if let Some(Payload::Links(links)) = own(Kind::LINKS).as_deref().map(Record::payload) {
            kept.insert(Kind::LINKS, now.time.plus(RESUME_QUIET));
            self.membership.remember(links);
            self.publisher.last_links = Some(links.clone());
        }
        if let Some(heartbeat) = own(Kind::HEARTBEAT) {
            let interval_ms = heartbeat_interval(self.roster.rings().len()) / MILLI;
            let age_ms = now.wall_ms.saturating_sub(heartbeat.version().ms());
            let left_ms = interval_ms.saturating_sub(age_ms);
            kept.insert(Kind::HEARTBEAT, now.time.plus(left_ms * MILLI));
        }
        self.publisher.kept = kept;
    }

    /// Publishes all that is due.
    pub(super) fn publish_due(&mut self, now: Now) {
        if self.left {
            return;
        }
        while let Some(kind) = self.publisher.take_due(now.time) {
            match kind {
                Kind::PEER => {
                    let certificate = Box::new(self.config.certificate.clone());
                    self.publish(Payload::Peer(self.config.profile.clone(), certificate), now);
                }
                Kind::LINKS => self.publish_links(now),
                Kind::HEARTBEAT => self.publish_heartbeat(now),
                Kind::FINDING => self.publish_findings(now),
                _ => {}
            }
        }
    }

    pub(super) fn publish_leave(&mut self, reason: String, now: Now) {
        self.publish(Payload::leave(reason), now);
    }

    fn publish_links(&mut self, now: Now) {
        let links = self.membership.links(now.time);
        if self.publisher.last_links.as_ref() == Some(&links) {
            return;
        }
        if self.publisher.take_links_token(now.time) {
            self.publisher.last_links = Some(links.clone());
            self.publish(Payload::Links(links), now);
        }
    }

    fn publish_heartbeat(&mut self, now: Now) {
        let interval = heartbeat_interval(self.roster.rings().len());
        let jitter = self.crypto.random_u64() % (interval / HEARTBEAT_JITTER);
        self.publisher.last_heartbeat = Some(now.time);
        let pause = interval - interval / (2 * HEARTBEAT_JITTER) + jitter;
        self.publisher.due.insert(Kind::HEARTBEAT, now.time.plus(pause));
        let uptime_s = now.time.since(self.publisher.started) / SECOND;
        let heartbeat = Heartbeat {
            instance: self.publisher.instance,
            uptime_s: u32::try_from(uptime_s).unwrap_or(u32::MAX),
            resources: self.publisher.resources,
            coordinate: self.latency.packed_coordinate(),
            edges: latency::pack_edges(self.membership.edge_stats()),
            inventory: self.shards.inventory().cloned(),
            revocations: self.admissions.acknowledgement(),
            key_epoch: self.config.key_epoch,
        };
        self.publish(Payload::Heartbeat(heartbeat), now);
    }

    /// Signs, keeps and sends out what this peer says.
    pub(super) fn publish(&mut self, payload: Payload, now: Now) {
        let expires_s = if payload.kind().is_state() {
            self.config.certificate.not_after_s
        } else {
            let interval = heartbeat_interval(self.roster.rings().len());
            let lives_s = HEARTBEAT_LIVES * interval / SECOND + HEARTBEAT_TRAVEL_S;
            // From the hybrid time: where the own clock is behind, the others would drop it at once.
            let hybrid_s = self.clock.last().ms().max(now.wall_ms) / 1_000;
            (hybrid_s + lives_s).min(self.config.certificate.not_after_s)
        };
        self.publish_until(payload, expires_s, now);
    }

    /// As [`Self::publish`], for what stops to count at a time of its own.
    pub(super) fn publish_until(&mut self, payload: Payload, expires_s: u64, now: Now) {
        let kind = payload.kind();
        let version = self.clock.tick(now.wall_ms);
        self.publisher.first_version.get_or_insert(version);
        let (mesh, me) = (self.config.mesh, self.me());
        let record =
            Arc::new(Record::sign(&mut self.crypto, &mesh, me, version, expires_s, payload));
        if !self.view.merge(&record, None, now.wall_s()).changed() {
            self.count("own_record_not_taken");
            return;
        }
        if kind.is_state() {
            self.publisher.last_state = Some((version, now.time));
            self.exchange.state_changed(now.time);
            self.roster.touch(me);
            self.need_evaluation(now.time);
            self.outputs.push_back(Output::Broadcast(record));
        }
        if kind.is_admission() {
            self.update_admissions(now);
        }
    }
}

/// Which level each resource has reached.
fn levels(resources: &Resources) -> [Option<usize>; 3] {
    let disk = resources.disk_total_mib.zip(resources.disk_free_mib).and_then(|(total, free)| {
        let used = total.saturating_sub(free).saturating_mul(1_000).checked_div(total)?;
        u32::try_from(used).ok()
    });
    [resources.cpu_permille, resources.memory_permille, disk]
        .map(|share| share.map(|share| LEVELS.iter().filter(|level| share >= **level).count()))
}
