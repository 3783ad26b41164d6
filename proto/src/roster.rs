//! Who belongs to the mesh, derived from the view: members with a valid certificate, their reports, and the rings over them.
//!
//! A node of a mesh of ten thousand holds as many members, so a member is little more than two pointers: ids and rings, which depend on the membership
//! alone, come from the store port and may be shared, and what observers report stands packed in one arena.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::admission::Admissions;
use crate::record::{Certificate, Kind, LinkEdge, Links, Payload, Profile, Record};
use crate::ring::{self, Rings, Standing};
use crate::types::{PeerId, Version};
use crate::view::{RecordStore, View};

mod sightings;

pub use sightings::Sighting;

use sightings::{Arena, Before, Place};

/// One member.
#[derive(Clone, Debug)]
pub struct Member {
    peer: Arc<Record>,
    links: Option<Arc<Record>>,
    place: Place,
    /// It left by its own word; it has no seat on the rings.
    pub left: bool,
    /// It signed two `Peer` or `Links` bodies under one version; its reports do not count.
    pub contradicts: bool,
}

impl Member {
    /// Who.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.peer.origin()
    }

    /// The highest version of its `Peer` and `Links` records: the last sign of life that all peers agree on.
    #[must_use]
    pub fn last_word(&self) -> Version {
        let links = self.links.as_ref().map_or(Version::default(), |links| links.version());
        self.peer.version().max(links)
    }

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

    /// Whether its reports count.
    const fn counts(&self) -> bool {
        !self.contradicts && !self.left
    }
}

/// What a refresh of the roster changed, for those who derive more from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Members came, went or moved on the rings: indices of before are void.
    pub rebuilt: bool,
    /// Somebody reports otherwise whom it hears or by whom it is heard.
    pub relinked: bool,
    /// Members with new records, and those that they report on or did before. Empty if `rebuilt`.
    pub affected: BTreeSet<u32>,
}

impl Refreshed {
    /// What two refreshes in a row changed.
    #[must_use]
    pub fn and(mut self, later: Self) -> Self {
        self.affected.extend(later.affected);
        self.rebuilt |= later.rebuilt;
        self.relinked |= later.relinked;
        if self.rebuilt {
            self.affected.clear();
        }
        self
    }
}

/// All members in the order of their ids: the index of a member is the same at all peers with the same state.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    members: Vec<Member>,
    rings: Arc<Rings>,
    arena: Arena,
    touched: BTreeSet<PeerId>,
}

impl Roster {
    /// The roster that a view makes. What it says of losses came late: nobody knows when.
    pub fn load<S: RecordStore>(view: &View<S>, admissions: &Admissions, wall_s: u64) -> Self {
        let mut members: Vec<Member> = Vec::new();
        let mut said = Said::default();
        let mut origin = None;
        view.for_each(&mut |record| {
            if origin != Some(record.origin()) {
                origin = Some(record.origin());
                members.extend(core::mem::take(&mut said).member(admissions, wall_s));
            }
            said.take(record, wall_s);
        });
        members.extend(said.member(admissions, wall_s));
        let mut roster = Self::default();
        roster.seat(members, &Arena::default(), u64::MAX, view);
        roster
    }

    /// Notes that the view has something new of `origin`. Members and indices stay as they are until [`Self::refresh`].
    pub fn touch(&mut self, origin: PeerId) {
        self.touched.insert(origin);
    }

    /// Takes over what the view says of all touched origins. Reports of losses before `late_before_ms`, Unix milliseconds, that come with it were late.
    pub fn refresh<S: RecordStore>(
        &mut self,
        view: &View<S>,
        admissions: &Admissions,
        wall_s: u64,
        late_before_ms: u64,
    ) -> Refreshed {
        let mut refreshed = Refreshed::default();
        let mut moved: BTreeMap<PeerId, Option<Member>> = BTreeMap::new();
        for origin in core::mem::take(&mut self.touched) {
            let derived = derive(view, admissions, origin, wall_s);
            match (self.index_of(&origin), derived) {
                (None, None) => {}
                (Some(index), Some(member)) if self.keeps_standing(index, &member) => {
                    self.replace(index, member, late_before_ms, &mut refreshed);
                }
                (_, derived) => {
                    moved.insert(origin, derived);
                }
            }
        }
        if !moved.is_empty() {
            self.rebuild(moved, late_before_ms, view);
            refreshed = Refreshed { rebuilt: true, relinked: true, affected: BTreeSet::new() };
        }
        refreshed
    }

