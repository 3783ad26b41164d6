//! Who gets in, and what those who do not get to see.

use crate::common::{Node, QUIC, TCP, config, refused, until};
use futures::StreamExt;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, SwarmBuilder};
use plexmesh_net::{
    Admission, MAX_CERTIFICATE_BYTES, NetConfig, NetError, NetEvent, NotAdmitted, PeerKey,
    RefusedBy,
};

async fn wait_refused(node: &mut Node, peer: PeerKey) -> (RefusedBy, String) {
    node.wait(|event| match event {
        NetEvent::Refused { peer: who, by, reason } if who == peer => Some((by, reason)),
        NetEvent::Connected { .. } => panic!("connected although refused"),
        _ => None,
    })
    .await
}

/// Dials and expects both ends to report a refusal by the listener.
async fn listener_refuses(mut dialler: Node, mut listener: Node) -> (String, String) {
    dialler.dial(&listener);
    let failed = dialler.wait_dial_failed(listener.key).await;
    let (by, reason) = wait_refused(&mut listener, dialler.key).await;
    assert_eq!(by, RefusedBy::Us);
    let stats = listener.handle.stats();
    assert_eq!(refused(&stats), 1);
    assert_eq!(dialler.handle.stats().refused_by_them, 1, "one address was enough");
    for node in [&mut dialler, &mut listener] {
        assert!(
            !node.drain().iter().any(|e| matches!(e, NetEvent::Connected { .. })),
            "never connected"
        );
        assert_eq!(node.handle.stats().connected_peers, 0);
    }
    (failed, reason)
}

#[tokio::test]
async fn a_peer_of_another_mesh_is_refused() {
    for transport in [QUIC, TCP] {
        let mut other = config(&[]);
        other.mesh_id = [1; 32];
        let dialler = Node::start_with(other).await;
        let listener = Node::start(&[transport]).await;
        let (failed, reason) = listener_refuses(dialler, listener).await;
        assert!(failed.contains("belong to another mesh"), "{failed}");
        assert!(reason.contains("another mesh"), "{reason}");
    }
}

#[tokio::test]
async fn a_refusal_is_counted_as_what_it_is() {
    let refusal = async |change: fn(&mut NetConfig)| {
        let mut other = config(&[]);
        change(&mut other);
        let dialler = Node::start_with(other).await;
        let listener = Node::start(&[QUIC]).await;
        let handle = listener.handle.clone();
        listener_refuses(dialler, listener).await;
        handle.stats()
    };
    let stranger = refusal(|other| other.certificate = b"made up".to_vec()).await;
    assert_eq!(stranger.refused_forged, 1);
    let lapsed = refusal(|other| other.certificate = b"late".to_vec()).await;
    assert_eq!(lapsed.refused_lapsed, 1);
    let other_mesh = refusal(|other| other.mesh_id = [1; 32]).await;
    assert_eq!(other_mesh.refused_other_mesh, 1);
}

#[tokio::test]
async fn a_refused_certificate_never_connects() {
    let mut bad = config(&[]);
    bad.certificate = b"bad".to_vec();
    let dialler = Node::start_with(bad).await;
    // Both transports are offered: after a refusal the second is not tried.
    let listener = Node::start(&[QUIC, TCP]).await;
    let (failed, reason) = listener_refuses(dialler, listener).await;
    assert!(failed.contains("certificate"), "{failed}");
    assert!(!failed.contains("not a good"), "the listener's reason stays there: {failed}");
    assert_eq!(reason, "not a good certificate");
}

#[tokio::test]
async fn a_dialler_that_refuses_the_listener_leaves_no_trace_of_a_connection() {
    for transport in [QUIC, TCP] {
        let mut dialler = Node::start(&[]).await;
        let mut bad = config(&[transport]);
        bad.certificate = Vec::new();
        let mut listener = Node::start_with(bad).await;
        dialler.dial(&listener);
        let (by, _) = wait_refused(&mut dialler, listener.key).await;
        assert_eq!(by, RefusedBy::Us);
        dialler.wait_dial_failed(listener.key).await;
        let (by, _) = wait_refused(&mut listener, dialler.key).await;
        assert_eq!(by, RefusedBy::Them);
    }
}

