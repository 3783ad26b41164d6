//! Messages that are too long, break off, or never come.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::SubstreamBox;
use plexmesh_net::{Identity, NetStats};

use crate::common::{Node, QUIC, config, until};
use crate::raw::{Raw, enter};

const ADMIT: &[u8] = b"/plexmesh/1/admit";
const EXCHANGE: &str = "/plexmesh/1/exchange";
const PROBE: &str = "/plexmesh/1/probe";
const PROBE_ONCE: &str = "/plexmesh/1/probe-once";

/// A node with short deadlines, that serves strangers.
async fn impatient() -> Node {
    let mut config = config(&[QUIC]);
    config.timing.request_timeout = Duration::from_secs(1);
    config.timing.hello_timeout = Duration::from_secs(1);
    let node = Node::start_with(config).await;
    node.handle.set_admitting(true);
    node
}

/// What is said on a stream.
enum Said<'a> {
    All(&'a [u8]),
    /// And no end follows.
    Unended(&'a [u8]),
}

/// Says it and returns what must live on.
async fn say(mut stream: SubstreamBox, said: &Said<'_>) -> SubstreamBox {
    let (Said::All(bytes) | Said::Unended(bytes)) = said;
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    if let Said::All(_) = said {
        stream.close().await.unwrap();
    }
    stream
}

async fn until_counted(node: &Node, counter: fn(&NetStats) -> u64) {
    until("it is counted", || counter(&node.handle.stats()) == 1).await;
    let figures = node.handle.stats().figures();
    let broken = figures.iter().find(|figure| figure.name == "broken").unwrap();
    let sum: u64 = broken.values.iter().map(|(_, count)| count).sum();
    assert_eq!(sum, 1, "and as nothing else");
}

/// A member says it in a protocol.
async fn as_member(protocol: &str, said: Said<'_>, counter: fn(&NetStats) -> u64) {
    let node = impatient().await;
    let raw = enter(&node, &Identity::generate()).await;
    let _stream = say(raw.speak(protocol).await.unwrap(), &said).await;
    until_counted(&node, counter).await;
}

/// A stranger says it when it asks for admission.
async fn as_stranger(said: Said<'_>, counter: fn(&NetStats) -> u64) {
    let node = impatient().await;
    let raw = Raw::dial(&Identity::generate(), &node.addresses[0]).await;
    let mut stream = raw.open().await.unwrap();
    stream.write_all(ADMIT).await.unwrap();
    let _stream = say(stream, &said).await;
    until_counted(&node, counter).await;
}

/// A member says it in answer to a request.
async fn as_answer(said: Said<'_>, counter: fn(&NetStats) -> u64) {
    let node = impatient().await;
    let identity = Identity::generate();
    let mut raw = enter(&node, &identity).await;
    until("it is connected", || node.handle.stats().connected_peers == 1).await;
    node.handle.request(identity.public(), 1, b"how are you?".to_vec()).unwrap();
    let stream = loop {
        let stream = raw.inbound.recv().await.expect("the connection lives");
        if let Some(stream) = agree(stream, EXCHANGE).await {
            break stream;
        }
    };
    let _stream = say(stream, &said).await;
    until_counted(&node, counter).await;
}

/// Consents to the protocol that the other side offers, if it is this one.
async fn agree(mut stream: SubstreamBox, protocol: &str) -> Option<SubstreamBox> {
    let header = read_line(&mut stream).await?;
    stream.write_all(&header).await.ok()?;
    stream.flush().await.ok()?;
    let offer = read_line(&mut stream).await?;
    if offer.get(1..)? != format!("{protocol}\n").as_bytes() {
        return None;
    }
    stream.write_all(&offer).await.ok()?;
    Some(stream)
}

/// A line of the negotiation with its length before it.
async fn read_line(stream: &mut SubstreamBox) -> Option<Vec<u8>> {
    let mut line = vec![0];
    stream.read_exact(&mut line).await.ok()?;
    line.resize(1 + usize::from(line[0]), 0);
    stream.read_exact(&mut line[1..]).await.ok()?;
    Some(line)
}

#[tokio::test]
async fn requests_are_counted_by_what_is_wrong_with_them() {
    let too_long = u32::MAX.to_be_bytes();
    as_member(EXCHANGE, Said::Unended(&too_long), |it| it.broken_request_too_long).await;
    as_member(EXCHANGE, Said::All(&[0, 0, 0, 9, 1]), |it| it.broken_request_broken_off).await;
    as_member(EXCHANGE, Said::Unended(&[0, 0, 0, 9, 1]), |it| it.broken_request_too_slow).await;
}

#[tokio::test]
async fn responses_are_counted_by_what_is_wrong_with_them() {
    let too_long = u32::MAX.to_be_bytes();
    as_answer(Said::Unended(&too_long), |it| it.broken_response_too_long).await;
    as_answer(Said::All(&[0, 0, 0, 9, 1]), |it| it.broken_response_broken_off).await;
    as_answer(Said::Unended(&[0, 0, 0, 9, 1]), |it| it.broken_response_too_slow).await;
}

#[tokio::test]
async fn frames_are_counted_by_what_is_wrong_with_them() {
    as_member(PROBE, Said::Unended(&[0xff, 0xff]), |it| it.broken_frame_too_long).await;
    as_member(PROBE, Said::All(&[0, 9, 1]), |it| it.broken_frame_broken_off).await;
    as_member(PROBE_ONCE, Said::Unended(&[0xff, 0xff]), |it| it.broken_frame_too_long).await;
    as_member(PROBE_ONCE, Said::All(&[0, 9, 1]), |it| it.broken_frame_broken_off).await;
}

#[tokio::test]
async fn half_frames_on_many_streams_keep_no_whole_one_away() {
    let node = impatient().await;
    let raw = enter(&node, &Identity::generate()).await;
    let mut held = Vec::new();
    // One more than may be open.
    for _ in 0..25 {
        let stream = raw.speak(PROBE_ONCE).await.unwrap();
        held.push(say(stream, &Said::Unended(&[0])).await);
    }
    until("the one is dropped", || node.handle.stats().dropped_frames_streams == 1).await;
    held.push(say(raw.speak(PROBE).await.unwrap(), &Said::Unended(&[0, 1, 7])).await);
    until("the frame on the ordered stream is taken", || node.handle.stats().frames_received == 1)
        .await;
}

#[tokio::test]
async fn requests_for_admission_are_counted_by_what_is_wrong_with_them() {
    as_stranger(Said::Unended(&[0xff, 0xff]), |it| it.broken_admission_too_long).await;
    as_stranger(Said::All(&[0, 9, 1]), |it| it.broken_admission_broken_off).await;
    as_stranger(Said::Unended(&[0, 9, 1]), |it| it.broken_admission_too_slow).await;
}