    /// All members, those that left too, by rising id.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The rings over members that did not leave, as of the last refresh.
    #[must_use]
    pub const fn rings(&self) -> &Arc<Rings> {
        &self.rings
    }

    /// The index of a member.
    #[must_use]
    pub fn index_of(&self, peer: &PeerId) -> Option<u32> {
        self.rings.index_of(peer)
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

    /// What a member reports of its subjects, packed. Empty if it contradicts itself or left.
    #[must_use]
    pub fn sightings(&self, observer: u32) -> &[Sighting] {
        let member = self.member(observer).filter(|member| member.counts());
        member.map_or(&[], |member| self.arena.edges(member.place))
    }

    /// Roster indices of those whose probes a member says that it hears. Empty if it contradicts itself or left.
    pub fn watchers(&self, member: u32) -> impl Iterator<Item = u32> + '_ {
        let member = self.member(member).filter(|member| member.counts());
        let watchers = member.map_or(&[][..], |member| self.arena.watchers(member.place));
        watchers.iter().filter_map(|watcher| watcher.subject())
    }

    /// A member's report, edge by edge, with the subjects' roster indices. Empty if it contradicts itself or left.
    pub fn edges(&self, observer: u32) -> impl Iterator<Item = (u32, &LinkEdge)> {
        let links = self.member(observer).and_then(Member::links);
        let edges = links.map_or(&[][..], |links| &links.edges);
        let sightings = self.sightings(observer).iter().zip(edges);
        sightings.filter_map(|(sighting, edge)| Some((sighting.subject()?, edge)))
    }

    /// What an observer reports of one subject, packed.
    #[must_use]
    pub fn sighting(&self, observer: u32, subject: u32) -> Option<Sighting> {
        let sightings = self.sightings(observer).iter();
        sightings.copied().find(|sighting| sighting.subject() == Some(subject))
    }

    /// What an observer reports of one subject.
    #[must_use]
    pub fn edge_to(&self, observer: u32, subject: u32) -> Option<&LinkEdge> {
        self.edges(observer).find(|(other, _)| *other == subject).map(|(_, edge)| edge)
    }

    /// Whether a member with new records stands on the rings where it stood.
    fn keeps_standing(&self, index: u32, new: &Member) -> bool {
        self.member(index).is_some_and(|old| {
            let same_place = old.certificate().map(|old| &old.ring_nonce)
                == new.certificate().map(|new| &new.ring_nonce);
            old.left == new.left && same_place
        })
    }

    fn replace(
        &mut self,
        index: u32,
        mut member: Member,
        late_before_ms: u64,
        refreshed: &mut Refreshed,
    ) {
        let Some(old) = self.member(index) else { return };
        refreshed.affected.insert(index);
        refreshed.affected.extend(self.sightings(index).iter().filter_map(|s| s.subject()));
        let same_links = old.links == member.links;
        if same_links && old.contradicts == member.contradicts {
            member.place = old.place;
        } else {
            let counted = old.counts();
            let mut words = Vec::new();
            let before = packed(old, &self.arena);
            let (edges, watchers) =
                sightings::pack(&member, before, &self.rings, late_before_ms, &mut words);
            let relation = |words: &[Sighting]| -> Vec<Sighting> {
                words.iter().map(|sighting| sighting.relation()).collect()
            };
            let before = relation(self.arena.all(old.place));
            refreshed.relinked |=
                counted != member.counts() || before != relation(&words) || !same_shape(old, edges);
            refreshed.affected.extend(words.iter().filter_map(|word| word.subject()));
            member.place = self.arena.put(Some(old.place), &words, edges, watchers);
        }
        if let Some(place) = self.members.get_mut(index as usize) {
            *place = member;
        }
        if self.arena.is_wasteful() {
            self.arena.compact(self.members.iter_mut().map(|member| &mut member.place));
        }
    }

