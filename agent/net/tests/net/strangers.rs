//! Strangers that ask for admission.

use std::time::Duration;

use futures::stream::StreamExt;
use futures::{AsyncReadExt, AsyncWriteExt};
use plexmesh_net::{
    AdmissionError, Identity, MAX_ADMISSION_ANSWER_BYTES, MAX_ADMISSION_REQUEST_BYTES, NetEvent,
    NetHandle, NetStats, PeerKey, SendError, ask_admission,
};
use tokio::task::JoinHandle;

use crate::common::{Node, PATIENCE, QUIC, TCP, config, connect, refused, until};
use crate::raw::{Raw, RawListener, rest_of};

const ADMIT: &[u8] = b"/plexmesh/1/admit";

type Asked = JoinHandle<Result<Vec<u8>, AdmissionError>>;

/// A node that serves strangers.
async fn enroller(listen: &[&str]) -> Node {
    let node = Node::start(listen).await;
    node.handle.set_admitting(true);
    node
}

/// Asks in the background, as a new stranger.
fn ask(to: &Node, request: &[u8]) -> Asked {
    ask_as(Identity::generate(), to.key, to.addresses.clone(), request.to_vec())
}

fn ask_as(identity: Identity, to: PeerKey, addresses: Vec<String>, request: Vec<u8>) -> Asked {
    tokio::spawn(async move { ask_admission(&identity, to, addresses, request, PATIENCE).await })
}

async fn next_request(node: &mut Node) -> (PeerKey, String, u64, Vec<u8>) {
    node.wait(|event| match event {
        NetEvent::Admission { peer, address, token, bytes } => Some((peer, address, token, bytes)),
        // Of a peer of the mesh, as it is connected.
        NetEvent::ObservedAddress { .. } => None,
        other => panic!("strangers reach nothing else: {other:?}"),
    })
    .await
}

/// Answers every request in the background with `yes` and the request.
fn answer_all(node: Node) -> (NetHandle, JoinHandle<()>) {
    let Node { handle, mut events, .. } = node;
    let answering = handle.clone();
    let task = tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let NetEvent::Admission { token, bytes, .. } = event {
                let _ = answering.answer_admission(token, [b"yes ", &bytes[..]].concat());
            }
        }
    });
    (handle, task)
}

/// How many strangers got an end of which kind.
fn ended(stats: &NetStats) -> u64 {
    stats.admissions_answered
        + stats.admissions_closed
        + stats.admissions_over_rate
        + stats.admissions_over_limit
        + stats.broken_admission_too_long
        + stats.admissions_unanswered
        + stats.dropped_admissions_events
}

#[tokio::test]
async fn a_stranger_is_answered_over_quic_and_over_tcp() {
    for (transport, mark) in [(QUIC, "/quic-v1"), (TCP, "/tcp/")] {
        let mut node = enroller(&[transport]).await;
        let stranger = Identity::generate();
        let key = stranger.public();
        let asked = ask_as(stranger, node.key, node.addresses.clone(), b"let me in".to_vec());
        let (peer, address, token, bytes) = next_request(&mut node).await;
        assert_eq!((peer, bytes.as_slice()), (key, b"let me in".as_slice()));
        assert!(address.contains(mark), "{address}");
        node.handle.answer_admission(token, b"welcome".to_vec()).unwrap();
        assert_eq!(asked.await.unwrap().unwrap(), b"welcome");
        until("the visit is over", || node.handle.stats().unadmitted_connections == 0).await;
        let stats = node.handle.stats();
        assert_eq!(stats.admissions_answered, 1);
        assert_eq!((stats.inbound_failed, refused(&stats)), (0, 0), "it is no failure");
        assert_eq!(stats.established_connections, 0, "it never was a connection of the mesh");
        assert!(node.drain().is_empty());
    }
}

