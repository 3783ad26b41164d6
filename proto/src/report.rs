//! What a node tells about the mesh when it is asked: plain data, computed from view and evaluation.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::integrity::FindingKind;
use crate::membership::state::{PeerState, Reason};
use crate::record::{EdgeStatus, Evidence, Heartbeat, LinkEdge, Profile};
use crate::types::{PeerId, StateDigest, Version};

/// How far the own view agrees with those of the neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Convergence {
    /// Ring neighbours that answered an exchange lately.
    pub asked: usize,
    /// Of these, how many had the same state digest.
    pub equal: usize,
}

impl Convergence {
    /// Whether all neighbours that were asked agree. A mesh of one agrees with itself.
    #[must_use]
    pub const fn is_converged(self) -> bool {
        self.asked == self.equal
    }
}

/// How current the heartbeats of reachable peers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatLag {
    /// Reachable peers without a heartbeat that is still valid.
    pub missing: usize,
    /// Age of the oldest valid heartbeat of a reachable peer, in milliseconds; `None` if there is none.
    pub oldest_ms: Option<u64>,
    /// How old a heartbeat gets by design in a mesh of this size, in milliseconds.
    pub interval_ms: u64,
}

/// The mesh in a few figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Whose view this is.
    pub me: PeerId,
    /// Summary of the state records.
    pub digest: StateDigest,
    /// Peers by state; those that left are counted too.
    pub states: BTreeMap<PeerState, usize>,
    /// Members in the own component, this peer included.
    pub component: usize,
    /// Agreement with neighbours.
    pub convergence: Convergence,
    /// Age of heartbeats.
    pub lag: HeartbeatLag,
    /// Doubt in itself; 0 is healthy.
    pub local_health: u8,
    /// The own clock against those of the neighbours; `None` until one was compared.
    pub own_clock: Option<OwnClock>,
    /// Connected peers.
    pub connections: usize,
    /// Records in the view.
    pub records: usize,
}

/// The own clock against those of neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnClock {
    /// How far it is ahead of the median one, in milliseconds; negative if behind.
    pub ahead_ms: i64,
    /// How many neighbours that rests on.
    pub neighbours: usize,
}

/// One peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerReport {
    /// Who.
    pub id: PeerId,
    /// What the mesh thinks of it.
    pub state: PeerState,
    /// The rule behind that.
    pub reason: Reason,
    /// The report that the state rests on; `None` if it rests on no loss.
    pub since: Option<Version>,
    /// What it says of itself.
    pub profile: Profile,
    /// When its certificate lapses, in Unix seconds.
    pub certificate_lapses_s: u64,
    /// Whether it is in the own component.
    pub reachable: bool,
    /// Its last valid heartbeat, with its version.
    pub heartbeat: Option<(Version, Heartbeat)>,
    /// Whether it is connected to this peer now.
    pub connected: bool,
    /// Round trip from this peer, in microseconds: measured if this peer observes it, else from coordinates; `None` if unknown or not reachable.
    pub rtt: Option<Rtt>,
    /// How far its clock is ahead of this peer's, in milliseconds, negative if behind; `None` if they were not compared, and for this peer itself.
    pub clock_ahead_ms: Option<i64>,
}

/// A round-trip time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    /// In microseconds.
    pub micros: u32,
    /// From coordinates, not from probes.
    pub estimated: bool,
}

/// A directed edge from an observer to its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeReport {
    /// Who watches.
    pub observer: PeerId,
    /// Who is watched.
    pub subject: PeerId,
    /// What the observer published.
    pub edge: LinkEdge,
    /// Whether the ring gives the observer this duty: only then does its word count.
    pub assigned: bool,
    /// Which single direction works, if exactly one does.
    pub one_way: Option<OneWay>,
    /// Figures from the observer's last heartbeat, or from own measurement.
    pub figures: Option<EdgeFigures>,
}

