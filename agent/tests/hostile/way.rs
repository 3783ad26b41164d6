//! The ways to attack: what each does, which counters name it, and whether it costs the connection.

use std::time::Duration;

use futures::AsyncWriteExt;
use futures::future::join_all;
use plexmesh_net::{MAX_FRAME_BYTES, MAX_REQUEST_BYTES};
use plexmesh_proto::exchange::message::{Cursor, ExchangeRequest};
use plexmesh_proto::wire;

use crate::raw::Raw;
use crate::scene::{Caller, Scene};
use crate::voice::{self, Lie};

const EXCHANGE: &str = "/plexmesh/1/exchange";
const PROBE: &str = "/plexmesh/1/probe";
const GOSSIP: &str = "/meshsub/1.1.0";
const IDENTIFY: &str = "/ipfs/id/1.0.0";
const PROTOCOLS: [&str; 4] = [EXCHANGE, PROBE, GOSSIP, IDENTIFY];
/// Streams or connections that an attacker holds open at once.
const HELD: usize = 64;
/// Between two bytes of a slow one.
const SLOW: Duration = Duration::from_secs(1);
/// Between two tries on one connection, so that the attacker leaves the test some of the processor.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Attack {
    Lie(Lie),
    Garbage,
    Misfit,
    SlowLoris,
    Connections,
    NeverReads,
    Strangers,
}

pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) attack: Attack,
    /// All of these grow, summed over the agents.
    pub(crate) counters: &'static [&'static str],
    /// Whether the agents close the connections of who does it.
    pub(crate) cut: bool,
}

const fn way(
    name: &'static str,
    attack: Attack,
    counters: &'static [&'static str],
    cut: bool,
) -> Way {
    Way { name, attack, counters, cut }
}

pub(crate) const WAYS: &[Way] = &[
    way(
        "garbage on every protocol",
        Attack::Garbage,
        &["malformedRequestEncoding", "malformedFrameEncoding", "brokenRequestTooLong"],
        true,
    ),
    way(
        "garbage as request and broadcast",
        Attack::Lie(Lie::Garbage),
        &["malformedRequestEncoding"],
        true,
    ),
    way(
        "oversized and truncated frames and requests",
        Attack::Misfit,
        &["brokenRequestTooLong", "brokenRequestBrokenOff", "brokenFrameTooLong"],
        false,
    ),
    way("oversized broadcasts", Attack::Lie(Lie::TooLarge), &["malformedBroadcastTooLarge"], true),
    way(
        "requests that grow when decoded",
        Attack::Lie(Lie::Bomb),
        &["malformedRequestTooLarge"],
        true,
    ),
    way("forged signatures", Attack::Lie(Lie::Forged), &["recordForged"], false),
    way("replayed records", Attack::Lie(Lie::Replayed), &["recordKnown"], false),
    way("far future", Attack::Lie(Lie::FarFuture), &["recordFarFuture"], false),
    way("origins that do not exist", Attack::Lie(Lie::OthersOrigin), &["recordOfStranger"], false),
    way("flood of unknown kinds", Attack::Lie(Lie::UnknownKinds), &["recordCrowded"], false),
    way("flood of valid records", Attack::Lie(Lie::ValidFlood), &["recordKnown"], false),
    way("equivocation", Attack::Lie(Lie::Equivocation), &["equivocation"], false),
    way("slow streams", Attack::SlowLoris, &["brokenRequestTooSlow"], false),
    way("many connections of one identity", Attack::Connections, &["replacedByRestart"], true),
    way("requests without reading", Attack::NeverReads, &["requestsReceived"], false),
    way("broadcast flood", Attack::Lie(Lie::BroadcastFlood), &["recordOfStranger"], false),
    way(
        "strangers",
        Attack::Strangers,
        &["refusedMalformed", "refusedOtherMesh", "refusedLapsed", "inboundFailed"],
        true,
    ),
];