#[tokio::test]
async fn quic_is_asked_first_and_tcp_when_it_is_silent() {
    let mut node = enroller(&[TCP]).await;
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dead = format!("/ip4/127.0.0.1/udp/{}/quic-v1", silent.local_addr().unwrap().port());
    let addresses = vec![node.addresses[0].clone(), dead];
    let (key, limit) = (node.key, Duration::from_secs(6));
    let asked = tokio::spawn(async move {
        ask_admission(&Identity::generate(), key, addresses, b"hello".to_vec(), limit).await
    });
    let (_, address, token, _) = next_request(&mut node).await;
    assert!(address.contains("/tcp/"), "{address}");
    node.handle.answer_admission(token, Vec::new()).unwrap();
    assert!(asked.await.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn the_largest_request_and_answer_pass_and_larger_ones_are_not_sent() {
    let mut node = enroller(&[QUIC]).await;
    let asked = ask(&node, &[1; MAX_ADMISSION_REQUEST_BYTES]);
    let (_, _, token, bytes) = next_request(&mut node).await;
    assert_eq!(bytes, [1; MAX_ADMISSION_REQUEST_BYTES]);
    let limit_bytes = MAX_ADMISSION_ANSWER_BYTES;
    let size_bytes = limit_bytes + 1;
    assert_eq!(
        node.handle.answer_admission(token, vec![2; size_bytes]),
        Err(SendError::TooLong { size_bytes, limit_bytes })
    );
    node.handle.answer_admission(token, vec![2; limit_bytes]).unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), vec![2; limit_bytes]);
    let error = ask(&node, &[1; MAX_ADMISSION_REQUEST_BYTES + 1]).await.unwrap().unwrap_err();
    assert!(matches!(error, AdmissionError::RequestTooLong { .. }), "{error}");
}

#[tokio::test]
async fn an_announcement_beyond_the_caps_is_refused_unread() {
    for transport in [QUIC, TCP] {
        let node = enroller(&[transport]).await;
        let raw = Raw::dial(&Identity::generate(), &node.addresses[0]).await;
        let mut stream = raw.open().await.unwrap();
        let length = (MAX_ADMISSION_REQUEST_BYTES as u16 + 1).to_be_bytes();
        stream.write_all(&[ADMIT, &length].concat()).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(rest_of(&mut stream).await, [3], "malformed");
        assert_eq!(node.handle.stats().broken_admission_too_long, 1);

        let mut listener = RawListener::start(transport).await;
        let (key, address) = (listener.key, listener.address.clone());
        let asked = ask_as(Identity::generate(), key, vec![address], b"hello".to_vec());
        let mut raw = listener.accept().await;
        let mut stream = raw.inbound.recv().await.unwrap();
        let length = (MAX_ADMISSION_ANSWER_BYTES as u16 + 1).to_be_bytes();
        stream.write_all(&[&[0], &length[..]].concat()).await.unwrap();
        stream.flush().await.unwrap();
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, AdmissionError::AnswerTooLong { .. }), "{error}");
    }
}

#[tokio::test]
async fn where_nobody_is_the_reasons_are_told() {
    let peer = Identity::generate().public();
    let error = ask_as(Identity::generate(), peer, Vec::new(), Vec::new()).await.unwrap();
    assert!(error.unwrap_err().to_string().contains("no address is known"));
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let addresses = vec!["nonsense".to_owned(), format!("/ip4/127.0.0.1/tcp/{closed}")];
    let error = ask_as(Identity::generate(), peer, addresses, Vec::new()).await.unwrap();
    let error = error.unwrap_err();
    assert!(matches!(error, AdmissionError::Unreachable { .. }));
    let text = error.to_string();
    assert!(text.contains("nonsense") && text.contains("/tcp/"), "{text}");
}

#[tokio::test]
async fn another_peer_at_the_address_is_told_nothing() {
    for transport in [QUIC, TCP] {
        let mut node = enroller(&[transport]).await;
        let expected = Identity::generate().public();
        let asked = ask_as(Identity::generate(), expected, node.addresses.clone(), Vec::new());
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, AdmissionError::WrongPeer { .. }), "{error}");
        assert!(error.to_string().contains(&plexmesh_net::peer_id_text(&node.key)));
        until("it ends", || node.handle.stats().inbound_failed == 1).await;
        assert!(node.drain().is_empty(), "nothing was asked");
    }
}

