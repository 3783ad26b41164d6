//! A tap on the world: what nodes told, and which record came to whom from whom. Off unless asked
//! for; it only listens, so that a run with a tap has the same hash as one without.

use std::sync::Arc;

use plexmesh_proto::Event;
use plexmesh_proto::record::{Payload, Record};
use plexmesh_proto::types::{PeerId, Time};

use super::World;
use crate::transport::Message;

/// Most notes of one tap: at 80 bytes each they take at most 80 MiB. Further ones are counted.
const MAX_NOTES: usize = 1 << 20;

/// What a tap listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapFilter {
    /// From here on.
    pub from: Time,
    /// Until here, the end included.
    pub until: Time,
    /// Only what this peer does, and what is said about it.
    pub about: Option<PeerId>,
    /// Whether it notes what nodes tell about themselves, beside records.
    pub events: bool,
}

/// How a record came to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Passed on as a broadcast.
    Broadcast,
    /// Asked for in an exchange.
    Answer,
    /// Sent along with a request of an exchange.
    Request,
}

/// Something that was noted.
#[derive(Clone, Debug)]
pub struct Note {
    /// When.
    pub at: Time,
    /// At which host.
    pub host: usize,
    /// What.
    pub what: Noted,
}

/// What was noted.
#[derive(Clone, Debug)]
pub enum Noted {
    /// A node told something.
    Told(Event),
    /// A node published a record of its own.
    Published(Arc<Record>),
    /// A record came that the host did not hold.
    Came {
        /// What.
        record: Arc<Record>,
        /// The host that sent it.
        from: usize,
        /// How.
        way: Way,
        /// Whether the node took it over.
        taken: bool,
    },
}

/// What a tap heard. Heartbeats are left out: they say nothing about the state of a peer.
#[derive(Clone, Debug)]
pub struct Tap {
    filter: TapFilter,
    notes: Vec<Note>,
    omitted: u64,
}

impl Tap {
    /// Notes in the order in which things happened.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What was not noted because there was too much.
    #[must_use]
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }

    fn listens(&self, now: Time) -> bool {
        (self.filter.from..=self.filter.until).contains(&now)
    }

    fn wants(&self, record: &Record) -> bool {
        record.kind().is_state() && self.filter.about.is_none_or(|peer| concerns(record, &peer))
    }

    fn note(&mut self, at: Time, host: usize, what: Noted) -> Option<usize> {
        if self.notes.len() >= MAX_NOTES {
            self.omitted += 1;
            return None;
        }
        self.notes.push(Note { at, host, what });
        Some(self.notes.len() - 1)
    }
}

/// Whether a record is of a peer, or says something about it.
#[must_use]
pub fn concerns(record: &Record, peer: &PeerId) -> bool {
    record.origin() == *peer
        || matches!(record.payload(), Payload::Links(links)
            if links.edges.iter().any(|edge| edge.subject == *peer))
}

impl World {
    /// Listens from now on; what an earlier tap heard is dropped.
    pub fn set_tap(&mut self, filter: TapFilter) {
        self.tap = Some(Box::new(Tap { filter, notes: Vec::new(), omitted: 0 }));
    }

    /// What the tap heard; `None` without one.
    #[must_use]
    pub fn tap(&self) -> Option<&Tap> {
        self.tap.as_deref()
    }

    /// Notes the records of a message that are new to its receiver, before it takes them. Gives the
    /// places of the notes.
    pub(super) fn tap_incoming(&mut self, at: usize, from: usize, message: &Message) -> Vec<usize> {
        let Some(tap) = self.tap.as_ref().filter(|tap| tap.listens(self.now)) else {
            return Vec::new();
        };
        let (records, way) = match message {
            Message::Broadcast(record) => (std::slice::from_ref(record), Way::Broadcast),
            Message::Answer { answer, .. } => (answer.records.as_slice(), Way::Answer),
            Message::Request { request, .. } => (request.push.as_slice(), Way::Request),
            Message::Frame(_) | Message::Have(_) | Message::Want(_) => return Vec::new(),
        };
        let wanted = |record: &&Arc<Record>| tap.wants(record) && !self.holds(at, record);
        let fresh: Vec<Arc<Record>> = records.iter().filter(wanted).cloned().collect();
        let Some(tap) = &mut self.tap else { return Vec::new() };
        let now = self.now;
        let note = |record| tap.note(now, at, Noted::Came { record, from, way, taken: false });
        fresh.into_iter().filter_map(note).collect()
    }

    /// Looks which of the noted records the node took.
    pub(super) fn tap_taken(&mut self, places: Vec<usize>) {
        for place in places {
            let note = self.tap.as_ref().and_then(|tap| tap.notes.get(place));
            let Some(Note { host, what: Noted::Came { record, .. }, .. }) = note else { continue };
            let held = self.holds(*host, record);
            let note = self.tap.as_mut().and_then(|tap| tap.notes.get_mut(place));
            if let Some(Note { what: Noted::Came { taken, .. }, .. }) = note {
                *taken = held;
            }
        }
    }

    pub(super) fn tap_published(&mut self, host: usize, record: &Arc<Record>) {
        let now = self.now;
        if let Some(tap) = &mut self.tap
            && tap.listens(now)
            && tap.wants(record)
        {
            tap.note(now, host, Noted::Published(record.clone()));
        }
    }

    pub(super) fn tap_told(&mut self, host: usize, event: &Event) {
        let (now, own) = (self.now, self.peer_id(host));
        if let Some(tap) = &mut self.tap
            && tap.filter.events
            && tap.listens(now)
            && tap.filter.about.is_none_or(|peer| own == Some(peer) || is_about(event, &peer))
        {
            tap.note(now, host, Noted::Told(event.clone()));
        }
    }

    /// Whether exactly this record stands in a host's view.
    fn holds(&self, host: usize, record: &Record) -> bool {
        let now = self.now_at(host);
        let held =
            self.node(host).and_then(|node| node.record(record.origin(), record.kind(), now));
        held.is_some_and(|held| *held == *record)
    }
}

fn is_about(event: &Event, peer: &PeerId) -> bool {
    match event {
        Event::PeerJoined { peer: about, .. }
        | Event::PeerStateChanged { peer: about, .. }
        | Event::EdgeChanged { subject: about, .. }
        | Event::Equivocation { peer: about }
        | Event::ShardsChanged { peer: about, .. }
        | Event::ClockSkew { peer: about, .. } => about == peer,
        _ => false,
    }
}
