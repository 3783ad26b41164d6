//! What records say, kind by kind.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use super::Kind;
use super::admission::{Enrolment, Invite, MAX_REASON_BYTES, Revocation};
use super::authorities::AuthorityWord;
use super::certificate::Certificate;
use super::keys::KeyEpoch;
use crate::integrity::{Inventory, ShardFinding};
use crate::schema;
use crate::types::{PeerId, Version};

/// Most edges that one observer reports. Five rings give five subjects; the rest is room for dead peers that it still re-dials.
pub const MAX_EDGES: usize = 48;
/// Most addresses of one peer.
pub const MAX_ADDRESSES: usize = 8;
/// Longest address, in bytes.
const MAX_ADDRESS_BYTES: usize = 128;
/// Longest name, region, zone, tier or agent version, in bytes.
pub(super) const MAX_LABEL_BYTES: usize = 64;
/// Longest packed coordinate or edge list of a heartbeat, in bytes: keeps a heartbeat near its 300 bytes.
const MAX_PACKED_BYTES: usize = 256;

/// Which rule of its kind a payload breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not an encoded message of this kind.
    #[error("not an encoded message of its kind")]
    Encoding,
    /// A list or a string is past its cap.
    #[error("a list or text is past its cap")]
    TooLarge,
    /// A peer id has the wrong length.
    #[error("a peer id has the wrong length")]
    PeerId,
    /// Subjects are not in strictly rising order.
    #[error("subjects are not sorted or not distinct")]
    Order,
    /// A finding of a kind that no version may have.
    #[error("the kind of a finding is out of range")]
    Finding,
    /// A token's id or hash has the wrong length.
    #[error("a token's id or hash has the wrong length")]
    Token,
    /// Epochs begin with 1.
    #[error("epoch 0 is none")]
    Epoch,
    /// A replacement of an authority key does not parse.
    #[error("a replacement of an authority key does not parse")]
    Authority,
    /// The certificate inside does not parse.
    #[error("the certificate does not parse")]
    Certificate,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// What seldom changes about a peer, and its certificate.
    Peer(Profile, Box<Certificate>),
    /// Whom a peer hears and whom it lost.
    Links(Links),
    /// Periodic figures.
    Heartbeat(Heartbeat),
    /// A peer left.
    Leave {
        /// Why, in the operator's words.
        reason: String,
    },
    /// What is wrong with shards of a peer.
    Finding(ShardFinding),
    /// A token that lets peers in.
    Invite(Invite),
    /// A peer that was let in.
    Enrolment(Enrolment),
    /// A membership that was ended.
    Revocation(Box<Revocation>),
    /// The mesh's secret for a member.
    KeyEpoch(KeyEpoch),
    /// Authority keys that were replaced.
    Authorities(Box<AuthorityWord>),
    /// A kind of a later version of the protocol.
    Unknown(Kind, Vec<u8>),
}

/// What a peer says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The operator's name for the peer.
    pub name: String,
    /// Region label.
    pub region: String,
    /// Zone label inside of the region.
    pub zone: String,
    /// Storage tier label.
    pub tier: String,
    /// Multiaddrs without the `/p2p` part.
    pub addresses: Vec<String>,
    /// Whether it is expected to be up always.
    pub availability: Availability,
    /// For intermittent peers: silence up to this long is sleep, in seconds.
    pub sleep_grace_s: u32,
    /// Version of the agent.
    pub agent_version: String,
}

/// Whether a peer is expected to be up always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// A server.
    #[default]
    Always,
    /// A laptop or desktop that sleeps.
    Intermittent,
}

/// One observer's report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The observed edges, by rising subject.
    pub edges: Vec<LinkEdge>,
    /// Observers of this peer that it hears, though they say that they hear nothing of it; rising.
    pub deaf: Vec<PeerId>,
    /// Whose probes this peer hears, rising. Only while it hears few of its own subjects: then this shows which side it is on.
    pub watchers: Vec<PeerId>,
}

