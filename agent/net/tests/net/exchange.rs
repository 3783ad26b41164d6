//! Frames, requests and broadcasts between admitted peers, over both transports.

use crate::common::{Node, QUIC, TCP, both_connected, connect, until};
use plexmesh_net::{
    MAX_BROADCAST_BYTES, MAX_FRAME_BYTES, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, NetEvent,
    PathKind, SendError, Verdict,
};

async fn frames_pass(from: &mut Node, to: &mut Node) {
    for number in 0..20_u8 {
        from.handle.frame(to.key, vec![number; 100]).unwrap();
    }
    for number in 0..20_u8 {
        let bytes = to
            .wait(|event| match event {
                NetEvent::Frame { from: who, bytes } if who == from.key => Some(bytes),
                _ => None,
            })
            .await;
        assert_eq!(bytes, vec![number; 100], "frames keep their order");
    }
}

/// More at once than may have streams of their own: the rest takes the ordered one.
async fn frames_alone_pass(from: &mut Node, to: &mut Node) {
    let sent: Vec<_> = (0..60_u8).map(|number| vec![number; 100]).collect();
    for frame in &sent {
        from.handle.frame_alone(to.key, frame.clone()).unwrap();
    }
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let bytes = to
            .wait(|event| match event {
                NetEvent::Frame { from: who, bytes } if who == from.key => Some(bytes),
                _ => None,
            })
            .await;
        received.push(bytes);
    }
    received.sort();
    assert_eq!(received, sent, "each arrives once, in whatever order");
}

async fn a_request_is_answered(from: &mut Node, to: &mut Node) {
    let request = vec![1; MAX_REQUEST_BYTES];
    let response = vec![2; MAX_RESPONSE_BYTES];
    from.handle.request(to.key, 77, request.clone()).unwrap();
    let token = to
        .wait(|event| match event {
            NetEvent::Request { from: who, token, bytes } if who == from.key => {
                assert!(bytes == request);
                Some(token)
            }
            _ => None,
        })
        .await;
    to.handle.respond(token, response.clone()).unwrap();
    from.wait(|event| match event {
        NetEvent::Response { request_id: 77, from: who, bytes } if who == to.key => {
            assert!(bytes == response);
            Some(())
        }
        NetEvent::RequestFailed { reason, .. } => panic!("{reason}"),
        _ => None,
    })
    .await;
}

