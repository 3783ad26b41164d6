//! What a test or a scenario does to a world.

use std::sync::Arc;
use std::time::Duration;

use plexmesh_proto::ReplaceRefusal;
use plexmesh_proto::integrity::ShardReport;
use plexmesh_proto::port::Input;
use plexmesh_proto::record::{Certificate, Payload, Profile, Record, Replacement, Resources, Role};
use plexmesh_proto::types::{Now, PeerId, Version};

use super::{Happening, MeshKeys, VirtualNode, World};
use crate::builder::CERTIFICATE_S;
use crate::host::{Disk, Host};
use crate::keys::VirtualCrypto;
use crate::traffic::Meter;

/// The key that replaces an authority; it never signs.
const NEW_AUTHORITY: PeerId = PeerId([77; 32]);

/// How a process ends without a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crash {
    /// The host is gone with it: nobody answers any more.
    #[default]
    Host,
    /// Its kernel lives and resets what comes, as for TCP: connections end at once and dials are
    /// refused.
    Process,
}

impl World {
    /// Adds a host that is off; gives its index. `seeds` are the hosts that its configuration
    /// names.
    pub fn add_host(&mut self, seeds: Vec<usize>) -> usize {
        let index = self.hosts.len();
        let id = self.crypto_of(index).peer_id();
        let wall_s = self.now_at(index).wall_s();
        let certificate = self.issue(id, vec![Role::Member], wall_s);
        self.hosts.push(Host::new(id, certificate, profile(index), seeds));
        self.meters.push(Meter::default());
        self.index.insert(id, index);
        self.transport.add_host(self.now);
        self.gossip.add_host();
        index
    }

    /// Adds a host that starts now and knows three running ones; gives its index.
    pub fn add_node(&mut self) -> usize {
        let seeds = self.some_running(3);
        let index = self.add_host(seeds);
        self.start(index);
        index
    }

    /// Starts the process of a host that is off.
    pub fn start(&mut self, host: usize) {
        self.queue.push(self.now, Happening::Start { host });
    }

    /// Ends a process without a word; its host falls silent.
    pub fn crash(&mut self, host: usize) {
        self.crash_as(host, Crash::Host);
    }

    /// Ends a process without a word.
    pub fn crash_as(&mut self, host: usize, crash: Crash) {
        if let Some(place) = self.hosts.get_mut(host) {
            place.stop();
        }
        self.forget_waiting(host);
        let (transport, mut sky) = self.wire();
        transport.switch_off(&mut sky, host, crash == Crash::Process);
    }

    /// Starts a crashed process again, with the records and the clock on its disk or with an empty
    /// disk. Its identity stays. A host that knew no seeds is told three now, as an operator would.
    pub fn restart(&mut self, host: usize, with_state: bool) {
        let seeds = self.some_running(3);
        let Some(place) = self.hosts.get_mut(host) else { return };
        if place.seeds.is_empty() {
            place.seeds = seeds;
        }
        if !with_state {
            place.disk = Disk::default();
        }
        self.start(host);
    }

    /// A host's operator takes it out of the mesh.
    pub fn leave(&mut self, host: usize, reason: &str) {
        if let Some(place) = self.hosts.get_mut(host) {
            place.plight.left = true;
        }
        self.feed(host, Input::Leave { reason: reason.to_owned() }, 0);
        self.settle();
    }

    /// Has an operator's command done by the node of a host, and what the node then wants; `None` if
    /// the host is off.
    pub fn command<T>(
        &mut self,
        host: usize,
        command: impl FnOnce(&mut VirtualNode, Now) -> T,
    ) -> Option<T> {
        let now = self.now_at(host);
        let done = command(self.hosts.get_mut(host)?.node.as_mut()?, now);
        self.drain(host);
        self.settle();
        Some(done)
    }

    /// Gives a host a certificate with these roles, from the authority, for when it next starts.
    pub fn set_roles(&mut self, host: usize, roles: Vec<Role>) {
        let Some(id) = self.peer_id(host) else { return };
        let certificate = self.issue(id, roles, self.now_at(host).wall_s());
        self.set_certificate(host, certificate);
    }

