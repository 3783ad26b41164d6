//! Every key that a configuration may have, in one table: what it takes, its default, what it is
//! for. Reading, suggestions, `config show` and `config init` all go by it.

use std::time::Duration;

use plexmesh_proto::record::MAX_ADDRESSES;

/// Longest label, in bytes: what the protocol carries of one.
pub(super) const MAX_LABEL_BYTES: usize = 64;
/// Most addresses to listen on: several interfaces with two transports each.
const MAX_LISTEN: usize = 16;
/// Most seeds: past a few dozen another one does not help a start.
const MAX_SEEDS: usize = 64;
/// Most directories with shards: more than a host has disks.
pub(super) const MAX_SOURCES: usize = 64;
/// Shortest time in which all shards can be asked to be read once. Less is a busy loop.
const LEAST_DEADLINE: Duration = Duration::from_secs(5);
/// Longest. What is looked at less than once a year is not looked at.
const MOST_DEADLINE: Duration = Duration::from_secs(366 * 24 * 3_600);
/// Shortest sleep that can be granted: below it nothing tells sleep from a lost packet or two.
const LEAST_GRACE: Duration = Duration::from_secs(60);
/// Longest: what sleeps for longer than the certificates last does not come back by itself.
const MOST_GRACE: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Slowest reading that still ends, in bytes a second.
const LEAST_RATE: u64 = 1 << 10;
/// Fastest reading that a limit makes sense for, in bytes a second.
const MOST_RATE: u64 = 1 << 40;