    /// Takes in members that came, went or moved. Indices move, so all packed reports are carried over.
    fn rebuild<S: RecordStore>(
        &mut self,
        mut moved: BTreeMap<PeerId, Option<Member>>,
        late_before_ms: u64,
        view: &View<S>,
    ) {
        let old = core::mem::take(&mut self.members);
        let mut members: Vec<Member> = Vec::with_capacity(old.len() + moved.len());
        for member in old {
            match moved.remove(&member.id()) {
                None => members.push(member),
                Some(Some(changed)) => members.push(changed),
                Some(None) => {}
            }
        }
        members.extend(moved.into_values().flatten());
        members.sort_unstable_by_key(Member::id);
        let packed_before = core::mem::take(&mut self.arena);
        self.seat(members, &packed_before, late_before_ms, view);
    }

    /// Takes over all members, by rising id, and packs their reports, of which some stand in `packed_before`.
    fn seat<S: RecordStore>(
        &mut self,
        members: Vec<Member>,
        packed_before: &Arena,
        late_before_ms: u64,
        view: &View<S>,
    ) {
        let standings = || {
            members.iter().map(|member| Standing {
                peer: member.id(),
                nonce: member
                    .certificate()
                    .map_or(&[][..], |certificate| &certificate.ring_nonce[..]),
                left: member.left,
            })
        };
        let key = ring::membership_key(standings());
        self.rings = view.store().rings(&key, &mut || Rings::build(0, standings()));
        self.members = members;
        self.members.shrink_to_fit();
        self.arena = Arena::default();
        let mut words = Vec::new();
        for member in &mut self.members {
            let before = packed(member, packed_before);
            let (edges, watchers) =
                sightings::pack(member, before, &self.rings, late_before_ms, &mut words);
            member.place = self.arena.put(None, &words, edges, watchers);
        }
        self.arena.shrink();
    }
}

/// A member's report as it stands in an arena; one that came anew stands in none.
fn packed<'a>(member: &'a Member, arena: &'a Arena) -> Option<Before<'a>> {
    Some(Before { links: member.links()?, words: arena.edges(member.place) })
}

fn same_shape(old: &Member, edges: usize) -> bool {
    old.place.edges() == edges
}

fn derive<S: RecordStore>(
    view: &View<S>,
    admissions: &Admissions,
    id: PeerId,
    wall_s: u64,
) -> Option<Member> {
    let mut said = Said::default();
    view.for_origin(&id, &mut |record| said.take(record, wall_s));
    said.member(admissions, wall_s)
}

/// What one origin said that decides whether and how it belongs to the mesh.
#[derive(Default)]
struct Said {
    peer: Option<Arc<Record>>,
    links: Option<Arc<Record>>,
    leave: Option<Arc<Record>>,
    contradicts: bool,
}

impl Said {
    /// Takes in one record; of two under one version the first one visited is the higher.
    fn take(&mut self, record: &Arc<Record>, wall_s: u64) {
        let (place, counts) = match record.kind() {
            Kind::PEER => (&mut self.peer, true),
            Kind::LINKS => (&mut self.links, true),
            Kind::LEAVE => (&mut self.leave, false),
            _ => return,
        };
        match place {
            Some(_) => self.contradicts |= counts,
            None if record.expires_s() > wall_s => *place = Some(record.clone()),
            None => {}
        }
    }

    /// The member that it makes; `None` without a valid certificate, or if something bars it.
    fn member(self, admissions: &Admissions, wall_s: u64) -> Option<Member> {
        let peer = self.peer?;
        let Payload::Peer(_, certificate) = peer.payload() else { return None };
        let barred = admissions.bar(&peer.origin(), certificate).is_some();
        if barred || certificate.has_lapsed(wall_s) {
            return None;
        }
        let left = self.leave.is_some_and(|leave| leave.version() > peer.version());
        let (links, contradicts) = (self.links, self.contradicts);
        Some(Member { peer, links, place: Place::default(), left, contradicts })
    }
}
