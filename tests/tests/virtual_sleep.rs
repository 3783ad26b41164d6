//! Virtual time: a laptop that sleeps is asleep and not down, and when it wakes it accuses nobody.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use plexmesh_proto::membership::state::PeerState;
use plexmesh_proto::record::{Availability, EdgeStatus, Profile};
use plexmesh_simulator::{World, check};
use plexmesh_tests::worlds::{everybody, is_settled, seed, settle};

const PEERS: usize = 20;
/// Peers that may sleep; the first ones, by index.
const SLEEPERS: usize = 5;
const GRACE: Duration = Duration::from_secs(15 * 60);
/// One that should be up always and stands still all the same.
const SERVER: usize = 10;
/// For how long each sleeper sleeps, in seconds.
const NAPS: [u64; SLEEPERS] = [30, 120, 600, 1_200, 2_400];
/// How long after that its network is up, in seconds.
const NETWORK: [u64; SLEEPERS] = [0, 2, 5, 10, 25];
/// Observers that have to see a peer gone before it is called down.
const QUORUM: usize = 3;
/// In which time everybody knows of a peer that fell silent, or of the end of its grace.
const KNOWN: Duration = Duration::from_secs(20);
/// In which time a peer that woke is up for everybody.
const BACK: Duration = Duration::from_secs(30);
/// States that blame a peer.
const ACCUSED: [PeerState; 4] =
    [PeerState::Down, PeerState::Unreachable, PeerState::Flapping, PeerState::Suspect];

/// How a host stops and goes on.
#[derive(Clone, Copy)]
struct Lid {
    close: fn(&mut World, usize),
    open: fn(&mut World, usize),
}

/// Nothing goes in or out.
const HOST: Lid = Lid { close: World::sleep, open: World::wake };
/// The process alone stands still; its kernel keeps the connections for a while.
const PROCESS: Lid = Lid { close: World::pause, open: World::resume };

fn mesh(own: u64) -> World {
    let mut world = World::builder(seed(own)).nodes(PEERS).loss(0.01).build();
    for host in 0..SLEEPERS {
        let profile = Profile {
            name: format!("laptop-{host}"),
            availability: Availability::Intermittent,
            sleep_grace_s: GRACE.as_secs().try_into().unwrap(),
            ..Profile::default()
        };
        world.set_profile(host, profile);
    }
    assert!(settle(&mut world).is_some());
    world
}

/// Peers that run and have a network, and have had for a while.
fn is_well(world: &World, naps: &[Nap], host: usize) -> bool {
    let since = world.truth(host).running_since;
    let ago = since.map(|since| world.now_at(host).time.since(since));
    let runs = ago.is_some_and(|ago| Duration::from_micros(ago) > BACK);
    let naps = naps.iter().find(|nap| nap.host == host);
    runs && naps.is_none_or(|nap| world.elapsed() > nap.network + BACK)
}

/// What `host` itself reports, or says, against peers that are well.
fn accusations_by(world: &World, naps: &[Nap], host: usize) -> Vec<String> {
    let node = world.node(host).unwrap();
    let well = |subject: &usize| *subject != host && is_well(world, naps, *subject);
    let edges = node.edges(world.now_at(host)).into_iter().filter(|edge| {
        let blames = matches!(edge.edge.status, EdgeStatus::Checking | EdgeStatus::Lost);
        edge.observer == node.me() && blames && well(&world.host_of(&edge.subject).unwrap())
    });
    let edges = edges.map(|edge| format!("{host}: {:?}", edge.edge));
    // What it heard last of another sleeper may be old, for a moment.
    let states = servers().into_iter().filter(well).filter_map(|subject| {
        let state = node.state_of(&world.peer_id(subject).unwrap())?;
        ACCUSED.contains(&state).then(|| format!("{host}: {subject} is {state:?}"))
    });
    edges.chain(states).collect()
}

/// One sleeper and what is to become of it, in world time.
struct Nap {
    host: usize,
    ends: Duration,
    network: Duration,
}

/// Closes the lids of all sleepers at once. Every one is to sleep for a time of its own.
fn close(world: &mut World, own: u64, lid: Lid) -> Vec<Nap> {
    let begun = world.elapsed();
    let mut naps = Vec::new();
    for (host, network) in NETWORK.into_iter().enumerate() {
        (lid.close)(world, host);
        let turn = (host + usize::try_from(own).unwrap()) % SLEEPERS;
        let ends = begun + Duration::from_secs(NAPS[turn]);
        naps.push(Nap { host, ends, network: ends + Duration::from_secs(network) });
    }
    naps
}