/// Attacks all agents at once until the scene ends.
pub(crate) async fn run(scene: &Scene, attack: Attack) {
    if let Attack::Lie(lie) = attack {
        return voice::lie(scene, lie).await;
    }
    let each = scene.targets.iter().map(|(_, addresses)| async move {
        let Some(address) = addresses.first() else { return };
        while scene.goes_on() {
            match attack {
                Attack::Connections => connections(scene, address).await,
                Attack::Strangers => strangers(scene, address).await,
                _ => on_one_connection(scene, address, attack).await,
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    join_all(each).await;
}

async fn enter(caller: &Caller, address: &str) -> Option<Raw> {
    Raw::enter(&caller.identity, address, &caller.mesh, &caller.certificate).await
}

async fn on_one_connection(scene: &Scene, address: &str, attack: Attack) {
    let Some(raw) = enter(&scene.member, address).await else { return };
    if matches!(attack, Attack::SlowLoris) {
        slow(scene, &raw).await;
    } else if matches!(attack, Attack::NeverReads) {
        never_reads(scene, &raw).await;
    } else {
        while scene.goes_on() && !raw.is_closed() {
            if matches!(attack, Attack::Garbage) {
                garbage(&raw).await;
            } else {
                misfit(&raw).await;
            }
            scene.count_deed();
            tokio::time::sleep(PAUSE).await;
        }
    }
    if raw.is_closed() {
        scene.count_cut();
    }
}

fn noise(size_bytes: usize) -> Vec<u8> {
    (0..size_bytes).map(|_| rand::random()).collect()
}

async fn garbage(raw: &Raw) {
    for protocol in PROTOCOLS {
        let _ = raw.say(protocol, &noise(1_000)).await;
    }
    // In a frame that fits, so that it reaches the decoder: field 31 of a kind that does not exist.
    let junk = [0xff; 60];
    let _ = raw.say(EXCHANGE, &[&60_u32.to_be_bytes()[..], &junk].concat()).await;
    let _ = raw.say(PROBE, &[&60_u16.to_be_bytes()[..], &junk].concat()).await;
}

async fn misfit(raw: &Raw) {
    let size_bytes = MAX_REQUEST_BYTES + 1;
    let head = u32::try_from(size_bytes).unwrap().to_be_bytes();
    let _ = raw.say(EXCHANGE, &[&head[..], &noise(size_bytes)].concat()).await;
    let _ = raw.say(EXCHANGE, &[&100_u32.to_be_bytes()[..], b"cut short"].concat()).await;
    let size_bytes = MAX_FRAME_BYTES + 1;
    let head = u16::try_from(size_bytes).unwrap().to_be_bytes();
    let _ = raw.say(PROBE, &[&head[..], &noise(size_bytes)].concat()).await;
    let _ = raw.say(PROBE, &[&100_u16.to_be_bytes()[..], b"cut short"].concat()).await;
    // A length of 2^32 - 1 in gossip's own framing.
    let _ = raw.say(GOSSIP, &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]).await;
}

/// Streams of every protocol on which a byte comes a second.
async fn slow(scene: &Scene, raw: &Raw) {
    let mut streams = Vec::new();
    for protocol in PROTOCOLS.into_iter().cycle().take(HELD) {
        let Some(mut stream) = raw.speak(protocol).await else { break };
        if protocol == EXCHANGE {
            let _ = stream.write_all(&1_000_u32.to_be_bytes()).await;
        }
        streams.push(stream);
    }
    while scene.goes_on() && !raw.is_closed() {
        for stream in &mut streams {
            let write = async {
                let _ = stream.write_all(&[1]).await;
                let _ = stream.flush().await;
            };
            let _ = tokio::time::timeout(PAUSE, write).await;
        }
        scene.count_deed();
        tokio::time::sleep(SLOW).await;
    }
}

/// Asks for everything on stream after stream, and reads none.
async fn never_reads(scene: &Scene, raw: &Raw) {
    let changes = Some(Cursor::default());
    let request = ExchangeRequest { changes, ..ExchangeRequest::default() };
    let bytes = wire::encode_request(&request);
    let said = [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat();
    let mut streams = std::collections::VecDeque::new();
    while scene.goes_on() && !raw.is_closed() {
        let Some(mut stream) = raw.speak(EXCHANGE).await else { return };
        let write = async {
            let _ = stream.write_all(&said).await;
            let _ = stream.flush().await;
        };
        let _ = tokio::time::timeout(SLOW, write).await;
        streams.push_back(stream);
        if streams.len() > HELD {
            streams.pop_front();
        }
        scene.count_deed();
    }
}

async fn connections(scene: &Scene, address: &str) {
    let entered = join_all((0..HELD / 4).map(|_| enter(&scene.member, address))).await;
    let held: Vec<Raw> = entered.into_iter().flatten().collect();
    tokio::time::sleep(SLOW / 4).await;
    held.iter().filter(|raw| raw.is_closed()).for_each(|_| scene.count_cut());
    scene.count_deed();
}

async fn strangers(scene: &Scene, address: &str) {
    for stranger in &scene.strangers {
        if enter(stranger, address).await.is_none() {
            scene.count_cut();
        }
        // One that says nothing and goes.
        let _ = Raw::dial(&stranger.identity, address).await;
        scene.count_deed();
    }
}
