//! Members that say too much.

use futures::AsyncWriteExt;
use plexmesh_net::{Identity, MAX_BROADCAST_BYTES, NetEvent};

use crate::common::{Node, QUIC, connect, until};
use crate::raw::{Raw, enter};

/// More requests or broadcasts than a peer may have at once, whatever the machine does meanwhile.
const MANY: u64 = 20_000;

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value % 0x80) as u8 | 0x80);
        value /= 0x80;
    }
    bytes.push(value as u8);
    bytes
}

/// A field of protobuf with bytes.
fn field(number: usize, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len()), content.to_vec()].concat()
}

/// What gossip sends for subscriptions, and one message published after them.
fn gossip(topics: &[&str], data: &[u8]) -> Vec<u8> {
    let subscribed = topics.iter().map(|it| {
        let wanted = [varint(1 << 3), varint(1)].concat();
        field(1, &[wanted, field(2, it.as_bytes())].concat())
    });
    let message = [field(2, data), field(4, topic().as_bytes())].concat();
    let said = [subscribed.collect::<Vec<_>>().concat(), field(2, &message)].concat();
    [varint(said.len()), said].concat()
}

fn topic() -> String {
    format!("plexmesh/1/{}/broadcast", "5a".repeat(8))
}

/// A node that has heard a member subscribe and publish; the member stays as long as the second.
async fn heard(topics: &[&str], data: &[u8]) -> (Node, Raw) {
    let node = Node::start(&[QUIC]).await;
    let raw = enter(&node, &Identity::generate()).await;
    let mut stream = raw.speak("/meshsub/1.1.0").await.unwrap();
    stream.write_all(&gossip(topics, data)).await.unwrap();
    stream.flush().await.unwrap();
    until("it came", || node.handle.stats().broadcasts_received == 1).await;
    (node, raw)
}

/// Whether a broadcast of the node finds somebody who subscribed.
async fn finds_a_hearer(node: &Node) -> bool {
    node.handle.publish(b"news".to_vec()).unwrap();
    let outcome = || {
        let stats = node.handle.stats();
        (stats.broadcasts_published, stats.broadcasts_unheard)
    };
    until("it is published", || outcome() != (0, 0)).await;
    outcome() == (1, 0)
}

#[tokio::test]
async fn a_broadcast_of_the_greatest_length_is_heard_and_a_longer_one_is_not() {
    let (mut node, _raw) = heard(&[], &vec![7; MAX_BROADCAST_BYTES]).await;
    node.wait(|event| matches!(event, NetEvent::Broadcast { .. }).then_some(())).await;
    assert_eq!(node.handle.stats().broken_broadcast_too_long, 0);
    let (mut node, _raw) = heard(&[], &vec![7; MAX_BROADCAST_BYTES + 1]).await;
    until("it is counted", || node.handle.stats().broken_broadcast_too_long == 1).await;
    let events = node.drain();
    assert!(!events.iter().any(|event| matches!(event, NetEvent::Broadcast { .. })));
}

#[tokio::test]
async fn who_sends_more_than_a_mesh_has_to_say_is_cut_off_and_cut_off_again() {
    let node = Node::start(&[QUIC]).await;
    let identity = Identity::generate();
    for cuts in 1..=2 {
        let raw = enter(&node, &identity).await;
        let mut stream = raw.speak("/meshsub/1.1.0").await.unwrap();
        for number in 0..MANY {
            let said = [&[cuts][..], &number.to_be_bytes()].concat();
            // It fails once the connection is closed.
            if stream.write_all(&gossip(&[], &said)).await.is_err() {
                break;
            }
        }
        let _ = stream.flush().await;
        until("it is cut off", || node.handle.stats().closed_by_flood >= u64::from(cuts)).await;
    }
}

#[tokio::test]
async fn subscriptions_to_other_topics_are_passed_over() {
    let (node, _raw) = heard(&["elsewhere", &topic()], b"I am here").await;
    assert!(finds_a_hearer(&node).await, "the mesh's own topic counts");
    let (node, _raw) = heard(&["elsewhere"], b"I am here").await;
    assert!(!finds_a_hearer(&node).await);
}

#[tokio::test]
async fn more_subscriptions_in_one_message_than_topics_make_sense_for_are_ignored() {
    let (node, _raw) = heard(&[&topic(), "one", "two"], b"I am here").await;
    assert!(!finds_a_hearer(&node).await);
}

#[tokio::test]
async fn who_asks_without_end_is_not_answered_any_more_and_others_are() {
    let mut greedy = Node::start(&[QUIC]).await;
    let mut modest = Node::start(&[QUIC]).await;
    let mut asked = Node::start(&[QUIC]).await;
    connect(&mut greedy, &mut asked).await;
    connect(&mut modest, &mut asked).await;
    let token = |event| match event {
        NetEvent::Request { token, .. } => Some(token),
        _ => None,
    };
    for id in 0..MANY {
        greedy.handle.request(asked.key, id, b"more".to_vec()).unwrap();
        tokio::select! {
            token = asked.wait(token) => asked.handle.respond(token, b"here".to_vec()).unwrap(),
            () = greedy.wait(|event| matches!(event, NetEvent::RequestFailed { .. }).then_some(())) => break,
        }
    }
    assert!(asked.handle.stats().dropped_requests_over_rate > 0);
    modest.handle.request(asked.key, 1, b"one".to_vec()).unwrap();
    let token = asked.wait(token).await;
    asked.handle.respond(token, b"here".to_vec()).unwrap();
    modest.wait(|event| matches!(event, NetEvent::Response { .. }).then_some(())).await;
}