/// What a sleeper has to be for everybody that never sleeps; `None` while that changes.
fn expected(world: &World, naps: &[Nap], nap: &Nap, asleep_for: Duration) -> Option<PeerState> {
    let now = world.elapsed();
    if now > nap.network + BACK {
        return Some(PeerState::Up);
    }
    if now + Duration::from_secs(1) >= nap.ends {
        return None;
    }
    let lost_by = world.reported_lost_by(SERVER, nap.host);
    let witnesses = lost_by.into_iter().filter(|host| servers().contains(host)).count();
    match asleep_for {
        // With fewer of them, one that woke and lost it later may hold that its grace is not over.
        it if it > GRACE + KNOWN => (witnesses >= QUORUM).then_some(PeerState::Down),
        // Who just woke still says what it heard before it slept, until it has dialled.
        _ if naps.iter().any(|it| (it.ends..it.network + BACK).contains(&now)) => None,
        it if it > KNOWN && it < GRACE => Some(PeerState::Asleep),
        _ => None,
    }
}

/// Lets all sleepers sleep at once, and looks every second. The network of each takes a while to
/// come up after it woke.
fn naps(own: u64, lid: Lid) {
    let mut world = mesh(own);
    let (begun, number) = (world.elapsed(), world.history().next_number());
    let naps = close(&mut world, own, lid);
    let last = naps.iter().map(|nap| nap.network).max().unwrap() + 2 * BACK;
    let mut seen = BTreeSet::new();
    while world.elapsed() < last {
        world.run_for(Duration::from_secs(1));
        let elapsed = world.elapsed();
        for nap in &naps {
            let since = |at: Duration| elapsed >= at && elapsed < at + Duration::from_secs(1);
            if since(nap.ends) {
                world.set_host_loss(nap.host, 1.0, 1.0);
                (lid.open)(&mut world, nap.host);
            }
            if since(nap.network) {
                world.set_host_loss(nap.host, 0.0, 0.0);
            }
            if let Some(state) = expected(&world, &naps, nap, elapsed - begun) {
                let told = check::states_of(&world, &servers(), nap.host);
                let all = check::all_see(&world, &servers(), nap.host, state);
                assert!(all, "{} after {:?}: {told:?}, not {state:?}", nap.host, elapsed - begun);
                seen.insert(state);
            }
            if elapsed > nap.ends {
                let accused = accusations_by(&world, &naps, nap.host);
                assert!(accused.is_empty(), "after {:?}: {accused:?}", elapsed - begun);
            }
        }
        if elapsed - begun > KNOWN && elapsed - begun < Duration::from_secs(NAPS[0]) {
            assert_eq!(check::findings(&world, SERVER), [], "{:?}", elapsed - begun);
        }
    }
    assert!(seen.contains(&PeerState::Down) && seen.contains(&PeerState::Asleep), "{seen:?}");
    let changes = world.history().changes_from(number).iter().filter(|change| {
        change.observer < SLEEPERS && change.subject >= SLEEPERS && ACCUSED.contains(&change.to)
    });
    let accused: Vec<_> = changes.collect();
    assert!(accused.is_empty(), "{accused:?}");
    let all = everybody(&world);
    let settled = world.run_until(BACK, |world| is_settled(world, &all));
    assert!(settled.is_some(), "{:?}", check::states(&world, &all));
}

/// Those that never sleep.
fn servers() -> Vec<usize> {
    (SLEEPERS..PEERS).collect()
}

#[test]
fn laptops_that_sleep_are_asleep_then_down_and_accuse_nobody_when_they_wake() {
    for own in [21, 22, 23] {
        naps(own, HOST);
    }
}

#[test]
fn processes_that_stand_still_for_as_long_accuse_nobody_either() {
    for own in [24, 25] {
        naps(own, PROCESS);
    }
}

#[test]
fn a_peer_that_should_be_up_always_is_down_when_it_stands_still() {
    let mut world = mesh(26);
    world.pause(SERVER);
    let others: Vec<usize> = everybody(&world).into_iter().filter(|it| *it != SERVER).collect();
    let known =
        world.run_until(KNOWN, |world| check::all_see(world, &others, SERVER, PeerState::Down));
    assert!(known.is_some(), "{:?}", check::states_of(&world, &others, SERVER));
    let asleep = world.history().changes().iter().any(|it| it.to == PeerState::Asleep);
    assert!(!asleep);
}
