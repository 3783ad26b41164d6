//! The frames of a probe stream.

use crate::types::PeerId;

/// A small message between the two ends of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Observer to subject: answer me.
    Probe {
        /// Counts up on each edge.
        seq: u32,
        /// The observer has had no answer for a while.
        unheard: bool,
    },
    /// Subject to observer: the answer to a probe.
    Pong {
        /// The probe's number.
        seq: u32,
    },
    /// Subject to an observer whose probes stopped coming.
    Silent {
        /// For how long, in milliseconds.
        silence_ms: u32,
    },
    /// Do you reach this peer?
    IndirectRequest {
        /// Which.
        target: PeerId,
        /// Correlates the report.
        nonce: u32,
    },
    /// The answer to an indirect request.
    IndirectReport {
        /// The request's.
        nonce: u32,
        /// Whether the target answered.
        heard: bool,
    },
}
