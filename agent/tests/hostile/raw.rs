//! A connection of an attacker on which no protocol runs: whatever it likes goes to any stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse, Transport};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::identity::Keypair;
use libp2p::quic;
use plexmesh_net::Identity;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;
use tokio::time::timeout;

const TAG: &[u8] = b"/plexmesh/1/hello";
/// Longer than the agents give a hello.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a stream is kept on which everything was said.
const LINGER: Duration = Duration::from_secs(2);
/// Most streams that wait to be opened.
const OPENS: usize = 64;

pub(crate) struct Raw {
    opens: Sender<oneshot::Sender<SubstreamBox>>,
}

impl Raw {
    /// Connects without a word; `None` if nobody answers.
    pub(crate) async fn dial(identity: &Identity, address: &str) -> Option<Self> {
        let keypair = Keypair::ed25519_from_bytes(identity.secret_bytes()).ok()?;
        let mut stack = quic::tokio::Transport::new(quic::Config::new(&keypair))
            .map(|(_, connection), _| StreamMuxerBox::new(connection))
            .boxed();
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let address: Multiaddr = address.parse().ok()?;
        let dial = stack.dial(address, options).ok()?;
        let muxer = timeout(PATIENCE, dial).await.ok()?.ok()?;
        Some(Self::drive(muxer))
    }

    /// Connects and passes the gate as a member does; `None` if it is not let in.
    pub(crate) async fn enter(
        identity: &Identity,
        address: &str,
        mesh: &[u8; 32],
        certificate: &[u8],
    ) -> Option<Self> {
        let raw = Self::dial(identity, address).await?;
        timeout(PATIENCE, raw.greet(mesh, certificate)).await.ok()??;
        Some(raw)
    }

    async fn greet(&self, mesh: &[u8; 32], certificate: &[u8]) -> Option<()> {
        let mut stream = self.open().await?;
        let length = u16::try_from(certificate.len()).ok()?.to_be_bytes();
        let instance: [u8; 16] = rand::random();
        let hello = [TAG, &mesh[..], &instance, &length, certificate].concat();
        stream.write_all(&hello).await.ok()?;
        stream.flush().await.ok()?;
        let mut head = [0; 1 + 32 + 16 + 2];
        stream.read_exact(&mut head[..1]).await.ok()?;
        if head[0] != 0 {
            return None;
        }
        stream.read_exact(&mut head[1..]).await.ok()?;
        let mut theirs = vec![0; usize::from(u16::from_be_bytes([head[49], head[50]]))];
        stream.read_exact(&mut theirs).await.ok()?;
        stream.write_all(&[0]).await.ok()?;
        stream.close().await.ok()
    }

    /// Opens a stream; `None` once the connection is closed or has no room.
    pub(crate) async fn open(&self) -> Option<SubstreamBox> {
        let (sender, receiver) = oneshot::channel();
        self.opens.send(sender).await.ok()?;
        timeout(LINGER, receiver).await.ok()?.ok()
    }

    /// Opens a stream of a protocol, without waiting for the other side's consent.
    pub(crate) async fn speak(&self, protocol: &str) -> Option<SubstreamBox> {
        let mut stream = self.open().await?;
        let mut offer = Vec::new();
        for line in ["/multistream/1.0.0\n", &format!("{protocol}\n")] {
            offer.push(u8::try_from(line.len()).ok()?);
            offer.extend_from_slice(line.as_bytes());
        }
        stream.write_all(&offer).await.ok()?;
        stream.flush().await.ok()?;
        Some(stream)
    }

    /// Says something on a new stream of a protocol and ends it; `None` if that did not work. The
    /// stream is read for a while: one that is dropped at once ends before it is negotiated.
    pub(crate) async fn say(&self, protocol: &str, bytes: &[u8]) -> Option<()> {
        let mut stream = self.speak(protocol).await?;
        let said = async {
            stream.write_all(bytes).await.ok()?;
            stream.close().await.ok()
        };
        timeout(LINGER, said).await.ok()??;
        tokio::spawn(async move {
            let mut rest = Vec::new();
            let _ = timeout(LINGER, stream.read_to_end(&mut rest)).await;
        });
        Some(())
    }

    /// Whether the other side closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.opens.is_closed()
    }

    fn drive(mut muxer: StreamMuxerBox) -> Self {
        let (opens, mut requests) = mpsc::channel::<oneshot::Sender<SubstreamBox>>(OPENS);
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
                if stream.is_err() {
                    return Poll::Ready(());
                }
            }
            while !waiting.is_empty()
                && let Poll::Ready(stream) = muxer.poll_outbound_unpin(cx)
            {
                let Ok(stream) = stream else { return Poll::Ready(()) };
                let _ = waiting.pop_front().unwrap().send(stream);
            }
            Poll::Pending
        }));
        Self { opens }
    }
}