    /// Gives a host a certificate for when it next starts.
    pub fn set_certificate(&mut self, host: usize, certificate: Certificate) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.certificate = certificate;
        }
    }

    /// Has the spare authority put a new key in the place of the first one, whose certificates count for
    /// `grace` from then on. The host tells the mesh; `None` if it does not run.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn replace_authority(
        &mut self,
        host: usize,
        grace: Duration,
    ) -> Option<Result<(), ReplaceRefusal>> {
        let known = self.hosts.get(host)?.node.as_ref()?.authorities().clone();
        let certificate = self.issue_by_spare(host)?;
        let until_s = self.now_at(host).wall_s() + grace.as_secs();
        let MeshKeys { mesh, authority, spare } = &mut self.keys;
        let lost = authority.peer_id();
        let replacement = Replacement { lost, new: NEW_AUTHORITY, until_s, stolen: false };
        let signer = spare.peer_id();
        let told = match known.replace(spare, signer, mesh, replacement) {
            Ok(told) => told,
            Err(error) => return Some(Err(error.into())),
        };
        let chain = told.changes().to_vec();
        self.command(host, move |node, now| node.replace_authority(&chain, certificate, now))
    }

    /// Renews a host's certificate with the spare authority; whether the host takes it.
    pub fn renew_by_spare(&mut self, host: usize) -> bool {
        let Some(certificate) = self.issue_by_spare(host) else { return false };
        self.command(host, move |node, now| node.set_certificate(certificate, now))
            .unwrap_or_default()
    }

    fn issue_by_spare(&mut self, host: usize) -> Option<Certificate> {
        let wall_s = self.now_at(host).wall_s();
        let spare = self.keys.spare.peer_id();
        let own = self.hosts.get(host)?.certificate.clone();
        let renewed = own.renew(&mut self.keys.spare, spare, wall_s, wall_s + CERTIFICATE_S);
        self.set_certificate(host, renewed.clone());
        Some(renewed)
    }

    fn issue(&mut self, peer: PeerId, roles: Vec<Role>, wall_s: u64) -> Certificate {
        let authority = self.keys.authority.peer_id();
        Certificate::issue(
            &mut self.keys.authority,
            authority,
            self.keys.mesh,
            peer,
            roles,
            wall_s.saturating_sub(60),
            wall_s + CERTIFICATE_S,
        )
    }

    /// A host's scrub tells what it found.
    pub fn tell_shards(&mut self, host: usize, report: ShardReport) {
        self.feed(host, Input::Shards(report), 0);
        self.settle();
    }

    /// A host tells its node what it measures of itself.
    pub fn tell_resources(&mut self, host: usize, resources: Resources) {
        self.feed(host, Input::Resources(resources), 0);
        self.settle();
    }

    /// Sets what a host says of itself when it next starts.
    pub fn set_profile(&mut self, host: usize, profile: Profile) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.profile = profile;
        }
    }

    /// Prints every event that a node tells on standard error.
    pub const fn set_trace(&mut self, trace: bool) {
        self.trace = trace;
    }

    /// Starts all traffic meters anew.
    pub fn reset_traffic(&mut self) {
        let now = self.now;
        self.meters.iter_mut().for_each(|meter| meter.reset(now));
    }

    /// A record of a host, signed with its key, valid for an hour. Its version is that of the
    /// host's clock.
    #[must_use]
    pub fn sign_as(&self, host: usize, payload: Payload) -> Option<Arc<Record>> {
        const VALID_S: u64 = 3_600;
        let origin = self.peer_id(host)?;
        let now = self.now_at(host);
        let (version, expires_s) = (Version::at_ms(now.wall_ms), now.wall_s() + VALID_S);
        let mut crypto = self.crypto_of(host);
        let mesh = &self.keys.mesh;
        Some(Arc::new(Record::sign(&mut crypto, mesh, origin, version, expires_s, payload)))
    }

    /// Gives a record to a host as a broadcast that `from` passed on.
    pub fn inject(&mut self, at: usize, from: PeerId, record: Arc<Record>) {
        let Some(peer) = self.host_of(&from) else { return };
        let bytes = record.wire_bytes();
        if self.gossip.is_new(self.now, at, record.item()) {
            self.pass_broadcast(at, peer, from, record, bytes);
            self.settle();
        }
    }

    /// The certificate of a host.
    #[must_use]
    pub fn certificate(&self, host: usize) -> Option<&Certificate> {
        self.hosts.get(host).map(|host| &host.certificate)
    }

    pub(crate) fn crypto_of(&self, host: usize) -> VirtualCrypto {
        VirtualCrypto::new(self.seed, "peer", host as u64, 0, self.verified.clone())
    }

    fn some_running(&mut self, count: usize) -> Vec<usize> {
        let running: Vec<usize> = self.running().collect();
        let drawn = self.dice.sample(count, running.len());
        drawn.into_iter().filter_map(|place| running.get(place).copied()).collect()
    }
}

/// What a virtual peer says of itself: as long as a real one.
fn profile(index: usize) -> Profile {
    let (high, low) = (index / 250, index % 250 + 1);
    Profile {
        name: format!("peer-{index}"),
        region: format!("region-{}", index % 4),
        zone: format!("zone-{}", index % 12),
        tier: "standard".to_owned(),
        addresses: vec![
            format!("/ip4/10.{high}.0.{low}/udp/6374/quic-v1"),
            format!("/ip4/10.{high}.0.{low}/tcp/6374"),
        ],
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Profile::default()
    }
}