/// One observed edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEdge {
    /// Whom the observer watches.
    pub subject: PeerId,
    /// What it sees.
    pub status: EdgeStatus,
    /// When that began, by the observer's hybrid logical clock.
    pub since: Version,
    /// Losses within the flap window as of the last publication.
    pub flaps: u32,
    /// Lost for longer than the subject's sleep grace.
    pub sleep_grace_over: bool,
    /// Why, unless heard.
    pub evidence: Option<Evidence>,
    /// It is heard, but many answers have been missing or a second late for a while.
    pub poor: bool,
}

/// What an observer sees of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeStatus {
    /// It answers.
    Heard,
    /// It has been silent unusually long.
    Checking,
    /// Such a silence is practically impossible on this edge while it works.
    Lost,
    /// This observer never had a path to it.
    NoPath,
}

/// Why an observer says what it says of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Probes unanswered in a row.
    pub missed: u32,
    /// Since the last frame of the subject, in milliseconds.
    pub silence_ms: u32,
    /// -log2 of the likelihood of this silence on this edge, times 16.
    pub surprise: u32,
    /// Observers asked for an indirect probe.
    pub asked: u32,
    /// Of these, how many reached the subject.
    pub indirect_heard: u32,
    /// The subject says that it hears nothing of the observer: only the way there is cut.
    pub outbound_only: bool,
    /// The observer's doubt in itself; 0 is none.
    pub local_health: u32,
}

/// Periodic figures of a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// Random, of one start of the agent.
    pub instance: u64,
    /// Since that start, in seconds.
    pub uptime_s: u32,
    /// What the host measures.
    pub resources: Resources,
    /// Packed network coordinate; empty if none yet.
    pub coordinate: Vec<u8>,
    /// Packed summaries of the observed edges.
    pub edges: Vec<u8>,
    /// Summary of its shards; `None` while it looks at none.
    pub inventory: Option<Inventory>,
    /// Summary of the revocations in force that it knows; 0 for none.
    pub revocations: u32,
    /// Newest epoch of the mesh's secret that it holds; 0 for none.
    pub key_epoch: u32,
}

/// What a host measures of itself; `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU in use over all cores, per mille.
    pub cpu_permille: Option<u32>,
    /// Memory in use, per mille.
    pub memory_permille: Option<u32>,
    /// Size of the data file system, in MiB.
    pub disk_total_mib: Option<u64>,
    /// Free there, in MiB.
    pub disk_free_mib: Option<u64>,
    /// One-minute load average, in hundredths.
    pub load_centi: Option<u32>,
}

impl Payload {
    /// A good-bye; the reason is cut to its cap.
    #[must_use]
    pub fn leave(mut reason: String) -> Self {
        clip(&mut reason, MAX_REASON_BYTES);
        Self::Leave { reason }
    }

