//! Round-trip times, as they go over the socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edge::Edge;
use super::peer::PeerRef;

/// Round-trip times between peers: what observers measured, and estimates for the other pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// The peers of the matrix, in the order of its rows and columns.
    pub peers: Vec<PeerRef>,
    /// Peers that were left out because there are too many.
    pub omitted_peers: usize,
    /// Edges between these peers as their observers published them.
    pub measured: Vec<Edge>,
    /// Estimated round trips in microseconds, row = from, column = to. `null` where there are
    /// measured figures, where the pair failed in either direction, and where a peer has no
    /// coordinate or is out of reach.
    pub estimated_micros: Vec<Vec<Option<u32>>>,
}
