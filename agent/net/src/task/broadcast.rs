//! Broadcasts: published, received, judged.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::{Event, Message, MessageAcceptance, MessageId, PublishError};
use tokio::time::Instant;

use super::Task;
use crate::config::MAX_BROADCAST_BYTES;
use crate::event::{NetEvent, Verdict};
use crate::identity::{PeerKey, peer_key};
use crate::rate::Rate;

/// Broadcasts waiting for a verdict. A healed partition brings a few hundred at once.
const MAX_UNJUDGED: usize = 512;

/// How long a verdict has an effect: gossip keeps a message for five of its one-second
/// heartbeats, the first of which may come at once; and maintenance may be late.
const VERDICT_WINDOW: Duration = Duration::from_secs(3);

/// Broadcasts of one neighbour: more at once than a mesh of thousands has news when it heals.
const ONE_NEIGHBOUR: Rate = Rate { interval: Duration::from_millis(5), burst: 8_192 };

/// Broadcasts that wait for a verdict, by token. Tokens grow, so the first is the oldest.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    unjudged: BTreeMap<u64, Unjudged>,
    last_token: u64,
    /// When what each neighbour sent is paid off; forgotten then, and not with the connection.
    paid_off: BTreeMap<PeerKey, Instant>,
}

impl Broadcasts {
    /// Whether one more of a neighbour is heard now; if so it is counted.
    fn allow(&mut self, from: PeerKey, now: Instant) -> bool {
        let due = self.paid_off.get(&from).copied();
        let allowed = ONE_NEIGHBOUR.allows(due, now);
        if allowed {
            self.paid_off.insert(from, ONE_NEIGHBOUR.after_one_more(due, now));
        }
        allowed
    }
}

#[derive(Debug)]
struct Unjudged {
    id: MessageId,
    source: PeerId,
    since: Instant,
}

impl Task {
    pub(super) fn publish(&mut self, bytes: Vec<u8>) {
        let topic = self.topic.hash();
        let broadcast = &mut self.swarm.behaviour_mut().broadcast;
        match broadcast.publish(topic, bytes) {
            Ok(_) => self.counters.broadcasts_published.increment(),
            // The same content travels already.
            Err(PublishError::Duplicate) => {}
            Err(error) => {
                tracing::debug!(%error, "broadcast not taken by any peer");
                self.counters.broadcasts_unheard.increment();
            }
        }
    }

    pub(super) fn on_broadcast(&mut self, event: Event) {
        match event {
            Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, message_id, message)
            }
            Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(%peer_id, "takes broadcasts too slowly");
            }
            _ => {}
        }
    }

    fn on_message(&mut self, source: PeerId, id: MessageId, message: Message) {
        let from = peer_key(&source).filter(|peer| self.peers.contains(peer));
        let Some(from) = from else {
            self.counters.dropped_broadcasts_unadmitted.increment();
            self.report(&id, &source, MessageAcceptance::Reject);
            return;
        };
        self.counters.broadcasts_received.increment();
        if !self.broadcasts.allow(from, Instant::now()) {
            // Gossip remembers each message for minutes, so it must not even hear them.
            self.counters.closed_by_flood.increment();
            self.report(&id, &source, MessageAcceptance::Reject);
            self.disconnect(from);
            return;
        }
        // Gossip counts its own words with the payload, so its limit is a little higher.
        if message.data.len() > MAX_BROADCAST_BYTES {
            self.counters.broken_broadcast_too_long.increment();
            self.report(&id, &source, MessageAcceptance::Reject);
            return;
        }
        if self.broadcasts.unjudged.len() >= MAX_UNJUDGED
            && let Some((_, oldest)) = self.broadcasts.unjudged.pop_first()
        {
            self.counters.dropped_broadcasts_unjudged.increment();
            self.report(&oldest.id, &oldest.source, MessageAcceptance::Ignore);
        }
        self.broadcasts.last_token += 1;
        let token = self.broadcasts.last_token;
        let bytes = message.data;
        if !self.outbox.may(NetEvent::Broadcast { from, token, bytes }) {
            self.counters.dropped_broadcasts_events.increment();
            self.report(&id, &source, MessageAcceptance::Ignore);
            return;
        }
        let since = Instant::now();
        let unjudged = Unjudged { id, source, since };
        self.broadcasts.unjudged.insert(token, unjudged);
    }

    pub(super) fn judge(&mut self, token: u64, verdict: Verdict) {
        let Some(message) = self.broadcasts.unjudged.remove(&token) else {
            self.counters.dropped_broadcasts_unjudged.increment();
            return;
        };
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => {
                self.counters.broadcasts_rejected.increment();
                MessageAcceptance::Reject
            }
        };
        self.report(&message.id, &message.source, acceptance);
    }

    pub(super) fn expire_broadcasts(&mut self, now: Instant) {
        self.broadcasts.paid_off.retain(|_, due| *due > now);
        while let Some(oldest) = self.broadcasts.unjudged.first_entry()
            && now.duration_since(oldest.get().since) >= VERDICT_WINDOW
        {
            let message = oldest.remove();
            self.counters.dropped_broadcasts_unjudged.increment();
            self.report(&message.id, &message.source, MessageAcceptance::Ignore);
        }
    }

    fn report(&mut self, id: &MessageId, source: &PeerId, acceptance: MessageAcceptance) {
        let broadcast = &mut self.swarm.behaviour_mut().broadcast;
        broadcast.report_message_validation_result(id, source, acceptance);
    }
}