    /// The kind of record that carries this.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Peer(..) => Kind::PEER,
            Self::Links(_) => Kind::LINKS,
            Self::Heartbeat(_) => Kind::HEARTBEAT,
            Self::Leave { .. } => Kind::LEAVE,
            Self::Finding(_) => Kind::FINDING,
            Self::Invite(_) => Kind::INVITE,
            Self::Enrolment(_) => Kind::ENROLMENT,
            Self::Revocation(_) => Kind::REVOCATION,
            Self::KeyEpoch(_) => Kind::KEY_EPOCH,
            Self::Authorities(_) => Kind::AUTHORITIES,
            Self::Unknown(kind, _) => *kind,
        }
    }

    /// What tells it from other records of its kind and origin; empty for kinds of which there is one.
    #[must_use]
    pub fn key(&self) -> Box<[u8]> {
        match self {
            Self::Finding(finding) => Box::new([finding.key()]),
            Self::Invite(invite) => Box::new(invite.token().0),
            Self::Enrolment(enrolment) => Box::new(enrolment.peer.0),
            Self::Revocation(revocation) => Box::new(revocation.peer.0),
            Self::KeyEpoch(epoch) => Box::new(epoch.recipient.0),
            _ => Box::default(),
        }
    }

    /// The payload's encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Peer(profile, certificate) => profile.to_wire(certificate).encode_to_vec(),
            Self::Links(links) => links.to_wire().encode_to_vec(),
            Self::Heartbeat(heartbeat) => heartbeat.to_wire().encode_to_vec(),
            Self::Leave { reason } => schema::Leave { reason: reason.clone() }.encode_to_vec(),
            Self::Finding(finding) => finding.to_wire().encode_to_vec(),
            Self::Invite(invite) => invite.to_wire().encode_to_vec(),
            Self::Enrolment(enrolment) => enrolment.to_wire().encode_to_vec(),
            Self::Revocation(revocation) => revocation.to_wire().encode_to_vec(),
            Self::KeyEpoch(epoch) => epoch.to_wire().encode_to_vec(),
            Self::Authorities(word) => word.to_wire().encode_to_vec(),
            Self::Unknown(_, bytes) => bytes.clone(),
        }
    }

    /// Reads a payload of `kind`.
    ///
    /// # Errors
    /// [`PayloadError`] names the broken rule. Unknown kinds have none.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Self, PayloadError> {
        const ENCODING: PayloadError = PayloadError::Encoding;
        Ok(match kind {
            Kind::PEER => {
                let wire = schema::Peer::decode(bytes).map_err(|_| ENCODING)?;
                let certificate =
                    Certificate::parse(&wire.certificate).map_err(|_| PayloadError::Certificate)?;
                Self::Peer(Profile::from_wire(wire)?, Box::new(certificate))
            }
            Kind::LINKS => {
                let wire = schema::Links::decode(bytes).map_err(|_| ENCODING)?;
                Self::Links(Links::from_wire(&wire)?)
            }
            Kind::HEARTBEAT => {
                let wire = schema::Heartbeat::decode(bytes).map_err(|_| ENCODING)?;
                Self::Heartbeat(Heartbeat::from_wire(wire)?)
            }
            Kind::LEAVE => {
                let wire = schema::Leave::decode(bytes).map_err(|_| ENCODING)?;
                within(wire.reason.len(), MAX_REASON_BYTES)?;
                Self::Leave { reason: wire.reason }
            }
            Kind::FINDING => {
                let wire = schema::Finding::decode(bytes).map_err(|_| ENCODING)?;
                Self::Finding(ShardFinding::from_wire(&wire)?)
            }
            Kind::INVITE => {
                let wire = schema::Invite::decode(bytes).map_err(|_| ENCODING)?;
                Self::Invite(Invite::from_wire(wire)?)
            }
            Kind::ENROLMENT => {
                let wire = schema::Enrolment::decode(bytes).map_err(|_| ENCODING)?;
                Self::Enrolment(Enrolment::from_wire(&wire)?)
            }
            Kind::REVOCATION => {
                let wire = schema::Revocation::decode(bytes).map_err(|_| ENCODING)?;
                Self::Revocation(Box::new(Revocation::from_wire(wire)?))
            }
            Kind::KEY_EPOCH => {
                let wire = schema::KeyEpoch::decode(bytes).map_err(|_| ENCODING)?;
                Self::KeyEpoch(KeyEpoch::from_wire(wire)?)
            }
            Kind::AUTHORITIES => {
                let wire = schema::Authorities::decode(bytes).map_err(|_| ENCODING)?;
                Self::Authorities(Box::new(AuthorityWord::from_wire(&wire)?))
            }
            _ => Self::Unknown(kind, bytes.to_vec()),
        })
    }
}