#[tokio::test]
async fn a_peer_that_admits_nobody_says_so() {
    for transport in [QUIC, TCP] {
        let mut node = Node::start(&[transport]).await;
        let error = ask(&node, b"hello").await.unwrap().unwrap_err();
        assert!(matches!(error, AdmissionError::NotAnEnroller), "{error}");
        assert_eq!(node.handle.stats().admissions_closed, 1);
        node.handle.set_admitting(true);
        let asked = ask(&node, b"and now?");
        let (_, _, token, _) = next_request(&mut node).await;
        node.handle.answer_admission(token, b"yes".to_vec()).unwrap();
        assert_eq!(asked.await.unwrap().unwrap(), b"yes");
        node.handle.set_admitting(false);
        let error = ask(&node, b"still?").await.unwrap().unwrap_err();
        assert!(matches!(error, AdmissionError::NotAnEnroller), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_never_comes_is_told_apart() {
    for transport in [QUIC, TCP] {
        let mut listener = RawListener::start(transport).await;
        let (key, address) = (listener.key, listener.address.clone());
        let asked = ask_as(Identity::generate(), key, vec![address.clone()], b"hello".to_vec());
        let mut raw = listener.accept().await;
        let mut stream = raw.inbound.recv().await.unwrap();
        stream.write_all(&[0, 0, 9, b'h']).await.unwrap();
        stream.close().await.unwrap();
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, AdmissionError::Broken { .. }), "{error}");

        let limit = Duration::from_secs(1);
        let asked = tokio::spawn(async move {
            ask_admission(&Identity::generate(), key, vec![address], Vec::new(), limit).await
        });
        let _silent = listener.accept().await;
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, AdmissionError::Timeout { .. }), "{error}");
    }
}

#[tokio::test]
async fn when_the_agent_never_answers_the_stranger_is_told_to_come_back() {
    let mut impatient = config(&[QUIC]);
    impatient.timing.hello_timeout = Duration::from_secs(1);
    let mut node = Node::start_with(impatient).await;
    node.handle.set_admitting(true);
    let asked = ask(&node, b"anybody?");
    let (_, _, token, _) = next_request(&mut node).await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, AdmissionError::Busy), "{error}");
    assert_eq!(node.handle.stats().admissions_unanswered, 1);
    node.handle.answer_admission(token, b"too late".to_vec()).unwrap();
    assert_eq!(node.handle.stats().dropped_admission_answers_late, 1);
    node.handle.shutdown().await;
    assert_eq!(node.handle.answer_admission(token, Vec::new()), Err(SendError::Closed));
}

