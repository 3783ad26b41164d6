//! The health codes in words: name, title, meaning, and what to do now.

use plexmesh_proto::integrity::FindingKind;
use plexmesh_proto::report::HealthCode;

mod shards;

/// Where the codes are described; an anchor follows.
const DOCS: &str = "docs/health.md";

/// Every code of this version.
pub fn codes() -> impl Iterator<Item = HealthCode> {
    let shards = FindingKind::all().map(HealthCode::Shards);
    MESH.into_iter().chain(shards).chain([UNKNOWN])
}

/// What stands for all findings of later versions.
const UNKNOWN: HealthCode = HealthCode::Shards(FindingKind::Other(u8::MAX));

const MESH: [HealthCode; 14] = [
    HealthCode::PeerDown,
    HealthCode::PeerUnreachable,
    HealthCode::PeerFlapping,
    HealthCode::Partition,
    HealthCode::EdgeAsymmetric,
    HealthCode::EdgeDegraded,
    HealthCode::MonitoringGap,
    HealthCode::ObserverDisagrees,
    HealthCode::Equivocation,
    HealthCode::ClockSkew,
    HealthCode::IdentityCloned,
    HealthCode::DataDirFull,
    HealthCode::MembershipDenied,
    HealthCode::DatabaseSetAside,
];

/// A health code in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthText {
    /// Its stable name.
    pub name: &'static str,
    /// The same in words.
    pub title: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Commands to run now, at most three. `{peer}` and `{other}` stand for whom the finding is
    /// about.
    pub advice: &'static [&'static str],
}

impl HealthText {
    /// Where the code is described.
    #[must_use]
    pub fn docs(&self) -> String {
        format!("{DOCS}#{}", self.name.to_lowercase())
    }

    /// The commands, for these peers.
    #[must_use]
    pub fn advice_for(&self, peer: &str, other: &str) -> Vec<String> {
        self.advice
            .iter()
            .map(|line| line.replace("{peer}", peer).replace("{other}", other))
            .collect()
    }
}

/// A code in words.
#[must_use]
pub const fn text(code: HealthCode) -> HealthText {
    match code {
        HealthCode::PeerDown => PEER_DOWN,
        HealthCode::PeerUnreachable => PEER_UNREACHABLE,
        HealthCode::PeerFlapping => PEER_FLAPPING,
        HealthCode::Partition => PARTITION,
        HealthCode::EdgeAsymmetric => EDGE_ASYMMETRIC,
        HealthCode::EdgeDegraded => EDGE_DEGRADED,
        HealthCode::MonitoringGap => MONITORING_GAP,
        HealthCode::ObserverDisagrees => OBSERVER_DISAGREES,
        HealthCode::Equivocation => EQUIVOCATION,
        HealthCode::ClockSkew => CLOCK_SKEW,
        HealthCode::IdentityCloned => IDENTITY_CLONED,
        HealthCode::DataDirFull => DATA_DIR_FULL,
        HealthCode::MembershipDenied => MEMBERSHIP_DENIED,
        HealthCode::DatabaseSetAside => DATABASE_SET_ASIDE,
        HealthCode::Shards(kind) => shards::text(kind),
    }
}

const PEER_DOWN: HealthText = HealthText {
    name: "PEER_DOWN",
    title: "a peer is down",
    meaning: "At least 3 of the peer's observers, and more than half of those able to see it, \
              lost it.",
    advice: &[
        "plexmesh why {peer}",
        "plexmesh peer {peer}",
        "plexmesh status   # on the host of {peer}",
    ],
};

const PEER_UNREACHABLE: HealthText = HealthText {
    name: "PEER_UNREACHABLE",
    title: "a peer cannot be judged from here",
    meaning: "Too few observers on this side are able to see the peer: it may live on the \
              other side of a cut.",
    advice: &[
        "plexmesh why {peer}",
        "plexmesh topology",
        "plexmesh status   # on the host of {peer}",
    ],
};

const PEER_FLAPPING: HealthText = HealthText {
    name: "PEER_FLAPPING",
    title: "a peer comes and goes",
    meaning: "Most observers lost the peer repeatedly within the flap window, or it speaks \
              while they lost it.",
    advice: &["plexmesh why {peer}", "plexmesh latency {peer}", "plexmesh events --follow"],
};

const PARTITION: HealthText = HealthText {
    name: "PARTITION",
    title: "the mesh is cut in two",
    meaning: "Several members were lost together and cannot be reached over any chain of \
              heard links.",
    advice: &[
        "plexmesh topology",
        "plexmesh status   # on a host of the other side",
        "plexmesh events --limit 50",
    ],
};