impl Profile {
    /// This profile with every text cut to its cap and surplus addresses dropped, so that it can be published.
    #[must_use]
    pub fn clipped(mut self) -> Self {
        let labels = [
            &mut self.name,
            &mut self.region,
            &mut self.zone,
            &mut self.tier,
            &mut self.agent_version,
        ];
        for label in labels {
            clip(label, MAX_LABEL_BYTES);
        }
        self.addresses.retain(|address| address.len() <= MAX_ADDRESS_BYTES);
        self.addresses.truncate(MAX_ADDRESSES);
        self
    }

    fn to_wire(&self, certificate: &Certificate) -> schema::Peer {
        schema::Peer {
            name: self.name.clone(),
            region: self.region.clone(),
            zone: self.zone.clone(),
            tier: self.tier.clone(),
            addresses: self.addresses.clone(),
            availability: match self.availability {
                Availability::Always => schema::Availability::Always,
                Availability::Intermittent => schema::Availability::Intermittent,
            } as i32,
            sleep_grace_s: self.sleep_grace_s,
            agent_version: self.agent_version.clone(),
            certificate: certificate.encode(),
        }
    }

    fn from_wire(wire: schema::Peer) -> Result<Self, PayloadError> {
        for label in [&wire.name, &wire.region, &wire.zone, &wire.tier, &wire.agent_version] {
            within(label.len(), MAX_LABEL_BYTES)?;
        }
        within(wire.addresses.len(), MAX_ADDRESSES)?;
        wire.addresses.iter().try_for_each(|address| within(address.len(), MAX_ADDRESS_BYTES))?;
        Ok(Self {
            availability: match wire.availability() {
                schema::Availability::Always => Availability::Always,
                schema::Availability::Intermittent => Availability::Intermittent,
            },
            name: wire.name,
            region: wire.region,
            zone: wire.zone,
            tier: wire.tier,
            addresses: wire.addresses,
            sleep_grace_s: wire.sleep_grace_s,
            agent_version: wire.agent_version,
        })
    }
}

impl Links {
    fn to_wire(&self) -> schema::Links {
        schema::Links {
            edges: self.edges.iter().map(LinkEdge::to_wire).collect(),
            deaf: self.deaf.iter().map(|peer| peer.0.to_vec()).collect(),
            watchers: self.watchers.iter().map(|peer| peer.0.to_vec()).collect(),
        }
    }

    fn from_wire(wire: &schema::Links) -> Result<Self, PayloadError> {
        within(wire.edges.len(), MAX_EDGES)?;
        // An edge whose status is of a later version says nothing to this one; the others still count.
        let edges: Vec<LinkEdge> = wire
            .edges
            .iter()
            .filter_map(|edge| LinkEdge::from_wire(edge).transpose())
            .collect::<Result<_, _>>()?;
        let deaf = rising_peers(&wire.deaf)?;
        let watchers = rising_peers(&wire.watchers)?;
        if edges.is_sorted_by(|a, b| a.subject < b.subject) {
            Ok(Self { edges, deaf, watchers })
        } else {
            Err(PayloadError::Order)
        }
    }
}

impl LinkEdge {
    fn to_wire(&self) -> schema::Edge {
        schema::Edge {
            subject: self.subject.0.to_vec(),
            status: match self.status {
                EdgeStatus::Heard => schema::EdgeStatus::Heard,
                EdgeStatus::Checking => schema::EdgeStatus::Checking,
                EdgeStatus::Lost => schema::EdgeStatus::Lost,
                EdgeStatus::NoPath => schema::EdgeStatus::NoPath,
            } as i32,
            since: self.since.0,
            flaps: self.flaps,
            sleep_grace_over: self.sleep_grace_over,
            evidence: self.evidence.map(Evidence::to_wire),
            poor: self.poor,
        }
    }

