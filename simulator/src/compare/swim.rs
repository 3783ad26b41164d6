//! SWIM with suspicion: the crate foca, which is a state machine without I/O, driven in virtual
//! time. All rules are its own; what is chosen here is the configuration, the identities and the
//! encoding, which is the one that it brings along (postcard).

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use foca::{
    Config, Foca, Identity, Member, NoCustomBroadcast, Notification, PostcardCodec, Runtime,
};
use plexmesh_proto::types::Time;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::machine::{Birth, Machine, Outbox, SEEDS};
use crate::dice;
use crate::scenario::Span;
use crate::world::micros;

/// Port in all identities: it is encoded with each, and takes two bytes as nearly every port does.
const PORT: u16 = 6_374;
/// Network that the addresses of peers are in: 10.0.0.0/8 has room for all.
const NETWORK: u32 = 10 << 24;
/// Renewals of an identity between two starts that stay below the identities of the next start.
/// Real applications take the time of the start for this.
const RENEWALS: u32 = 1 << 16;

/// foca's own configuration for a LAN of so many peers: the figures of memberlist's LAN defaults.
pub(super) fn lan(peers: usize) -> Config {
    let size = u32::try_from(peers).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    Config::new_lan(size)
}

/// The same without what foca's documentation calls extensions of SWIM: no periodic gossip (news
/// travels on probes alone), no periodic announces, nobody is told that he was declared down.
pub(super) fn plain(peers: usize) -> Config {
    Config {
        notify_down_members: false,
        periodic_announce: None,
        periodic_announce_to_down_members: None,
        periodic_gossip: None,
        ..lan(peers)
    }
}

/// A configuration in one line.
pub(super) fn in_words(config: &Config) -> String {
    const NANOS_PER_MS: u128 = 1_000_000;
    let suspicion_ms = config.suspect_to_down_after.as_nanos().div_ceil(NANOS_PER_MS);
    let suspicion = Duration::from_millis(u64::try_from(suspicion_ms).unwrap_or(u64::MAX));
    let gossip = config.periodic_gossip.as_ref().map_or_else(
        || "news on probes alone".to_owned(),
        |gossip| format!("gossip every {} to {}", Span(gossip.frequency), gossip.num_members),
    );
    let down = match &config.periodic_announce_to_down_members {
        None => "the down are not asked again".to_owned(),
        Some(announce) => {
            format!("{} of the down asked every {}", announce.num_members, Span(announce.frequency))
        }
    };
    format!(
        "probe every {}, {} for an answer, {} indirect, suspicion {}, {} transmissions, {gossip}, {down}",
        Span(config.probe_period),
        Span(config.probe_rtt),
        config.num_indirect_probes,
        Span(suspicion),
        config.max_transmissions,
    )
}

/// Who a member is: an address, and how often it came anew. Whoever hears that he was declared down
/// renews it and is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Id {
    ip: [u8; 4],
    port: u16,
    bump: u32,
}

impl Id {
    fn new(host: usize, bump: u32) -> Self {
        Self { ip: (NETWORK | host as u32).to_be_bytes(), port: PORT, bump }
    }

    fn host(&self) -> usize {
        (u32::from_be_bytes(self.ip) ^ NETWORK) as usize
    }
}

impl Identity for Id {
    type Addr = [u8; 4];

    fn renew(&self) -> Option<Self> {
        Some(Self { bump: self.bump + 1, ..*self })
    }

    fn addr(&self) -> [u8; 4] {
        self.ip
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.bump > adversary.bump
    }
}

/// One peer that runs foca. What it refuses (a datagram for an identity that it no longer has) it has
/// dealt with: the agents in its repository log it and go on.
pub(super) struct Swim {
    foca: Foca<Id, PostcardCodec, ChaCha8Rng, NoCustomBroadcast>,
}

impl Machine for Swim {
    type Rules = Config;
    type Datagram = Rc<[u8]>;
    type Timer = foca::Timer<Id>;

    fn start(rules: &Config, birth: Birth, _: Time, out: &mut Outbox<Self>) -> Self {
        let Birth { host, starts, peers, seed } = birth;
        let index = u64::from(starts) << 32 | host as u64;
        let dice = ChaCha8Rng::from_seed(dice::derive(seed, "swim", index));
        let id = Id::new(host, starts * RENEWALS);
        let mut foca = Foca::new(id, rules.clone(), dice, PostcardCodec);
        let others = |bound: usize| (0..bound).filter(move |&other| other != host);
        if starts == 0 {
            let all = others(peers).map(|other| Member::alive(Id::new(other, 0)));
            let _refused = foca.apply_many(all, false, Wants(out));
        } else {
            for seed in others(SEEDS.min(peers)) {
                let _refused = foca.announce(Id::new(seed, 0), Wants(out));
            }
        }
        Self { foca }
    }

    fn receive(&mut self, _: usize, datagram: Rc<[u8]>, _: Time, out: &mut Outbox<Self>) {
        let _refused = self.foca.handle_data(&datagram, Wants(out));
    }

    fn wake(&mut self, timer: foca::Timer<Id>, _: Time, out: &mut Outbox<Self>) {
        let _refused = self.foca.handle_timer(timer, Wants(out));
    }
}

/// Takes what foca wants of the world.
struct Wants<'a>(&'a mut Outbox<Swim>);

impl Runtime<Id> for Wants<'_> {
    fn notify(&mut self, notification: Notification<'_, Id>) {
        match notification {
            Notification::MemberUp(id) => self.0.say(id.host(), false),
            Notification::MemberDown(id) => self.0.say(id.host(), true),
            _ => {}
        }
    }

    fn send_to(&mut self, to: Id, data: &[u8]) {
        self.0.send(to.host(), data.len(), data.into());
    }

    fn submit_after(&mut self, timer: foca::Timer<Id>, after: Duration) {
        self.0.wake_after(micros(after), timer);
    }
}