const EDGE_ASYMMETRIC: HealthText = HealthText {
    name: "EDGE_ASYMMETRIC",
    title: "a link works one way only",
    meaning: "One peer hears the other, which hears nothing back: a firewall, a route or a \
              full queue on one side.",
    advice: &["plexmesh why {peer}", "plexmesh why {other}", "plexmesh latency {peer} {other}"],
};

const EDGE_DEGRADED: HealthText = HealthText {
    name: "EDGE_DEGRADED",
    title: "a link is bad",
    meaning: "One observer lost a peer that its other observers hear: the link is bad, the \
              peer is not.",
    advice: &[
        "plexmesh why {other}",
        "plexmesh latency {peer} {other}",
        "plexmesh topology -o wide",
    ],
};

const MONITORING_GAP: HealthText = HealthText {
    name: "MONITORING_GAP",
    title: "a peer has too few observers",
    meaning: "A reachable peer is seen by fewer observers than the rings give it, so its \
              failure may go unnoticed.",
    advice: &["plexmesh why {peer}", "plexmesh topology"],
};

const OBSERVER_DISAGREES: HealthText = HealthText {
    name: "OBSERVER_DISAGREES",
    title: "an observer stands alone",
    meaning: "An observer reports losses that nobody else sees: its own connection is bad, or \
              it lies.",
    advice: &[
        "plexmesh peer {peer}",
        "plexmesh latency {peer}",
        "plexmesh status   # on the host of {peer}",
    ],
};

const EQUIVOCATION: HealthText = HealthText {
    name: "EQUIVOCATION",
    title: "a peer contradicts itself",
    meaning: "A peer signed two different bodies under one version: a cloned identity, a \
              restored backup, or a lie.",
    advice: &["plexmesh peer {peer}", "plexmesh events --limit 50"],
};

const CLOCK_SKEW: HealthText = HealthText {
    name: "CLOCK_SKEW",
    title: "a clock is wrong",
    meaning: "A peer's clock is more than a minute ahead of this peer's or behind it, or this \
              peer's own clock stands against those of most neighbours.",
    advice: &[
        "timedatectl   # on the host of {peer}",
        "plexmesh peer {peer}",
        "plexmesh doctor   # on the host of {peer}",
    ],
};

const IDENTITY_CLONED: HealthText = HealthText {
    name: "IDENTITY_CLONED",
    title: "an identity is in use twice",
    meaning: "Another running agent signs with the same key: a data directory was copied.",
    advice: &["plexmesh peer {peer}", "plexmesh events --limit 50"],
};

const DATA_DIR_FULL: HealthText = HealthText {
    name: "DATA_DIR_FULL",
    title: "the data directory has too little room",
    meaning: "The agent's data directory takes more than it may, or its file system is full, and \
              nothing is left that the agent may remove.",
    advice: &[
        "plexmesh doctor   # on the host of {peer}",
        "plexmesh config show agent   # on the host of {peer}",
    ],
};

const MEMBERSHIP_DENIED: HealthText = HealthText {
    name: "MEMBERSHIP_DENIED",
    title: "an enroller says that a peer is no member",
    meaning: "Nobody lets this peer in any more, and an enroller that it asked says that it is no \
              member: an admin put it out, or what let it in, while it was away.",
    advice: &[
        "plexmesh revoke   # on the host of {other} or of any other member",
        "plexmesh certificate   # on the host of {peer}",
    ],
};

const DATABASE_SET_ASIDE: HealthText = HealthText {
    name: "DATABASE_SET_ASIDE",
    title: "a database was unreadable",
    meaning: "A database of the agent's data directory did not open. It was renamed, and a new one \
              was begun in its place.",
    advice: &[
        "dmesg | tail   # on the host of {peer}",
        "plexmesh config show agent   # on the host of {peer}",
    ],
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../docs/health.md");

    #[test]
    fn every_code_has_a_section_with_its_meaning_and_advice_and_no_section_lacks_a_code() {
        let sections: BTreeSet<&str> =
            PAGE.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let names: BTreeSet<&str> = codes().map(|code| text(code).name).collect();
        assert_eq!(sections, names);
        assert_eq!(names.len(), codes().count());
        for code in codes() {
            assert!(PAGE.contains(text(code).meaning), "{code:?}");
            let advice = text(code).advice_for("PEER", "OTHER").join("\n");
            assert!(PAGE.contains(&format!("```sh\n{advice}\n```")), "{code:?}");
        }
    }

    #[test]
    fn advice_is_at_most_three_commands_and_names_the_peers() {
        for code in codes() {
            let advice = text(code).advice_for("alpha", "beta");
            assert!((1..=3).contains(&advice.len()), "{code:?}");
            assert!(advice.iter().all(|line| !line.contains('{')), "{code:?}");
        }
    }
}