#[tokio::test]
async fn only_a_few_wait_for_the_agent_at_a_time() {
    let mut node = enroller(&[QUIC]).await;
    let asked: Vec<_> = (0..12).map(|_| ask(&node, b"me too")).collect();
    let mut tokens = Vec::new();
    while tokens.len() < 8 {
        tokens.push(next_request(&mut node).await.2);
    }
    until("the others are turned away", || node.handle.stats().admissions_over_limit == 4).await;
    for token in tokens {
        node.handle.answer_admission(token, b"yes".to_vec()).unwrap();
    }
    let (mut answered, mut busy) = (0, 0);
    for outcome in asked {
        match outcome.await.unwrap() {
            Ok(_) => answered += 1,
            Err(AdmissionError::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((answered, busy), (8, 4));
}

#[tokio::test]
async fn a_stranger_reaches_no_protocol_before_or_after_its_answer() {
    for transport in [QUIC, TCP] {
        let mut node = enroller(&[transport]).await;
        let raw = Raw::dial(&Identity::generate(), &node.addresses[0]).await;
        let mut stream = raw.open().await.unwrap();
        // A request, and a hello behind it.
        let hello = crate::raw::hello(b"good");
        stream.write_all(&[ADMIT, &[0, 2], b"hi", &hello].concat()).await.unwrap();
        stream.flush().await.unwrap();
        let request = [&4_u32.to_be_bytes()[..], b"more"].concat();
        let mut early = raw.speak("/plexmesh/1/exchange").await.unwrap();
        early.write_all(&request).await.unwrap();
        early.flush().await.unwrap();
        let (_, _, token, bytes) = next_request(&mut node).await;
        assert_eq!(bytes, b"hi");
        node.handle.answer_admission(token, b"yes".to_vec()).unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"\0\0\x03yes");
        if let Some(mut late) = raw.speak("/plexmesh/1/exchange").await {
            let _ = late.write_all(&request).await;
            assert!(rest_of(&mut late).await.is_empty());
        }
        assert!(rest_of(&mut early).await.is_empty());
        until("the visit is over", || node.handle.stats().unadmitted_connections == 0).await;
        let stats = node.handle.stats();
        assert_eq!((stats.requests_received, stats.established_connections), (0, 0));
        assert!(node.drain().is_empty());
    }
}

#[tokio::test]
async fn a_stranger_that_dribbles_is_cut_and_holds_nobody_up() {
    for transport in [QUIC, TCP] {
        let mut impatient = config(&[transport]);
        impatient.timing.hello_timeout = Duration::from_secs(3);
        let node = Node::start_with(impatient).await;
        node.handle.set_admitting(true);
        let (key, addresses) = (node.key, node.addresses.clone());
        let (handle, _answering) = answer_all(node);
        let raw = Raw::dial(&Identity::generate(), &addresses[0]).await;
        let mut slow = raw.open().await.unwrap();
        let dribble = tokio::spawn(async move {
            let request = [ADMIT, &[0, 200], &[0; 200]].concat();
            for byte in request.chunks(1) {
                if slow.write_all(byte).await.is_err() || slow.flush().await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            panic!("all of it was taken");
        });
        let asked = ask_as(Identity::generate(), key, addresses, b"quick".to_vec());
        assert_eq!(asked.await.unwrap().unwrap(), b"yes quick");
        assert_eq!(handle.stats().inbound_failed, 0, "the slow one is still there");
        until("the slow one is cut", || handle.stats().inbound_failed == 1).await;
        dribble.await.unwrap();
    }
}

#[tokio::test]
async fn a_peer_of_the_mesh_may_ask_beside_its_connection() {
    let mut node = enroller(&[QUIC]).await;
    let settings = config(&[]);
    let identity = settings.identity.clone();
    let mut peer = Node::start_with(settings).await;
    connect(&mut peer, &mut node).await;
    let asked = ask_as(identity, node.key, node.addresses.clone(), b"renew".to_vec());
    let (who, _, token, _) = next_request(&mut node).await;
    assert_eq!(who, peer.key);
    node.handle.answer_admission(token, b"renewed".to_vec()).unwrap();
    assert_eq!(asked.await.unwrap().unwrap(), b"renewed");
    assert!(!peer.drain().iter().any(|e| matches!(e, NetEvent::Disconnected { .. })));
    assert_eq!(node.handle.stats().connected_peers, 1);
}

/// Set in the process that measures its own memory.
const ALONE: &str = "PLEXMESH_TEST_ALONE";

/// What is left behind is memory of the process, and other tests run in this one at the same time: the strangers come to a process of their own.
#[test]
fn a_thousand_strangers_are_each_counted_once_and_leave_nothing_behind() {
    const NAME: &str =
        "strangers::a_thousand_strangers_are_each_counted_once_and_leave_nothing_behind";
    if std::env::var_os(ALONE).is_some() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(a_thousand_strangers());
        return;
    }
    let program = std::env::current_exe().unwrap();
    let mut alone = std::process::Command::new(program);
    let output = alone.args(["--exact", NAME, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let (said, failed) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}{failed}");
}

async fn a_thousand_strangers() {
    const STRANGERS: u64 = 1000;
    let node = enroller(&[TCP]).await;
    let (key, addresses) = (node.key, node.addresses.clone());
    let (handle, _answering) = answer_all(node);
    let ask = |number: u64| {
        let addresses = addresses.clone();
        async move {
            let request = number.to_be_bytes().to_vec();
            ask_as(Identity::generate(), key, addresses, request).await.unwrap()
        }
    };
    let mut before_bytes = None;
    let (mut answered, mut busy) = (0, 0);
    let mut asked = futures::stream::iter(0..STRANGERS).map(ask).buffer_unordered(8);
    while let Some(outcome) = asked.next().await {
        match outcome {
            Ok(_) => answered += 1,
            Err(AdmissionError::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
        // Allocators and caches have warmed up after some.
        if answered + busy == 200 {
            before_bytes = resident_bytes();
        }
    }
    drop(asked);
    until("all visits are over", || handle.stats().unadmitted_connections == 0).await;
    let stats = handle.stats();
    assert_eq!(answered + busy, STRANGERS);
    assert!(answered >= 16, "the burst was served");
    assert_eq!(stats.admissions_answered, answered);
    assert_eq!(stats.admissions_over_rate, busy);
    assert_eq!(ended(&stats), STRANGERS);
    assert_eq!((stats.inbound_failed, refused(&stats)), (0, 0));
    assert_eq!((stats.established_connections, stats.waiting_events), (0, 0));
    match before_bytes.zip(resident_bytes()) {
        Some((before, after)) => {
            let grown = after.saturating_sub(before);
            assert!(grown < 8 << 20, "800 strangers left {grown} bytes behind");
        }
        None => eprintln!("memory is not measured: there is no /proc/self/statm"),
    }
}

/// Bytes that this process holds in memory; both sides of all connections are in it.
pub(crate) fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
