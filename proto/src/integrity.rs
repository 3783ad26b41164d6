//! What is wrong with shards: verdicts, findings, and the summary that a heartbeat carries.
//!
//! A finding says how many shards of a peer have a verdict, and never which: names, sizes and places of shards stay where they are.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::report::Severity;
use crate::types::Version;

/// How many verdicts there are.
pub const VERDICTS: usize = 12;
/// Bytes of an inventory digest.
pub const INVENTORY_DIGEST_BYTES: usize = 8;

/// What the agent of a peer thinks of one shard that it holds, or should hold. Numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Its bytes are those that are expected.
    Ok = 0,
    /// It has another length than is expected.
    Truncated = 1,
    /// Its bytes are others than are expected, or changed while the file looks untouched.
    Corrupt = 2,
    /// It is recorded, and there is no file.
    Missing = 3,
    /// It was here, and both file and record are gone.
    Vanished = 4,
    /// One of many that vanished at once: the peer made room.
    Evicted = 5,
    /// File and record were changed together to another content.
    Replaced = 6,
    /// It was rewritten, and there is no record that says to what.
    Modified = 7,
    /// A file without a record.
    Orphan = 8,
    /// It cannot be read.
    Unreadable = 9,
    /// It has not been verified within its deadline.
    Unverified = 10,
    /// Replicas differ, and nobody can say which is right.
    Disputed = 11,
}

impl Verdict {
    /// All, by rising number.
    pub const ALL: [Self; VERDICTS] = [
        Self::Ok,
        Self::Truncated,
        Self::Corrupt,
        Self::Missing,
        Self::Vanished,
        Self::Evicted,
        Self::Replaced,
        Self::Modified,
        Self::Orphan,
        Self::Unreadable,
        Self::Unverified,
        Self::Disputed,
    ];

    /// Its number on the wire and its place in [`Inventory::counts`].
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize
    }

    /// How bad one shard with this verdict is; `None` for [`Self::Ok`].
    #[must_use]
    pub const fn severity(self) -> Option<Severity> {
        Some(match self {
            Self::Ok => return None,
            Self::Corrupt | Self::Missing | Self::Unreadable => Severity::Critical,
            Self::Truncated | Self::Modified | Self::Evicted | Self::Disputed => Severity::High,
            Self::Vanished | Self::Unverified => Severity::Medium,
            Self::Replaced | Self::Orphan => Severity::Low,
        })
    }
}

impl Verdict {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Truncated => "of another length than is recorded",
            Self::Corrupt => "corrupt",
            Self::Missing => "recorded without a file",
            Self::Vanished => "gone, together with their records",
            Self::Evicted => "gone, many at once",
            Self::Replaced => "replaced by another content, together with their records",
            Self::Modified => "changed, without a record of what they should be",
            Self::Orphan => "without a record",
            Self::Unreadable => "not readable",
            Self::Unverified => "not verified within their deadline",
            Self::Disputed => "different from their replicas",
        }
    }
}

/// What a finding is about. Numbers are those of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// Shards with a verdict other than [`Verdict::Ok`].
    Shards(Verdict),
    /// Whole directories of shards that are gone, or are another device than before.
    SourceAbsent,
    /// Whole directories of shards that may not be read.
    SourceNotReadable,
    /// Something that a later version of the protocol knows.
    Other(u8),
}

impl FindingKind {
    const SOURCE_ABSENT: u8 = 32;
    const SOURCE_NOT_READABLE: u8 = 33;
    /// Highest number that any version may give: so many findings can an origin have at the most.
    const HIGHEST: u32 = 63;

    /// All that this version knows, by rising number.
    pub fn all() -> impl Iterator<Item = Self> {
        let shards = Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Ok);
        shards.map(Self::Shards).chain([Self::SourceAbsent, Self::SourceNotReadable])
    }

    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Shards(verdict) => verdict as u8,
            Self::SourceAbsent => Self::SOURCE_ABSENT,
            Self::SourceNotReadable => Self::SOURCE_NOT_READABLE,
            Self::Other(number) => number,
        }
    }

    /// The kind with a number; `None` if it is past what any version may give, or 0.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Self> {
        let number = u8::try_from(number).ok().filter(|_| (1..=Self::HIGHEST).contains(&number))?;
        Some(Self::all().find(|kind| kind.number() == number).unwrap_or(Self::Other(number)))
    }

    /// How bad it is unless the operator says otherwise.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Shards(verdict) => verdict.severity().unwrap_or(Severity::Low),
            Self::SourceAbsent | Self::SourceNotReadable => Severity::Critical,
            Self::Other(_) => Severity::Medium,
        }
    }
}

impl FindingKind {
    /// How many shards it concerns, in words: "3 shards are corrupt".
    #[must_use]
    pub fn in_words(self, count: u32) -> String {
        let (shards, directories) = match count {
            1 => ("shard is", "directory"),
            _ => ("shards are", "directories"),
        };
        match self {
            Self::Shards(verdict) => format!("{count} {shards} {}", verdict.in_words()),
            Self::SourceAbsent => format!("{count} {directories} of shards cannot be found"),
            Self::SourceNotReadable => format!("{count} {directories} of shards may not be read"),
            Self::Other(number) => format!("{count} of kind {number}, which a later version knows"),
        }
    }
}

/// What a peer publishes of one kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardFinding {
    /// What is wrong.
    pub kind: FindingKind,
    /// How many shards, or sources, it concerns now; 0 says that it is over.
    pub count: u32,
    /// The worst of them.
    pub severity: Severity,
    /// When it began, or ended, by the publisher's hybrid logical clock.
    pub since: Version,
}

/// What the driver knows of the shards of this peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardReport {
    /// Summary for the heartbeat; `None` while the peer looks at no shards.
    pub inventory: Option<Inventory>,
    /// How many shards or sources each finding concerns; what is left out concerns none.
    pub findings: BTreeMap<FindingKind, u32>,
}

/// Summary of all shards of a peer, as its heartbeat carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Shards by verdict; see [`Verdict::number`].
    pub counts: [u32; VERDICTS],
    /// Sources that are looked at.
    pub sources: u32,
    /// Age of the oldest verification, in seconds; `None` while no shard has been verified.
    pub oldest_s: Option<u32>,
    /// Shards that were not read yet and are not past their deadline.
    pub pending: u32,
    /// Changes whenever the set of shards or a content changes; says nothing else.
    pub digest: [u8; INVENTORY_DIGEST_BYTES],
}

impl Inventory {
    /// How many shards have a verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u32 {
        self.counts.get(verdict.number()).copied().unwrap_or(0)
    }

    /// How many shards there are, or should be.
    #[must_use]
    pub fn shards(&self) -> u64 {
        let judged: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        judged + u64::from(self.pending)
    }
}