/// Publishes until a first broadcast is taken: the subscription travels after admission.
pub(crate) async fn publish_until_heard(from: &Node, to: &mut Node) -> (u64, Vec<u8>) {
    let published = from.handle.stats().broadcasts_published;
    let mut number = 0_u32;
    until("a peer takes a broadcast", || {
        number += 1;
        let content = [b"news ", &number.to_be_bytes()[..]].concat();
        from.handle.publish(content).unwrap();
        from.handle.stats().broadcasts_published > published
    })
    .await;
    to.wait(|event| match event {
        NetEvent::Broadcast { token, bytes, .. } => Some((token, bytes)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn quic_carries_frames_requests_and_broadcasts() {
    let mut a = Node::start(&[QUIC, TCP]).await;
    let mut b = Node::start(&[QUIC, TCP]).await;
    a.dial(&b);
    let (key_a, key_b) = (a.key, b.key);
    for (node, other) in [(&mut a, key_b), (&mut b, key_a)] {
        node.wait(|event| match event {
            NetEvent::Connected { peer, certificate, address, path, takes_over: false } => {
                assert_eq!(peer, other);
                assert_eq!(certificate, [b"good ", &other[..]].concat());
                assert_eq!(path, PathKind::Quic);
                assert!(address.contains("/quic-v1"), "{address}");
                Some(())
            }
            _ => None,
        })
        .await;
    }
    frames_pass(&mut a, &mut b).await;
    frames_pass(&mut b, &mut a).await;
    a_request_is_answered(&mut a, &mut b).await;
    a_request_is_answered(&mut b, &mut a).await;
    let (_, bytes) = publish_until_heard(&a, &mut b).await;
    assert!(bytes.starts_with(b"news "));
    let stats = a.handle.stats();
    assert_eq!(stats.connected_peers, 1);
    assert_eq!((stats.frames_sent, stats.frames_received), (20, 20));
    assert!(stats.sent_bytes > (MAX_REQUEST_BYTES + MAX_RESPONSE_BYTES) as u64);
    assert!(stats.received_bytes > (MAX_REQUEST_BYTES + MAX_RESPONSE_BYTES) as u64);
    frames_alone_pass(&mut a, &mut b).await;
    frames_alone_pass(&mut b, &mut a).await;
}

#[tokio::test]
async fn tcp_carries_the_same_when_it_is_all_there_is() {
    let mut a = Node::start(&[]).await;
    let mut b = Node::start(&[TCP]).await;
    connect(&mut a, &mut b).await;
    frames_pass(&mut a, &mut b).await;
    frames_pass(&mut b, &mut a).await;
    frames_alone_pass(&mut a, &mut b).await;
    frames_alone_pass(&mut b, &mut a).await;
    a_request_is_answered(&mut a, &mut b).await;
    publish_until_heard(&b, &mut a).await;
}

#[tokio::test]
async fn a_broadcast_reaches_third_parties_only_after_it_was_accepted() {
    let mut a = Node::start(&[QUIC]).await;
    let mut b = Node::start(&[QUIC]).await;
    let mut c = Node::start(&[QUIC]).await;
    connect(&mut a, &mut b).await;
    b.dial(&c);
    both_connected(&mut b, &mut c).await;
    // B and C hear each other before A speaks.
    publish_until_heard(&b, &mut c).await;
    let (token, refused) = publish_until_heard(&a, &mut b).await;
    b.handle.verdict(token, Verdict::Reject).unwrap();
    let accepted = b"accepted".to_vec();
    a.handle.publish(accepted.clone()).unwrap();
    let token = b
        .wait(|event| match event {
            NetEvent::Broadcast { token, bytes, .. } if bytes == accepted => Some(token),
            _ => None,
        })
        .await;
    b.handle.verdict(token, Verdict::Accept).unwrap();
    c.wait(|event| match event {
        NetEvent::Broadcast { from, bytes, .. } => {
            assert_eq!(from, b.key, "passed on by B");
            assert_ne!(bytes, refused);
            (bytes == accepted).then_some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(b.handle.stats().broadcasts_rejected, 1);
}

#[tokio::test]
async fn a_broadcast_that_nobody_can_hear_is_counted_and_no_error() {
    let a = Node::start(&[QUIC]).await;
    a.handle.publish(b"into the void".to_vec()).unwrap();
    until("counted", || a.handle.stats().broadcasts_unheard == 1).await;
}

#[tokio::test]
async fn oversize_payloads_are_refused_before_anything_is_sent() {
    let mut a = Node::start(&[QUIC]).await;
    let mut b = Node::start(&[QUIC]).await;
    connect(&mut a, &mut b).await;
    let too_long =
        |limit_bytes: usize| Err(SendError::TooLong { size_bytes: limit_bytes + 1, limit_bytes });
    let handle = &a.handle;
    assert_eq!(handle.frame(b.key, vec![0; MAX_FRAME_BYTES + 1]), too_long(MAX_FRAME_BYTES));
    assert_eq!(
        handle.request(b.key, 1, vec![0; MAX_REQUEST_BYTES + 1]),
        too_long(MAX_REQUEST_BYTES)
    );
    assert_eq!(handle.respond(1, vec![0; MAX_RESPONSE_BYTES + 1]), too_long(MAX_RESPONSE_BYTES));
    assert_eq!(handle.publish(vec![0; MAX_BROADCAST_BYTES + 1]), too_long(MAX_BROADCAST_BYTES));
    frames_pass(&mut a, &mut b).await;
}

#[tokio::test]
async fn a_request_that_nobody_answers_fails_at_both_ends() {
    let mut config = crate::common::config(&[QUIC]);
    config.timing.request_timeout = std::time::Duration::from_millis(500);
    let mut a = Node::start_with(config.clone()).await;
    config.identity = plexmesh_net::Identity::generate();
    let mut b = Node::start_with(config).await;
    connect(&mut a, &mut b).await;
    a.handle.request(b.key, 5, b"anybody?".to_vec()).unwrap();
    let token = b
        .wait(|event| match event {
            NetEvent::Request { token, .. } => Some(token),
            _ => None,
        })
        .await;
    a.wait(|event| match event {
        NetEvent::RequestFailed { request_id: 5, .. } => Some(()),
        _ => None,
    })
    .await;
    until("the late answer is counted", || {
        b.handle.respond(token, b"here".to_vec()).unwrap();
        b.handle.stats().dropped_responses_late > 0
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_to_a_stranger_fails_or_is_counted() {
    let mut a = Node::start(&[QUIC]).await;
    let stranger = plexmesh_net::Identity::generate().public();
    a.handle.frame(stranger, b"hello".to_vec()).unwrap();
    a.handle.request(stranger, 9, b"hello".to_vec()).unwrap();
    a.wait(|event| match event {
        NetEvent::RequestFailed { request_id: 9, .. } => Some(()),
        _ => None,
    })
    .await;
    assert_eq!(a.handle.stats().dropped_frames_unconnected, 1);
}

#[tokio::test]
async fn an_agent_that_does_not_read_loses_frames_and_hears_again_afterwards() {
    // More than the event queue holds.
    const FLOOD: u64 = 6000;
    let mut a = Node::start(&[QUIC]).await;
    let mut b = Node::start(&[QUIC]).await;
    connect(&mut a, &mut b).await;
    let mut sent = 0;
    until("frames are dropped at the receiver", || {
        // Small portions: the send queue of a peer drops its oldest frames, too.
        for _ in 0..50 {
            sent += u64::from(a.handle.frame(b.key, vec![0; 8]).is_ok());
        }
        sent > FLOOD && b.handle.stats().dropped_frames_events > 0
    })
    .await;
    // Nothing that must not be lost was: a request waits behind the frames.
    a.handle.request(b.key, 1, b"still there?".to_vec()).unwrap();
    let token = b
        .wait(|event| match event {
            NetEvent::Request { token, .. } => Some(token),
            _ => None,
        })
        .await;
    b.handle.respond(token, b"yes".to_vec()).unwrap();
    let answer = a
        .wait(|event| match event {
            NetEvent::Response { bytes, .. } => Some(bytes),
            _ => None,
        })
        .await;
    assert_eq!(answer, b"yes");
}
