//! The codes of what is wrong with shards, in words.

use plexmesh_proto::integrity::{FindingKind, Verdict};

use super::HealthText;

/// The code of a finding in words. A shard that is ok is no finding; should a peer say so, it is
/// shown as one that this version does not know.
pub(super) const fn text(kind: FindingKind) -> HealthText {
    match kind {
        FindingKind::Shards(verdict) => match verdict {
            Verdict::Ok => FINDING_UNKNOWN,
            Verdict::Truncated => REPLICA_TRUNCATED,
            Verdict::Corrupt => REPLICA_CORRUPT,
            Verdict::Missing => REPLICA_MISSING,
            Verdict::Vanished => REPLICA_VANISHED,
            Verdict::Evicted => REPLICA_EVICTED,
            Verdict::Replaced => REPLICA_REPLACED,
            Verdict::Modified => REPLICA_MODIFIED,
            Verdict::Orphan => REPLICA_ORPHAN,
            Verdict::Unreadable => REPLICA_UNREADABLE,
            Verdict::Unverified => REPLICA_UNVERIFIED,
            Verdict::Disputed => REPLICA_DISPUTED,
        },
        FindingKind::SourceAbsent => SOURCE_ABSENT,
        FindingKind::SourceNotReadable => SOURCE_NOT_READABLE,
        FindingKind::Other(_) => FINDING_UNKNOWN,
    }
}

const REPLICA_TRUNCATED: HealthText = HealthText {
    name: "REPLICA_TRUNCATED",
    title: "shards have another length than is recorded",
    meaning: "A shard's file is shorter or longer than its record says; the second look agreed.",
    advice: &[
        "plexmesh shards --verdict truncated   # on the host of {peer}",
        "plexmesh scrub start   # on the host of {peer}, once it is repaired",
        "plexmesh integrity",
    ],
};

const REPLICA_CORRUPT: HealthText = HealthText {
    name: "REPLICA_CORRUPT",
    title: "shards are corrupt",
    meaning: "A shard's bytes are not those that are expected, also at a second read and by a \
              manifest that was read anew.",
    advice: &[
        "plexmesh shards --verdict corrupt   # on the host of {peer}",
        "plexmesh scrub start   # on the host of {peer}, once it is repaired",
        "plexmesh integrity",
    ],
};

const REPLICA_MISSING: HealthText = HealthText {
    name: "REPLICA_MISSING",
    title: "shards are missing",
    meaning: "A record says that the shard is here, and there is no file.",
    advice: &[
        "plexmesh shards --verdict missing   # on the host of {peer}",
        "plexmesh scrub start   # on the host of {peer}, once it is repaired",
        "plexmesh integrity",
    ],
};

const REPLICA_VANISHED: HealthText = HealthText {
    name: "REPLICA_VANISHED",
    title: "shards have vanished",
    meaning: "A shard was here, and both its file and its record are gone. Deleting does that, \
              and so does a daemon that lost the file and then forgot it.",
    advice: &[
        "plexmesh shards --verdict vanished   # on the host of {peer}",
        "plexmesh scrub accept --verdict vanished   # on the host of {peer}, if it was meant",
        "plexmesh integrity",
    ],
};

const REPLICA_EVICTED: HealthText = HealthText {
    name: "REPLICA_EVICTED",
    title: "many shards vanished at once",
    meaning: "A tenth of all shards or more vanished at one time: the storage daemon made room, \
              or a directory was emptied.",
    advice: &[
        "plexmesh shards --verdict evicted   # on the host of {peer}",
        "plexmesh scrub accept --verdict evicted   # on the host of {peer}, if it was meant",
        "plexmesh integrity",
    ],
};

const REPLICA_REPLACED: HealthText = HealthText {
    name: "REPLICA_REPLACED",
    title: "shards were replaced",
    meaning: "File and record changed together to another content. Shards are not meant to \
              change.",
    advice: &[
        "plexmesh shards --verdict replaced   # on the host of {peer}",
        "plexmesh scrub accept --verdict replaced   # on the host of {peer}, if it was meant",
        "plexmesh integrity",
    ],
};

const REPLICA_MODIFIED: HealthText = HealthText {
    name: "REPLICA_MODIFIED",
    title: "shards were modified",
    meaning: "A shard without a recorded digest was rewritten: nobody here can tell a new \
              version from damage.",
    advice: &[
        "plexmesh shards --verdict modified   # on the host of {peer}",
        "plexmesh scrub accept --verdict modified   # on the host of {peer}, if it was meant",
        "plexmesh integrity",
    ],
};

const REPLICA_ORPHAN: HealthText = HealthText {
    name: "REPLICA_ORPHAN",
    title: "files have no record",
    meaning: "A shard's file lies in the storage directory and no record names it.",
    advice: &[
        "plexmesh shards --verdict orphan   # on the host of {peer}",
        "plexmesh scrub start   # on the host of {peer}, once it is repaired",
        "plexmesh integrity",
    ],
};

const REPLICA_UNREADABLE: HealthText = HealthText {
    name: "REPLICA_UNREADABLE",
    title: "shards cannot be read",
    meaning: "The system refuses to open or read a shard's file.",
    advice: &[
        "plexmesh shards --verdict unreadable   # on the host of {peer}",
        "plexmesh scrub start   # on the host of {peer}, once it is repaired",
        "plexmesh integrity",
    ],
};

const REPLICA_UNVERIFIED: HealthText = HealthText {
    name: "REPLICA_UNVERIFIED",
    title: "shards are past their deadline",
    meaning: "Shards have not been read within one and a half deadlines: nobody knows whether \
              they are intact.",
    advice: &[
        "plexmesh scrub   # on the host of {peer}",
        "plexmesh config show scrub   # on the host of {peer}",
        "plexmesh integrity",
    ],
};

const REPLICA_DISPUTED: HealthText = HealthText {
    name: "REPLICA_DISPUTED",
    title: "replicas differ",
    meaning: "Replicas of a shard differ, and nobody can say which is right.",
    advice: &[
        "plexmesh shards --verdict disputed   # on the host of {peer}",
        "plexmesh scrub start   # on the host of {peer}, once it is repaired",
        "plexmesh integrity",
    ],
};

const SOURCE_ABSENT: HealthText = HealthText {
    name: "SOURCE_ABSENT",
    title: "a directory of shards is gone",
    meaning: "A directory of shards cannot be found, or another file system is mounted in its \
              place. What is remembered of its shards stands still meanwhile.",
    advice: &["plexmesh scrub   # on the host of {peer}", "findmnt   # on the host of {peer}"],
};

const SOURCE_NOT_READABLE: HealthText = HealthText {
    name: "SOURCE_NOT_READABLE",
    title: "a directory of shards may not be read",
    meaning: "The system does not let the agent list a directory of shards, or its manifest \
              stays unreadable.",
    advice: &[
        "plexmesh scrub   # on the host of {peer}",
        "plexmesh config show source   # on the host of {peer}",
    ],
};

const FINDING_UNKNOWN: HealthText = HealthText {
    name: "FINDING_UNKNOWN",
    title: "a finding of a later version",
    meaning: "A peer reports something about its shards that this version has no name for: its \
              agent is newer.",
    advice: &["plexmesh status   # on the host of {peer}", "plexmesh peer {peer}"],
};
