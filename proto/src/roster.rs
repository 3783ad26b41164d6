//! Who belongs to the mesh, derived from the view: members with a valid certificate, their reports, and the rings over them.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::record::{Certificate, Kind, LinkEdge, Links, Payload, Profile, Record};
use crate::ring::{self, Places, Rings};
use crate::types::{PeerId, Version};
use crate::view::{RecordStore, View};

/// One member.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who.
    pub id: PeerId,
    /// It left by its own word; it has no seat on the rings.
    pub left: bool,
    /// It signed two `Peer` or `Links` bodies under one version; its reports do not count.
    pub contradicts: bool,
    /// The highest version of its `Peer` and `Links` records: the last sign of life that all peers agree on.
    pub last_word: Version,
    peer: Arc<Record>,
    links: Option<Arc<Record>>,
    places: Places,
    /// Subjects as roster indices, parallel to the edges of its report; `None` for a subject that is no member.
    subjects: Vec<Option<u32>>,
    /// Roster indices of those that it names as its watchers.
    watchers: Vec<u32>,
}

impl Member {
    /// What it says of itself.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        match self.peer.payload() {
            Payload::Peer(profile, _) => Some(profile),
            _ => None,
        }
    }

    /// When the first of the records that it stands on stops to count, in Unix seconds.
    #[must_use]
    pub fn expires_s(&self) -> u64 {
        let links = self.links.as_ref().map_or(u64::MAX, |links| links.expires_s());
        self.peer.expires_s().min(links)
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match self.peer.payload() {
            Payload::Peer(_, certificate) => Some(certificate),
            _ => None,
        }
    }

    /// Its report as an observer.
    #[must_use]
    pub fn links(&self) -> Option<&Links> {
        match self.links.as_ref()?.payload() {
            Payload::Links(links) => Some(links),
            _ => None,
        }
    }

    /// Its report, edge by edge, with the subjects' roster indices. Empty if it contradicts itself or left.
    pub fn edges(&self) -> impl Iterator<Item = (u32, &LinkEdge)> {
        let counts = !self.contradicts && !self.left;
        let edges = self.links().filter(|_| counts).map_or(&[][..], |links| &links.edges);
        self.subjects.iter().zip(edges).filter_map(|(subject, edge)| Some(((*subject)?, edge)))
    }

    /// Roster indices of those whose probes it says that it hears. Empty if it contradicts itself or left.
    pub fn watchers(&self) -> impl Iterator<Item = u32> + '_ {
        let counts = !self.contradicts && !self.left;
        self.watchers.iter().copied().filter(move |_| counts)
    }

    /// What it reports of one subject.
    #[must_use]
    pub fn edge_to(&self, subject: u32) -> Option<&LinkEdge> {
        self.edges().find(|(other, _)| *other == subject).map(|(_, edge)| edge)
    }
}

/// All members in the order of their ids: the index of a member is the same at all peers with the same state.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    members: Vec<Member>,
    rings: Rings,
    touched: BTreeSet<PeerId>,
}

impl Roster {
    /// Notes that the view has something new of `origin`. Members and indices stay as they are until [`Self::refresh`].
    pub fn touch(&mut self, origin: PeerId) {
        self.touched.insert(origin);
    }

    /// Takes over what the view says of all touched origins.
    pub fn refresh<S: RecordStore>(&mut self, view: &View<S>, wall_s: u64) {
        let mut moved = false;
        let touched = core::mem::take(&mut self.touched);
        for origin in &touched {
            moved |= self.update(view, *origin, wall_s);
        }
        if moved {
            self.rings = Rings::build(self.members.iter().map(|m| (!m.left).then_some(m.places)));
        }
        // A change of membership moves indices, so all subjects are looked up again.
        for index in 0..self.members.len() {
            let Some(member) = self.members.get(index) else { break };
            if moved || touched.contains(&member.id) {
                let (subjects, watchers) = self.resolve(member);
                if let Some(member) = self.members.get_mut(index) {
                    (member.subjects, member.watchers) = (subjects, watchers);
                }
            }
        }
    }

    /// All members, those that left too, by rising id.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The rings over members that did not leave, as of the last refresh.
    #[must_use]
    pub const fn rings(&self) -> &Rings {
        &self.rings
    }

    /// The index of a member.
    #[must_use]
    pub fn index_of(&self, peer: &PeerId) -> Option<u32> {
        let index = self.members.binary_search_by(|member| member.id.cmp(peer)).ok()?;
        u32::try_from(index).ok()
    }

    /// The member at an index.
    #[must_use]
    pub fn member(&self, index: u32) -> Option<&Member> {
        self.members.get(index as usize)
    }

    /// A member by id.
    #[must_use]
    pub fn find(&self, peer: &PeerId) -> Option<&Member> {
        self.member(self.index_of(peer)?)
    }

    /// Gives whether the rings changed.
    fn update<S: RecordStore>(&mut self, view: &View<S>, origin: PeerId, wall_s: u64) -> bool {
        let place = self.members.binary_search_by(|member| member.id.cmp(&origin));
        match (place, self.derive(view, origin, wall_s)) {
            (Ok(index), Some(member)) => {
                let Some(old) = self.members.get_mut(index) else { return false };
                let moved = old.left != member.left || old.places != member.places;
                *old = member;
                moved
            }
            (Ok(index), None) => {
                self.members.remove(index);
                true
            }
            (Err(index), Some(member)) => {
                self.members.insert(index, member);
                true
            }
            (Err(_), None) => false,
        }
    }

    fn derive<S: RecordStore>(&self, view: &View<S>, id: PeerId, wall_s: u64) -> Option<Member> {
        let peer = view.get(id, Kind::PEER, wall_s)?;
        let Payload::Peer(_, certificate) = peer.payload() else { return None };
        if certificate.has_lapsed(wall_s) {
            return None;
        }
        let links = view.get(id, Kind::LINKS, wall_s);
        let left =
            view.get(id, Kind::LEAVE, wall_s).is_some_and(|leave| leave.version() > peer.version());
        let places = self
            .find(&id)
            .filter(|old| old.certificate() == Some(certificate))
            .map_or_else(|| ring::places(0, &id, &certificate.ring_nonce), |old| old.places);
        let last_word = links.as_ref().map_or(peer.version(), |l| l.version().max(peer.version()));
        let contradicts =
            [Kind::PEER, Kind::LINKS].iter().any(|kind| view.contradiction(id, *kind).is_some());
        let (subjects, watchers) = (Vec::new(), Vec::new());
        Some(Member { id, left, contradicts, last_word, peer, links, places, subjects, watchers })
    }

    fn resolve(&self, member: &Member) -> (Vec<Option<u32>>, Vec<u32>) {
        let Some(links) = member.links() else { return (Vec::new(), Vec::new()) };
        let subjects = links.edges.iter().map(|edge| self.index_of(&edge.subject)).collect();
        let watchers = links.watchers.iter().filter_map(|peer| self.index_of(peer)).collect();
        (subjects, watchers)
    }
}