/// The direction of an asymmetric edge that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneWay {
    /// Observer to subject is cut: the subject hears nothing, the observer hears it.
    OutboundCut,
    /// Subject to observer is cut: the subject hears the observer, which hears nothing.
    InboundCut,
}

/// Measured figures of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeFigures {
    /// Median round trip, in microseconds.
    pub rtt_p50_us: u32,
    /// 99th percentile of the round trip, in microseconds; `None` in figures that came by heartbeat.
    pub rtt_p99_us: Option<u32>,
    /// Variation between successive round trips, in microseconds.
    pub jitter_us: u32,
    /// Probes that went unanswered or were answered late, per mille.
    pub loss_permille: u32,
}

/// Why a peer has its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyReport {
    /// Who.
    pub id: PeerId,
    /// Its state.
    pub state: PeerState,
    /// The rule that gave it.
    pub reason: Reason,
    /// Whether it is in the own component.
    pub reachable: bool,
    /// The last sign of life that all peers agree on.
    pub last_word: Version,
    /// What each observer with a duty towards it says.
    pub observers: Vec<ObserverReport>,
    /// Observers with a nearer seat that are out of reach: their word does not count now.
    pub passed_over: usize,
}

/// One observer's word on a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObserverReport {
    /// Who.
    pub observer: PeerId,
    /// The ring that gives it the duty, 0 to 4.
    pub ring: u8,
    /// Nearer predecessors that are out of reach or have no path.
    pub passed_over: u16,
    /// What it published; `None` if it has not reported on this subject.
    pub status: Option<EdgeStatus>,
    /// When that began.
    pub since: Option<Version>,
    /// What it rests on.
    pub evidence: Option<Evidence>,
    /// Losses within the flap window.
    pub flaps: u32,
    /// It hears the peer, but many answers have been missing or a second late for a while.
    pub poor: bool,
    /// Its word against the peer does not count: it misses more of its subjects than it hears, and another observer hears this one.
    pub set_aside: bool,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Look at it today.
    Low,
    /// Look at it within four hours.
    Medium,
    /// Look at it within one hour.
    High,
    /// Now.
    Critical,
}

/// A stable name of something that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthCode {
    /// A peer is down.
    PeerDown,
    /// A peer cannot be judged from here.
    PeerUnreachable,
    /// A peer comes and goes.
    PeerFlapping,
    /// Several members are on the other side of a cut, or failed together.
    Partition,
    /// An edge works one way only.
    EdgeAsymmetric,
    /// An observer lost a peer that others hear.
    EdgeDegraded,
    /// A reachable peer has fewer observers that see it than it should.
    MonitoringGap,
    /// An observer reports losses that nobody else sees: it lies, or its own connection is bad.
    ObserverDisagrees,
    /// An origin signed two different bodies under one version.
    Equivocation,
    /// A clock is wrong by more than a minute.
    ClockSkew,
    /// Two processes use one identity.
    IdentityCloned,
    /// A data directory has too little room.
    DataDirFull,
    /// An enroller says that a peer that nobody lets in is no member.
    MembershipDenied,
    /// A database of a data directory did not open.
    DatabaseSetAside,
    /// Something is wrong with shards of a peer.
    Shards(FindingKind),
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: HealthCode,
    /// How bad.
    pub severity: Severity,
    /// Whom it is about; `None` for the mesh as a whole.
    pub peer: Option<PeerId>,
    /// The other end of an edge.
    pub other: Option<PeerId>,
    /// What it rests on, in one English sentence without ids.
    pub evidence: String,
    /// A finding that explains this one and is to be shown first.
    pub because_of: Option<HealthCode>,
}

/// The two sides of a partition as seen from one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Members in the own component, this peer included.
    pub inside: usize,
    /// Members that were lost together and cannot be reached, by rising id.
    pub outside: Vec<PeerId>,
    /// When the first of them was lost; `None` if no observer here ever heard one of them.
    pub since: Option<Version>,
}