    fn from_wire(wire: &schema::Edge) -> Result<Option<Self>, PayloadError> {
        let subject = PeerId::from_slice(&wire.subject).ok_or(PayloadError::PeerId)?;
        let status = match wire.status() {
            schema::EdgeStatus::Unspecified => return Ok(None),
            schema::EdgeStatus::Heard => EdgeStatus::Heard,
            schema::EdgeStatus::Checking => EdgeStatus::Checking,
            schema::EdgeStatus::Lost => EdgeStatus::Lost,
            schema::EdgeStatus::NoPath => EdgeStatus::NoPath,
        };
        Ok(Some(Self {
            subject,
            status,
            since: Version(wire.since),
            flaps: wire.flaps,
            sleep_grace_over: wire.sleep_grace_over,
            evidence: wire.evidence.as_ref().map(Evidence::from_wire),
            poor: wire.poor,
        }))
    }
}

impl Evidence {
    const fn to_wire(self) -> schema::Evidence {
        schema::Evidence {
            missed: self.missed,
            silence_ms: self.silence_ms,
            surprise: self.surprise,
            asked: self.asked,
            indirect_heard: self.indirect_heard,
            outbound_only: self.outbound_only,
            local_health: self.local_health,
        }
    }

    const fn from_wire(wire: &schema::Evidence) -> Self {
        Self {
            missed: wire.missed,
            silence_ms: wire.silence_ms,
            surprise: wire.surprise,
            asked: wire.asked,
            indirect_heard: wire.indirect_heard,
            outbound_only: wire.outbound_only,
            local_health: wire.local_health,
        }
    }
}

impl Heartbeat {
    fn to_wire(&self) -> schema::Heartbeat {
        let resources = schema::Resources {
            cpu_permille: self.resources.cpu_permille,
            memory_permille: self.resources.memory_permille,
            disk_total_mib: self.resources.disk_total_mib,
            disk_free_mib: self.resources.disk_free_mib,
            load_centi: self.resources.load_centi,
        };
        schema::Heartbeat {
            instance: self.instance,
            uptime_s: self.uptime_s,
            resources: Some(resources),
            coordinate: self.coordinate.clone(),
            edges: self.edges.clone(),
            inventory: self.inventory.as_ref().map(Inventory::to_wire),
            revocations: self.revocations,
            key_epoch: self.key_epoch,
        }
    }

    fn from_wire(wire: schema::Heartbeat) -> Result<Self, PayloadError> {
        within(wire.coordinate.len(), MAX_PACKED_BYTES)?;
        within(wire.edges.len(), MAX_PACKED_BYTES)?;
        let resources = wire.resources.unwrap_or_default();
        Ok(Self {
            instance: wire.instance,
            uptime_s: wire.uptime_s,
            resources: Resources {
                cpu_permille: resources.cpu_permille,
                memory_permille: resources.memory_permille,
                disk_total_mib: resources.disk_total_mib,
                disk_free_mib: resources.disk_free_mib,
                load_centi: resources.load_centi,
            },
            coordinate: wire.coordinate,
            edges: wire.edges,
            inventory: wire.inventory.as_ref().map(Inventory::from_wire).transpose()?,
            revocations: wire.revocations,
            key_epoch: wire.key_epoch,
        })
    }
}

pub(super) const fn within(size: usize, cap: usize) -> Result<(), PayloadError> {
    if size <= cap { Ok(()) } else { Err(PayloadError::TooLarge) }
}

/// Cuts a text to at most `cap` bytes, between two characters.
pub(super) fn clip(text: &mut String, cap: usize) {
    let mut end = cap.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

fn rising_peers(wire: &[Vec<u8>]) -> Result<Vec<PeerId>, PayloadError> {
    within(wire.len(), MAX_EDGES)?;
    let peers: Vec<PeerId> = wire
        .iter()
        .map(|peer| PeerId::from_slice(peer).ok_or(PayloadError::PeerId))
        .collect::<Result<_, _>>()?;
    if peers.is_sorted_by(|a, b| a < b) { Ok(peers) } else { Err(PayloadError::Order) }
}