/// Smallest cap of the data directory, in bytes: what an agent makes at its first start.
const LEAST_DATA: u64 = 1 << 20;
/// Largest, in bytes: as good as none.
const MOST_DATA: u64 = 1 << 50;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A short text that others see.
    Label,
    /// Name or number of a group of users.
    Group,
    /// An absolute path.
    Path,
    /// Multiaddrs, so many at most.
    Addresses {
        /// How many.
        most: usize,
    },
    /// Multiaddrs that end in `/p2p/PEER_ID`, so many at most.
    Seeds {
        /// How many.
        most: usize,
    },
    /// A span of time, both ends included.
    Span {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// Bytes, or bytes a second, both ends included.
    Bytes {
        /// The fewest.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A whole number, both ends included.
    Number {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Whether a peer is expected to be up always.
    Availability,
    /// What to log.
    Filter,
    /// A part of each day.
    Hours,
    /// How a source lays out its shards.
    SourceKind,
    /// Directories with shards, each a table of [`SOURCE_FIELDS`].
    Sources,
}

/// What holds where nothing is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// A value, as a file would have it.
    Value(&'static str),
    /// No value.
    Unset {
        /// What that means.
        meaning: &'static str,
        /// A value that one might set, as a file would have it.
        example: &'static str,
    },
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// The table it stands in.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where nothing is set.
    pub usual: Usual,
    /// What it is for, in one sentence.
    pub help: &'static str,
    /// Whether a running agent takes a change on SIGHUP.
    pub reloadable: bool,
}

impl Key {
    /// Section and name: `scrub.deadline`. A list of tables has its section's name alone.
    #[must_use]
    pub fn path(&self) -> String {
        if self.kind == Kind::Sources {
            self.section.to_owned()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }

    /// The environment variable that sets it; `None` if none can.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        let name = || format!("PLEXMESH_{}__{}", self.section, self.name).to_uppercase();
        (self.kind != Kind::Sources).then(name)
    }
}

const fn label(name: &'static str, help: &'static str, usual: Usual) -> Key {
    Key { section: "peer", name, kind: Kind::Label, usual, help, reloadable: false }
}

/// `peer.name`
pub static PEER_NAME: Key = label(
    "name",
    "Name of this peer, as others see it.",
    Usual::Unset {
        meaning: "the name that mesh.toml has, else the host's",
        example: "\"backup-1\"",
    },
);
/// `peer.region`
pub static PEER_REGION: Key = label(
    "region",
    "Where this peer is.",
    Usual::Unset { meaning: "the region that mesh.toml has", example: "\"eu\"" },
);
/// `peer.zone`
pub static PEER_ZONE: Key = label(
    "zone",
    "What fails together with this peer, inside of the region.",
    Usual::Unset { meaning: "the zone that mesh.toml has", example: "\"a\"" },
);
/// `peer.tier`
pub static PEER_TIER: Key = label(
    "tier",
    "What sort of storage this peer has.",
    Usual::Unset { meaning: "the tier that mesh.toml has", example: "\"cold\"" },
);
/// `peer.availability`
pub static PEER_AVAILABILITY: Key = Key {
    section: "peer",
    name: "availability",
    kind: Kind::Availability,
    usual: Usual::Value("\"always\""),
    help: "Whether this peer is expected to be up always, or sleeps at times as a laptop does.",
    reloadable: false,
};
/// `peer.sleep_grace`
pub static PEER_SLEEP_GRACE: Key = Key {
    section: "peer",
    name: "sleep_grace",
    kind: Kind::Span { least: LEAST_GRACE, most: MOST_GRACE },
    // A laptop that is opened once a day, and a little later than the day before.
    usual: Usual::Value("\"36h\""),
    help: "For how long an intermittent peer may be silent before it is called down.",
    reloadable: false,
};
/// `net.listen`
pub static NET_LISTEN: Key = Key {
    section: "net",
    name: "listen",
    kind: Kind::Addresses { most: MAX_LISTEN },
    // All interfaces, QUIC first, TCP beside it.
    usual: Usual::Value("[\"/ip4/0.0.0.0/udp/6374/quic-v1\", \"/ip4/0.0.0.0/tcp/6374\"]"),
    help: "Where to listen.",
    reloadable: false,
};
/// `net.announce`
pub static NET_ANNOUNCE: Key = Key {
    section: "net",
    name: "announce",
    kind: Kind::Addresses { most: MAX_ADDRESSES },
    usual: Usual::Unset {
        meaning: "the addresses that are listened on",
        example: "[\"/dns4/backup-1.example.org/udp/6374/quic-v1\"]",
    },
    help: "Where others are to dial this peer.",
    reloadable: false,
};
/// `net.seeds`
pub static NET_SEEDS: Key = Key {
    section: "net",
    name: "seeds",
    kind: Kind::Seeds { most: MAX_SEEDS },
    usual: Usual::Unset {
        meaning: "the seeds that mesh.toml has; these come on top",
        example: "[\"/ip4/192.0.2.7/udp/6374/quic-v1/p2p/\
                  12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN\"]",
    },
    help: "Peers to begin with.",
    reloadable: false,
};
/// `agent.data_dir`
pub static AGENT_DATA_DIR: Key = Key {
    section: "agent",
    name: "data_dir",
    kind: Kind::Path,
    usual: Usual::Unset {
        meaning: "/var/lib/plexmesh for root, ~/.local/state/plexmesh for others",
        example: "\"/var/lib/plexmesh\"",
    },
    help: "Directory of the agent's identity and store.",
    reloadable: false,
};
/// `agent.socket`
pub static AGENT_SOCKET: Key = Key {
    section: "agent",
    name: "socket",
    kind: Kind::Path,
    usual: Usual::Unset {
        meaning: "agent.sock in a data directory that was named, else in the runtime directory",
        example: "\"/run/plexmesh/agent.sock\"",
    },
    help: "The local socket.",
    reloadable: false,
};
/// `agent.socket_group`
pub static AGENT_SOCKET_GROUP: Key = Key {
    section: "agent",
    name: "socket_group",
    kind: Kind::Group,
    usual: Usual::Unset { meaning: "the group of the agent's user", example: "\"plexmesh\"" },
    help: "Group whose users may ask the agent over the socket.",
    reloadable: false,
};
/// `agent.max_data_bytes`
pub static AGENT_MAX_DATA: Key = Key {
    section: "agent",
    name: "max_data_bytes",
    kind: Kind::Bytes { least: LEAST_DATA, most: MOST_DATA },
    // Four times what store, inventory and logs of a large mesh take; what is above it is something
    // that went wrong.
    usual: Usual::Value("\"1GiB\""),
    help: "How much the data directory may take before databases that were set aside are removed.",
    reloadable: true,
};
/// `scrub.deadline`
pub static SCRUB_DEADLINE: Key = Key {
    section: "scrub",
    name: "deadline",
    kind: Kind::Span { least: LEAST_DEADLINE, most: MOST_DEADLINE },
    usual: Usual::Value("\"24h\""),
    help: "Within what time every shard is read and checked once.",
    reloadable: true,
};
/// `scrub.duty_percent`
pub static SCRUB_DUTY: Key = Key {
    section: "scrub",
    name: "duty_percent",
    kind: Kind::Number { least: 1, most: 100 },
    usual: Usual::Value("15"),
    help: "How much of a core's and a disk's time reading takes while it is in time; 100 takes all \
           of several.",
    reloadable: true,
};
/// `scrub.max_bytes_per_second`
pub static SCRUB_MAX_RATE: Key = Key {
    section: "scrub",
    name: "max_bytes_per_second",
    kind: Kind::Bytes { least: LEAST_RATE, most: MOST_RATE },
    usual: Usual::Unset {
        meaning: "no limit but what the deadline asks for",
        example: "\"20MiB\"",
    },
    help: "How fast shards may be read.",
    reloadable: true,
};
/// `scrub.hours`
pub static SCRUB_HOURS: Key = Key {
    section: "scrub",
    name: "hours",
    kind: Kind::Hours,
    usual: Usual::Unset { meaning: "at any time", example: "\"22:00-06:00\"" },
    help: "At what time of day shards are read, unless somebody asks for one.",
    reloadable: true,
};
/// The list of `[[source]]` tables.
pub static SOURCE: Key = Key {
    section: "source",
    name: "source",
    kind: Kind::Sources,
    usual: Usual::Unset { meaning: "no shards are looked at", example: "" },
    help: "Directories with shards, one table each.",
    reloadable: true,
};
/// `log.filter`
pub static LOG_FILTER: Key = Key {
    section: "log",
    name: "filter",
    kind: Kind::Filter,
    usual: Usual::Value("\"warn,plexmesh_agent=info,plexmesh_net=info\""),
    help: "What to log.",
    reloadable: true,
};

/// All keys, in the order in which they are shown.
pub static KEYS: [&Key; 19] = [
    &PEER_NAME,
    &PEER_REGION,
    &PEER_ZONE,
    &PEER_TIER,
    &PEER_AVAILABILITY,
    &PEER_SLEEP_GRACE,
    &NET_LISTEN,
    &NET_ANNOUNCE,
    &NET_SEEDS,
    &AGENT_DATA_DIR,
    &AGENT_SOCKET,
    &AGENT_SOCKET_GROUP,
    &AGENT_MAX_DATA,
    &SCRUB_DEADLINE,
    &SCRUB_DUTY,
    &SCRUB_MAX_RATE,
    &SCRUB_HOURS,
    &SOURCE,
    &LOG_FILTER,
];

/// `kind` of a source.
pub static SOURCE_KIND: Key = Key {
    section: "source",
    name: "kind",
    kind: Kind::SourceKind,
    usual: Usual::Value("\"auto\""),
    help: "How the shards are laid out.",
    reloadable: true,
};
/// `root` of a source.
pub static SOURCE_ROOT: Key = Key {
    section: "source",
    name: "root",
    kind: Kind::Path,
    usual: Usual::Unset { meaning: "an error", example: "\"/srv/shards\"" },
    help: "The directory.",
    reloadable: true,
};
/// `region` of a source.
pub static SOURCE_REGION: Key = Key {
    section: "source",
    name: "region",
    kind: Kind::Label,
    usual: Usual::Unset { meaning: "that of the peer", example: "\"eu-west\"" },
    help: "Where the directory is, if it is not where the peer is.",
    reloadable: true,
};
/// `tier` of a source.
pub static SOURCE_TIER: Key = Key {
    section: "source",
    name: "tier",
    kind: Kind::Label,
    usual: Usual::Unset { meaning: "that of the peer", example: "\"cold\"" },
    help: "What kind of storage it is, if it is another one than the peer's.",
    reloadable: true,
};
/// What a `[[source]]` table may have.
pub static SOURCE_FIELDS: [&Key; 4] = [&SOURCE_KIND, &SOURCE_ROOT, &SOURCE_REGION, &SOURCE_TIER];

/// The sections, in the order in which they are shown.
pub fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    sections
}

/// The keys that a table of this section may have.
pub(super) fn keys_of(section: &str) -> Vec<&'static Key> {
    if section == SOURCE.section {
        return SOURCE_FIELDS.to_vec();
    }
    KEYS.iter().copied().filter(|key| key.section == section).collect()
}

/// A name that is less alike than this is not what was meant (Jaro-Winkler; the bound that the
/// command line uses for its own suggestions).
const ALIKE: f64 = 0.7;

/// The name among `names` that was probably meant. Dashes count as underscores.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.replace('-', "_").to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, &name.to_lowercase()), name))
        .filter(|(alike, _)| *alike > ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}
