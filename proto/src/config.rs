//! What a node is told once, when it is made.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::record::{Authorities, Certificate, MeshId, Profile};
use crate::types::{PeerId, Version};

/// Identity, mesh and starting points of one node.
///
/// Timings are not here: they are constants next to the mechanism that they belong to, because peers whose timings differ judge each other wrongly.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which mesh.
    pub mesh: MeshId,
    /// Keys whose certificates make members.
    pub authorities: Arc<Authorities>,
    /// This peer's certificate; names its key.
    pub certificate: Certificate,
    /// What this peer says of itself.
    pub profile: Profile,
    /// Peers to ask when no member is known or reachable.
    pub seeds: Vec<PeerId>,
    /// The highest version of an earlier start; default if none is known.
    pub last_version: Version,
    /// The newest epoch of the mesh's secret that the driver holds; 0 for none.
    pub key_epoch: u32,
}
