//! What goes wrong, as a scenario describes it.

use serde::{Deserialize, Serialize};

use super::{Conditions, Span, Who};

/// One fault of a script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// When, counted from the beginning of the fault phase.
    pub at: Span,
    /// For how long; what has no length of its own lasts to the end of the fault phase, and what
    /// cannot be undone (a lie, a leave) for good.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Fault {
    /// Hosts fall silent; after `for` they start again, else they stay away.
    Crash {
        /// Who.
        peers: Who,
        /// Their process alone ends in order, as on SIGTERM, and closes its connections. Whose
        /// process is killed falls silent: QUIC takes no notice of what its kernel answers.
        #[serde(default)]
        process_only: bool,
        /// They come back with an empty disk.
        #[serde(default)]
        lose_state: bool,
    },
    /// One after the other is stopped and started again.
    RollingRestart {
        /// Who.
        peers: Who,
        /// From one to the next.
        every: Span,
        /// How long each is away.
        down: Span,
        /// They come back with an empty disk.
        #[serde(default)]
        lose_state: bool,
    },
    /// The process stops as by SIGSTOP; its kernel takes packets in, and it resumes late.
    Pause {
        /// Who.
        peers: Who,
    },
    /// The whole host sleeps, as a laptop does; its clocks go on.
    Sleep {
        /// Who.
        peers: Who,
    },
    /// Everything that reaches the process does so late.
    Slow {
        /// Who.
        peers: Who,
        /// How late.
        delay: Span,
    },
    /// The process gets the CPU for a while, then does not: its timers fire late.
    Starve {
        /// Who.
        peers: Who,
        /// How long it runs at a time.
        run: Span,
        /// How long it stands still in between.
        stall: Span,
    },
    /// Packets from one set to another do not pass; those back do.
    Cut {
        /// From whom.
        from: Who,
        /// To whom.
        to: Who,
    },
    /// There is no path between two sets, both ways.
    NoPath {
        /// One set.
        between: Who,
        /// The other.
        and: Who,
    },
    /// All that comes in to (or goes out of) these peers is off and on in turn.
    FlipFlop {
        /// Who.
        peers: Who,
        /// Which way.
        #[serde(default)]
        direction: Direction,
        /// How long it is off at a time.
        off: Span,
        /// How long it is on at a time.
        on: Span,
    },
    /// These peers lose packets, whoever sends them or whoever they send to.
    Loss {
        /// Who.
        peers: Who,
        /// Probability for packets that come in.
        #[serde(default)]
        ingress: f64,
        /// Probability for packets that go out.
        #[serde(default)]
        egress: f64,
    },
    /// Other conditions for what goes into and out of these peers.
    Degrade {
        /// Who.
        peers: Who,
        /// The conditions.
        conditions: Conditions,
    },
    /// The mesh falls apart; who is in none of the sides is in one more.
    Partition {
        /// The sides.
        sides: Vec<Who>,
    },
    /// The wall clock jumps, and back after `for`.
    Clock {
        /// Who.
        peers: Who,
        /// How far, in milliseconds; negative is back.
        jump_ms: i64,
    },
    /// Peers that lie from now on.
    Lie {
        /// Who.
        peers: Who,
        /// How.
        lie: crate::byzantine::Lie,
    },
    /// New peers join.
    Join {
        /// How many.
        count: usize,
    },
    /// Peers say good-bye and stop.
    Leave {
        /// Who.
        peers: Who,
    },
    /// A shard of theirs goes bad, and is whole again after `for`: news that everybody is told.
    Corrupt {
        /// Who.
        peers: Who,
    },
}

