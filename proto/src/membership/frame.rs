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
        /// It travels on a stream of its own: what was lost before does not hold it back.
        own_stream: bool,
    },
    /// Subject to observer: the answer to a probe.
    Pong {
        /// The probe's number.
        seq: u32,
        /// The probe's.
        own_stream: bool,
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

impl Frame {
    /// Whether the transport is to send it on a stream of its own, in place of the ordered one that all other frames share.
    #[must_use]
    pub const fn own_stream(&self) -> bool {
        match self {
            Self::Probe { own_stream, .. } | Self::Pong { own_stream, .. } => *own_stream,
            Self::Silent { .. } | Self::IndirectRequest { .. } | Self::IndirectReport { .. } => {
                false
            }
        }
    }
}
