//! Events on their way to the agent.
//!
//! The task must never wait for the agent, and the agent must be able to rely on what it was
//! told. Hence two kinds of events. Those that carry their own repair (frames, broadcasts,
//! notices) are dropped and counted when the event queue is full. All others wait here, in order,
//! and what makes them is held back while [`Outbox::is_congested`]: commands are not read, so no
//! new dial or request can fail; requests of peers are not accepted; newly connected peers are
//! disconnected again without a word. What then remains to come is bounded by what was already
//! begun: one end for each connected peer, dial and request in flight.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::config::OVERFLOW_QUEUE;
use crate::event::NetEvent;

/// The event queue, and what waits for a place in it.
pub(crate) struct Outbox {
    pub(super) events: mpsc::Sender<NetEvent>,
    pub(super) waiting: VecDeque<NetEvent>,
}

impl Outbox {
    pub(crate) fn new(events: mpsc::Sender<NetEvent>) -> Self {
        Self { events, waiting: VecDeque::new() }
    }

    /// Whether so much waits that nothing new may be begun.
    pub(super) fn is_congested(&self) -> bool {
        self.waiting.len() >= OVERFLOW_QUEUE
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tells something that the agent must learn, now or as soon as there is a place.
    pub(super) fn must(&mut self, event: NetEvent) {
        if self.is_waiting() {
            self.waiting.push_back(event);
            return;
        }
        match self.events.try_send(event) {
            Err(mpsc::error::TrySendError::Full(event)) => self.waiting.push_back(event),
            // A closed queue ends the task at its next turn.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// Tells something that may be lost; false when it was. It never overtakes what waits.
    #[must_use]
    pub(super) fn may(&mut self, event: NetEvent) -> bool {
        !self.is_waiting() && self.events.try_send(event).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn must_learn(number: usize) -> NetEvent {
        NetEvent::RequestFailed { request_id: number as u64, reason: String::new() }
    }

    #[test]
    fn what_must_be_told_waits_in_order_and_what_may_be_lost_does_not_overtake_it() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outbox = Outbox::new(sender);
        for number in 0..3 {
            outbox.must(must_learn(number));
        }
        assert_eq!(receiver.try_recv(), Ok(must_learn(0)));
        // There is a place now, but the third one was first.
        assert!(!outbox.may(must_learn(9)));
        outbox.must(must_learn(3));
        assert_eq!(receiver.try_recv(), Ok(must_learn(1)));
        assert_eq!(Vec::from(outbox.waiting), [must_learn(2), must_learn(3)]);
    }

    #[test]
    fn it_is_congested_once_the_overflow_is_full() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        for number in 0..OVERFLOW_QUEUE {
            outbox.must(must_learn(number));
            assert!(!outbox.is_congested());
        }
        outbox.must(must_learn(OVERFLOW_QUEUE));
        assert!(outbox.is_congested());
    }
}