#[tokio::test]
async fn a_libp2p_peer_without_hello_reaches_no_protocol() {
    type Exchange = request_response::Behaviour<Bytes>;
    for transport in [QUIC, TCP] {
        let mut node = Node::start(&[transport]).await;
        let mut stranger = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(
                libp2p::tcp::Config::default(),
                libp2p::noise::Config::new,
                libp2p::yamux::Config::default,
            )
            .unwrap()
            .with_quic()
            .with_behaviour(|_| {
                let protocol = StreamProtocol::new("/plexmesh/1/exchange");
                Exchange::with_codec(
                    Bytes,
                    [(protocol, ProtocolSupport::Full)],
                    request_response::Config::default(),
                )
            })
            .unwrap()
            .build();
        let address: Multiaddr = node.addresses[0].parse().unwrap();
        stranger.dial(address).unwrap();
        let closed = async {
            loop {
                match stranger.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                        stranger.behaviour_mut().send_request(&peer_id, b"let me in".to_vec());
                    }
                    SwarmEvent::Behaviour(request_response::Event::Message { .. }) => {
                        panic!("a stranger was answered")
                    }
                    SwarmEvent::ConnectionClosed { .. } => break,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(crate::common::PATIENCE, closed).await.expect("the stranger stays");
        let refused = node
            .wait(|event| match event {
                NetEvent::Refused { by, .. } => Some(by),
                other => panic!("only the refusal is reported, not {other:?}"),
            })
            .await;
        assert_eq!(refused, RefusedBy::Us);
        assert_eq!(node.handle.stats().requests_received, 0);
    }
}

/// Raw bytes behind a four-byte length, as the exchange protocol has it.
#[derive(Clone)]
struct Bytes;

impl request_response::Codec for Bytes {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> std::io::Result<Vec<u8>>
    where
        T: futures::AsyncRead + Unpin + Send,
    {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> std::io::Result<Vec<u8>>
    where
        T: futures::AsyncRead + Unpin + Send,
    {
        let mut first = [0; 4];
        futures::AsyncReadExt::read_exact(io, &mut first).await?;
        Ok(first.to_vec())
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> std::io::Result<()>
    where
        T: futures::AsyncWrite + Unpin + Send,
    {
        let wire = [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat();
        futures::AsyncWriteExt::write_all(io, &wire).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Vec<u8>,
    ) -> std::io::Result<()>
    where
        T: futures::AsyncWrite + Unpin + Send,
    {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[tokio::test]
async fn the_peer_at_an_address_must_be_the_one_that_was_dialled() {
    let mut dialler = Node::start(&[]).await;
    let mut listener = Node::start(&[QUIC]).await;
    let expected = plexmesh_net::Identity::generate().public();
    dialler.handle.dial(expected, listener.addresses.clone()).unwrap();
    dialler.wait_dial_failed(expected).await;
    until("the broken hello is counted", || listener.handle.stats().inbound_failed == 1).await;
    assert!(listener.drain().is_empty(), "nobody showed a certificate");
}

#[tokio::test]
async fn the_largest_certificate_passes_and_a_larger_one_does_not_start() {
    struct AnyLength;
    impl Admission for AnyLength {
        fn admit(&self, _: &PeerKey, certificate: &[u8]) -> Result<(), NotAdmitted> {
            assert_eq!(certificate.len(), MAX_CERTIFICATE_BYTES);
            Ok(())
        }
    }
    let largest = |listen: &[&str]| {
        let mut config = config(listen);
        config.certificate = vec![b'g'; MAX_CERTIFICATE_BYTES];
        config
    };
    let mut too_large = largest(&[]);
    too_large.certificate.push(0);
    assert!(matches!(
        plexmesh_net::spawn(too_large, std::sync::Arc::new(AnyLength)),
        Err(NetError::CertificateTooLong { .. })
    ));
    let admission = std::sync::Arc::new(AnyLength);
    let (a, _a_events) = plexmesh_net::spawn(largest(&[]), admission.clone()).unwrap();
    let listening = largest(&[QUIC]);
    let key = listening.identity.public();
    let (b, mut b_events) = plexmesh_net::spawn(listening, admission).unwrap();
    let Some(NetEvent::Listening { addr }) = b_events.recv().await else {
        panic!("not listening");
    };
    a.dial(key, vec![addr]).unwrap();
    until("both are connected", || {
        a.stats().connected_peers == 1 && b.stats().connected_peers == 1
    })
    .await;
}

#[tokio::test]
async fn a_start_that_cannot_work_says_why() {
    let start = |listen: &str| {
        let error =
            plexmesh_net::spawn(config(&[listen]), std::sync::Arc::new(crate::common::GoodOnly));
        error.expect_err("started").to_string()
    };
    assert!(start("localhost:6374").contains("is not a listen address"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = start(&format!("/ip4/127.0.0.1/tcp/{port}"));
    assert!(error.contains("another agent"), "{error}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_on_the_next_connection() {
    let mut lapsed = config(&[QUIC]);
    lapsed.certificate = b"lapsed".to_vec();
    let mut a = Node::start_with(lapsed).await;
    let mut b = Node::start(&[]).await;
    b.dial(&a);
    b.wait_dial_failed(a.key).await;
    a.handle.set_certificate(b"good again").unwrap();
    b.dial(&a);
    let certificate = b
        .wait(|event| match event {
            NetEvent::Connected { certificate, .. } => Some(certificate),
            _ => None,
        })
        .await;
    assert_eq!(certificate, b"good again");
    a.wait_connected(b.key).await;
    assert!(a.handle.set_certificate(&[0; MAX_CERTIFICATE_BYTES + 1]).is_err());
}
