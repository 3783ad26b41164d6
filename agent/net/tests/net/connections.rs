//! How connections begin, settle and end.

use crate::exchange::publish_until_heard;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::{Node, PATIENCE, QUIC, TCP, both_connected, config, connect, until};
use plexmesh_net::{Identity, NetEvent, PathKind, SendError};

async fn path_to(node: &mut Node, other: &Node) -> PathKind {
    node.wait(|event| match event {
        NetEvent::Connected { peer, path, .. } if peer == other.key => Some(path),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn quic_is_taken_although_tcp_stands_first() {
    let mut a = Node::start(&[]).await;
    let b = Node::start(&[TCP, QUIC]).await;
    let (mut tcp_first, quic): (Vec<_>, Vec<_>) =
        b.addresses.iter().cloned().partition(|a| a.contains("/tcp/"));
    tcp_first.extend(quic);
    a.handle.dial(b.key, tcp_first).unwrap();
    assert_eq!(path_to(&mut a, &b).await, PathKind::Quic);
}

#[tokio::test]
async fn tcp_is_taken_when_nothing_answers_on_quic() {
    // A bound socket that nobody reads: the port stays silent, as behind a firewall.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dead = format!("/ip4/127.0.0.1/udp/{}/quic-v1", silent.local_addr().unwrap().port());
    let mut quick = config(&[]);
    quick.timing.handshake_timeout = Duration::from_secs(1);
    let mut a = Node::start_with(quick).await;
    let b = Node::start(&[TCP]).await;
    a.handle.dial(b.key, vec![dead, b.addresses[0].clone()]).unwrap();
    assert_eq!(path_to(&mut a, &b).await, PathKind::Tcp);
}

#[tokio::test]
async fn a_dial_that_cannot_succeed_fails_with_every_reason() {
    let mut a = Node::start(&[]).await;
    let peer = Identity::generate().public();
    a.handle.dial(peer, Vec::new()).unwrap();
    assert!(a.wait_dial_failed(peer).await.contains("no address"));
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let addresses = vec!["nonsense".to_owned(), format!("/ip4/127.0.0.1/tcp/{closed}")];
    a.handle.dial(peer, addresses).unwrap();
    let reason = a.wait_dial_failed(peer).await;
    assert!(reason.contains("nonsense") && reason.contains("/tcp/"), "{reason}");
    a.handle.dial(a.key, Vec::new()).unwrap();
    assert!(a.wait_dial_failed(a.key).await.contains("own"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_dial_each_other_at_once_keep_one_connection() {
    for transport in [QUIC, TCP] {
        // Several rounds: whether the dials cross is up to the scheduler.
        for _ in 0..5 {
            let mut a = Node::start(&[transport]).await;
            let mut b = Node::start(&[transport]).await;
            a.handle.set_wanted(BTreeSet::from([b.key]));
            b.handle.set_wanted(BTreeSet::from([a.key]));
            a.dial(&b);
            b.dial(&a);
            both_connected(&mut a, &mut b).await;
            until("one connection is left and no dial is under way", || {
                [&a, &b].iter().all(|node| {
                    let stats = node.handle.stats();
                    stats.established_connections == 1 && stats.unadmitted_connections == 0
                })
            })
            .await;
            // The one connection left is the same at both ends: it works both ways.
            for (from, to) in [(&a, &b), (&b, &a)] {
                let before = to.handle.stats().frames_received;
                until("a frame arrives", || {
                    from.handle.frame(to.key, b"probe".to_vec()).unwrap();
                    to.handle.stats().frames_received > before
                })
                .await;
            }
            for node in [&mut a, &mut b] {
                let unsettled = node.drain().into_iter().find(|event| {
                    matches!(
                        event,
                        NetEvent::Connected { .. }
                            | NetEvent::Disconnected { .. }
                            | NetEvent::DialFailed { .. }
                    )
                });
                assert_eq!(unsettled, None, "one `Connected` and nothing else");
            }
        }
    }
}

#[tokio::test]
async fn a_shutdown_is_seen_by_peers_and_ends_the_task() {
    for transport in [QUIC, TCP] {
        let mut patient = config(&[]);
        patient.timing.idle_timeout = PATIENCE * 10;
        let mut a = Node::start_with(patient).await;
        let mut b = Node::start(&[transport]).await;
        connect(&mut a, &mut b).await;
        b.handle.shutdown().await;
        assert_eq!(b.handle.publish(Vec::new()), Err(SendError::Closed));
        a.wait_disconnected(b.key).await;
    }
}

#[tokio::test]
async fn dropping_all_handles_is_a_shutdown() {
    let mut patient = config(&[]);
    patient.timing.idle_timeout = PATIENCE * 10;
    let mut a = Node::start_with(patient).await;
    let mut b = Node::start(&[QUIC]).await;
    connect(&mut a, &mut b).await;
    let Node { key, handle, mut events, .. } = b;
    drop(handle);
    a.wait_disconnected(key).await;
    while events.recv().await.is_some() {}
}

/// A runtime whose death takes every task with it, like a killed process.
fn mortal_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_dies_silently_is_disconnected_by_the_idle_timeout() {
    for transport in [QUIC, TCP] {
        let mut impatient = config(&[]);
        impatient.timing.idle_timeout = Duration::from_secs(2);
        impatient.timing.keep_alive = Duration::from_millis(500);
        let mut a = Node::start_with(impatient).await;
        let grave = mortal_runtime();
        let b = grave.spawn(Node::start_with(config(&[transport]))).await.unwrap();
        a.handle.set_wanted(BTreeSet::from([b.key]));
        a.dial(&b);
        a.wait_connected(b.key).await;
        grave.shutdown_background();
        a.wait_disconnected(b.key).await;
    }
}

#[tokio::test]
async fn on_tcp_a_peer_that_answers_nothing_is_disconnected() {
    let mut impatient = config(&[]);
    impatient.timing.idle_timeout = Duration::from_secs(1);
    let mut a = Node::start_with(impatient).await;
    let mut b = Node::start(&[TCP]).await;
    connect(&mut a, &mut b).await;
    a.handle.frame(b.key, b"are you there?".to_vec()).unwrap();
    a.wait_disconnected(b.key).await;
    assert_eq!(a.handle.stats().closed_silent, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_replaces_its_former_self_at_once() {
    let mut patient = config(&[QUIC]);
    patient.timing.idle_timeout = PATIENCE * 10;
    let mut a = Node::start_with(patient).await;
    let settings = config(&[QUIC]);
    let grave = mortal_runtime();
    let former = grave.spawn(Node::start_with(settings.clone())).await.unwrap();
    a.handle.set_wanted(BTreeSet::from([former.key]));
    a.dial(&former);
    a.wait_connected(former.key).await;
    grave.shutdown_background();
    let mut restarted = Node::start_with(settings).await;
    restarted.dial(&a);
    // Long before the idle timeout of the former connection.
    a.wait_disconnected(restarted.key).await;
    assert_eq!(a.handle.stats().replaced_by_restart, 1);
    // Whoever sees the connection go dials again, until the former one is closed.
    loop {
        a.dial(&restarted);
        let connected = a.wait(|event| match event {
            NetEvent::Connected { .. } => Some(true),
            NetEvent::DialFailed { .. } => Some(false),
            _ => None,
        });
        if connected.await {
            break;
        }
    }
    a.handle.frame(restarted.key, b"welcome back".to_vec()).unwrap();
    restarted.wait(|event| matches!(event, NetEvent::Frame { .. }).then_some(())).await;
    // Gossip works both ways: each side knows the other's topics.
    publish_until_heard(&a, &mut restarted).await;
    publish_until_heard(&restarted, &mut a).await;
}

#[tokio::test]
async fn a_connection_that_nobody_wants_is_closed_and_a_wanted_one_stays() {
    let mut brief = config(&[QUIC]);
    brief.timing.unwanted_after = Duration::from_secs(1);
    let mut a = Node::start_with(brief).await;
    let mut wanted = Node::start(&[QUIC]).await;
    let mut unwanted = Node::start(&[QUIC]).await;
    connect(&mut a, &mut wanted).await;
    a.dial(&unwanted);
    both_connected(&mut a, &mut unwanted).await;
    a.wait_disconnected(unwanted.key).await;
    unwanted.wait_disconnected(a.key).await;
    let stats = a.handle.stats();
    assert_eq!((stats.closed_unwanted, stats.connected_peers), (1, 1));
    // Wanted no longer, it goes as well.
    a.handle.set_wanted(BTreeSet::new());
    a.wait_disconnected(wanted.key).await;
}

#[tokio::test]
async fn above_the_limit_unwanted_connections_go_at_once() {
    let mut small = config(&[QUIC]);
    small.max_connections = 2;
    let mut hub = Node::start_with(small).await;
    let mut wanted = Node::start(&[]).await;
    hub.handle.set_wanted(BTreeSet::from([wanted.key]));
    wanted.dial(&hub);
    hub.wait_connected(wanted.key).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        let mut node = Node::start(&[]).await;
        node.dial(&hub);
        node.wait_connected(hub.key).await;
        others.push(node);
    }
    until("down to the limit", || {
        let stats = hub.handle.stats();
        stats.closed_over_limit == 3 && stats.connected_peers == 2
    })
    .await;
    assert!(
        !wanted.drain().iter().any(|e| matches!(e, NetEvent::Disconnected { .. })),
        "the wanted one stays"
    );
}

#[tokio::test]
async fn a_full_peer_turns_newcomers_away_at_the_gate() {
    let mut tiny = config(&[QUIC]);
    tiny.max_connections = 0;
    let mut hub = Node::start_with(tiny).await;
    // Wanted peers fill the margin above the limit of none.
    let mut settings: Vec<_> = (0..9).map(|_| config(&[])).collect();
    let wanted = settings.iter().map(|c| c.identity.public()).collect();
    hub.handle.set_wanted(wanted);
    let last = settings.pop().unwrap();
    let mut nodes = Vec::new();
    for config in settings {
        let mut node = Node::start_with(config).await;
        node.dial(&hub);
        node.wait_connected(hub.key).await;
        hub.wait_connected(node.key).await;
        nodes.push(node);
    }
    let mut last = Node::start_with(last).await;
    last.dial(&hub);
    let reason = last.wait_dial_failed(hub.key).await;
    assert!(reason.contains("no connection to spare"), "{reason}");
}

#[tokio::test]
async fn disconnect_closes_a_connection_and_calls_off_a_dial() {
    let mut a = Node::start(&[]).await;
    let mut b = Node::start(&[QUIC]).await;
    connect(&mut a, &mut b).await;
    a.handle.disconnect(b.key).unwrap();
    a.wait_disconnected(b.key).await;
    b.wait_disconnected(a.key).await;
    // Dial and call off in one go: both commands are read before the dial can succeed.
    a.dial(&b);
    a.handle.disconnect(b.key).unwrap();
    until("nothing is under way", || {
        let stats = a.handle.stats();
        stats.dials == 2 && stats.unadmitted_connections == 0 && stats.established_connections == 0
    })
    .await;
    assert!(
        !a.drain().iter().any(|e| matches!(e, NetEvent::Connected { .. })),
        "the dial was called off"
    );
}
