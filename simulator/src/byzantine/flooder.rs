//! A peer that never stops talking.

use std::sync::Arc;

use plexmesh_proto::exchange::message::{Cursor, ExchangeRequest};
use plexmesh_proto::record::{Kind, Record};
use plexmesh_proto::types::{MILLI, Version};

use super::{Deed, Scene};
use crate::world::VirtualNode;

/// Between two broadcasts: twenty a second, where an honest peer has some a minute.
pub(super) const PAUSE_US: u64 = 50 * MILLI;
/// It asks everybody at every so manieth broadcast: ten times a second, where an honest peer asks
/// one neighbour a second.
const ASKS_EVERY: u64 = 2;

/// How much it said.
#[derive(Debug, Default)]
pub(super) struct Flooder {
    deeds: u64,
    last: Version,
}

impl Flooder {
    /// Its own heartbeat under a new version, and a request for all that everybody ever learned.
    pub(super) fn act(&mut self, node: &mut VirtualNode, scene: &Scene) -> Deed {
        self.deeds += 1;
        let mut deed = Deed::default();
        if let Some(own) = node.record(node.me(), Kind::HEARTBEAT, scene.now) {
            let newest = self.last.max(own.version());
            let version = Version::at_ms(scene.now.wall_ms).max(Version(newest.0 + 1));
            self.last = version;
            let (origin, expires_s, payload) =
                (own.origin(), own.expires_s(), own.payload().clone());
            let crypto = node.crypto_mut();
            let record = Record::sign(crypto, &scene.mesh, origin, version, expires_s, payload);
            deed.records.push(Arc::new(record));
        }
        if self.deeds.is_multiple_of(ASKS_EVERY) {
            let changes = Some(Cursor::default());
            deed.requests.push(ExchangeRequest {
                digest: node.digest(),
                changes,
                ..ExchangeRequest::default()
            });
        }
        deed
    }
}