impl Fault {
    /// Its name in a file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::RollingRestart { .. } => "rolling-restart",
            Self::Pause { .. } => "pause",
            Self::Sleep { .. } => "sleep",
            Self::Slow { .. } => "slow",
            Self::Starve { .. } => "starve",
            Self::Cut { .. } => "cut",
            Self::NoPath { .. } => "no-path",
            Self::FlipFlop { .. } => "flip-flop",
            Self::Loss { .. } => "loss",
            Self::Degrade { .. } => "degrade",
            Self::Partition { .. } => "partition",
            Self::Clock { .. } => "clock",
            Self::Lie { .. } => "lie",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Corrupt { .. } => "corrupt",
        }
    }

    /// Whether it can be told when to end.
    #[must_use]
    pub const fn ends(&self) -> bool {
        !matches!(
            self,
            Self::RollingRestart { .. } | Self::Lie { .. } | Self::Join { .. } | Self::Leave { .. }
        )
    }

    /// Whether it decides alone whether the processes of its peers run.
    pub(crate) const fn is_exclusive(&self) -> bool {
        matches!(
            self,
            Self::Crash { .. }
                | Self::RollingRestart { .. }
                | Self::Pause { .. }
                | Self::Sleep { .. }
                | Self::Leave { .. }
        )
    }

    /// Whether it does nothing to a peer that is gone. What happens to paths may name such a peer:
    /// people write racks and offices, not those that are left.
    pub(crate) const fn needs_process(&self) -> bool {
        self.is_exclusive()
            || matches!(
                self,
                Self::Slow { .. }
                    | Self::Starve { .. }
                    | Self::Clock { .. }
                    | Self::Lie { .. }
                    | Self::Corrupt { .. }
            )
    }

    /// The sets of peers that it names, each with its key.
    pub fn sets(&self) -> impl Iterator<Item = (String, &Who)> {
        let sets: Vec<(String, &Who)> = match self {
            Self::Crash { peers, .. }
            | Self::RollingRestart { peers, .. }
            | Self::Pause { peers }
            | Self::Sleep { peers }
            | Self::Slow { peers, .. }
            | Self::Starve { peers, .. }
            | Self::FlipFlop { peers, .. }
            | Self::Loss { peers, .. }
            | Self::Degrade { peers, .. }
            | Self::Clock { peers, .. }
            | Self::Lie { peers, .. }
            | Self::Leave { peers }
            | Self::Corrupt { peers } => vec![("peers".to_owned(), peers)],
            Self::Cut { from, to } => vec![("from".to_owned(), from), ("to".to_owned(), to)],
            Self::NoPath { between, and } => {
                vec![("between".to_owned(), between), ("and".to_owned(), and)]
            }
            Self::Partition { sides } => {
                let named = sides.iter().enumerate();
                named.map(|(index, side)| (format!("sides[{index}]"), side)).collect()
            }
            Self::Join { .. } => Vec::new(),
        };
        sets.into_iter()
    }

    /// The same, to be changed.
    pub fn sets_mut(&mut self) -> Vec<&mut Who> {
        match self {
            Self::Crash { peers, .. }
            | Self::RollingRestart { peers, .. }
            | Self::Pause { peers }
            | Self::Sleep { peers }
            | Self::Slow { peers, .. }
            | Self::Starve { peers, .. }
            | Self::FlipFlop { peers, .. }
            | Self::Loss { peers, .. }
            | Self::Degrade { peers, .. }
            | Self::Clock { peers, .. }
            | Self::Lie { peers, .. }
            | Self::Leave { peers }
            | Self::Corrupt { peers } => vec![peers],
            Self::Cut { from, to } => vec![from, to],
            Self::NoPath { between, and } => vec![between, and],
            Self::Partition { sides } => sides.iter_mut().collect(),
            Self::Join { .. } => Vec::new(),
        }
    }
}

/// A direction, as seen from a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What comes in.
    #[default]
    In,
    /// What goes out.
    Out,
    /// Both.
    Both,
}

/// Peers that come and go during the fault phase: sessions and absences drawn from exponential
/// distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Churn {
    /// Who.
    pub peers: Who,
    /// Mean time for which a peer is there.
    pub session: Span,
    /// Mean time for which it is away.
    pub absence: Span,
    /// Share from 0 to 1 of returns with an empty disk.
    #[serde(default)]
    pub lose_state: f64,
}
