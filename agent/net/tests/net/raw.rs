//! Peers that prove their key and then say whatever a test likes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{
    Boxed, DialOpts, ListenerId, OrTransport, PortUse, Transport, TransportEvent,
};
use libp2p::core::upgrade::Version;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::identity::Keypair;
use libp2p::{PeerId, noise, quic, tcp, yamux};
use plexmesh_net::{Identity, PeerKey};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

use crate::common::{MESH, Node, PATIENCE};

/// A connection on which no protocol runs. It lives as long as this does.
pub(crate) struct Raw {
    opens: Sender<oneshot::Sender<SubstreamBox>>,
    /// Streams that the other side opened.
    pub(crate) inbound: Receiver<SubstreamBox>,
}

impl Raw {
    pub(crate) async fn dial(identity: &Identity, address: &str) -> Self {
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let address: Multiaddr = address.parse().unwrap();
        let (_, muxer) = stack(identity).dial(address, options).unwrap().await.unwrap();
        Self::drive(muxer)
    }

    /// Opens a stream; `None` once the connection is closed.
    pub(crate) async fn open(&self) -> Option<SubstreamBox> {
        let (sender, receiver) = oneshot::channel();
        self.opens.send(sender).await.ok()?;
        tokio::time::timeout(PATIENCE, receiver).await.expect("no stream in time").ok()
    }

    /// Opens a stream of a protocol, without waiting for the other side's consent.
    pub(crate) async fn speak(&self, protocol: &str) -> Option<SubstreamBox> {
        let mut stream = self.open().await?;
        let mut offer = Vec::new();
        for line in ["/multistream/1.0.0\n", &format!("{protocol}\n")] {
            offer.push(u8::try_from(line.len()).unwrap());
            offer.extend_from_slice(line.as_bytes());
        }
        stream.write_all(&offer).await.ok()?;
        stream.flush().await.ok()?;
        Some(stream)
    }

    fn drive(mut muxer: StreamMuxerBox) -> Self {
        let (opens, mut requests) = mpsc::channel::<oneshot::Sender<SubstreamBox>>(64);
        let (arrivals, inbound) = mpsc::channel(64);
        let mut waiting = VecDeque::new();
        tokio::spawn(poll_fn(move |cx| {
            while let Poll::Ready(request) = requests.poll_recv(cx) {
                let Some(request) = request else { return Poll::Ready(()) };
                waiting.push_back(request);
            }
            while let Poll::Ready(polled) = muxer.poll_unpin(cx) {
                if polled.is_err() {
                    return Poll::Ready(());
                }
            }
            while let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
                let Ok(stream) = stream else { return Poll::Ready(()) };
                // Streams that a test does not take are dropped.
                let _ = arrivals.try_send(stream);
            }
            while !waiting.is_empty()
                && let Poll::Ready(stream) = muxer.poll_outbound_unpin(cx)
            {
                let Ok(stream) = stream else { return Poll::Ready(()) };
                let _ = waiting.pop_front().unwrap().send(stream);
            }
            Poll::Pending
        }));
        Self { opens, inbound }
    }
}

/// A listener that does with its first connection what a test likes.
pub(crate) struct RawListener {
    pub(crate) key: PeerKey,
    pub(crate) address: String,
    transport: Boxed<(PeerId, StreamMuxerBox)>,
}

impl RawListener {
    pub(crate) async fn start(listen: &str) -> Self {
        let identity = Identity::generate();
        let mut transport = stack(&identity);
        transport.listen_on(ListenerId::next(), listen.parse().unwrap()).unwrap();
        let Some(TransportEvent::NewAddress { listen_addr, .. }) = transport.next().await else {
            panic!("not listening");
        };
        Self { key: identity.public(), address: listen_addr.to_string(), transport }
    }

    pub(crate) async fn accept(&mut self) -> Raw {
        loop {
            match self.transport.next().await {
                Some(TransportEvent::Incoming { upgrade, .. }) => {
                    // QUIC moves only while its transport is polled.
                    let transport = &mut self.transport;
                    let accepted = tokio::select! {
                        accepted = upgrade => accepted,
                        () = async { while transport.next().await.is_some() {} } => panic!("ended"),
                    };
                    return Raw::drive(accepted.unwrap().1);
                }
                Some(_) => {}
                None => panic!("the listener ended"),
            }
        }
    }
}

/// A member on whose connection no protocol runs.
pub(crate) async fn enter(node: &Node, identity: &Identity) -> Raw {
    let raw = Raw::dial(identity, &node.addresses[0]).await;
    let mut stream = raw.open().await.unwrap();
    stream.write_all(&hello(b"good")).await.unwrap();
    stream.flush().await.unwrap();
    let mut verdict = [9];
    stream.read_exact(&mut verdict).await.unwrap();
    assert_eq!(verdict, [0], "admitted");
    stream.write_all(&[0]).await.unwrap();
    stream.close().await.unwrap();
    raw
}

/// What a hello says: tag, mesh, instance, certificate.
pub(crate) fn hello(certificate: &[u8]) -> Vec<u8> {
    let length = u16::try_from(certificate.len()).unwrap().to_be_bytes();
    [b"/plexmesh/1/hello", &MESH[..], &[7; 16], &length, certificate].concat()
}

/// Reads until the end of a stream or of its connection; what came and whether it ended at all.
pub(crate) async fn rest_of(stream: &mut SubstreamBox) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    // An error is an end, too: the connection was closed.
    let _ = tokio::time::timeout(PATIENCE, read).await.expect("the stream never ends");
    rest
}

fn stack(identity: &Identity) -> Boxed<(PeerId, StreamMuxerBox)> {
    let keypair = Keypair::ed25519_from_bytes(identity.secret_bytes()).unwrap();
    let quic = quic::tokio::Transport::new(quic::Config::new(&keypair))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&keypair).unwrap())
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    OrTransport::new(quic, tcp).map(|either, _| either.into_inner()).boxed()
}
