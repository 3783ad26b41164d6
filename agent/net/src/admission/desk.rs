//! The listener's side: who may ask, and the answers that are waited for.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::AsyncReadExt;
use libp2p::core::Multiaddr;
use libp2p::core::muxing::SubstreamBox;
use tokio::sync::mpsc::WeakSender;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::rates::{Origin, Rates};
use super::{MAX_ADMISSION_REQUEST_BYTES, Status};
use crate::event::NetEvent;
use crate::identity::PeerKey;
use crate::reading::{Message, Reading};
use crate::stats::Counters;
use crate::stream::{REFUSAL_LINGER, farewell};

/// Requests that wait for the agent at the same time. It answers within milliseconds; eight are a
/// stall of a second at the rate that is let through.
const MAX_WAITING: usize = 8;

/// Receives requests for admission and hands answers back.
pub(crate) struct Desk {
    admitting: AtomicBool,
    /// Weak: the queue must close with the network task although handles live on.
    events: WeakSender<NetEvent>,
    /// How long the agent may take to answer, and the stranger to read what it says.
    answer_timeout: Duration,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rates: Rates,
    waiting: BTreeMap<u64, oneshot::Sender<Vec<u8>>>,
    last_token: u64,
}

/// A stranger whose request has arrived.
pub(crate) struct Visit {
    stream: SubstreamBox,
    request: Vec<u8>,
}

/// A place among the waiting, given back however the wait ends.
struct Place<'a> {
    desk: &'a Desk,
    token: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.desk.state().waiting.remove(&self.token);
    }
}

impl Desk {
    pub(crate) fn new(
        events: WeakSender<NetEvent>,
        answer_timeout: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        let admitting = AtomicBool::new(false);
        Self { admitting, events, answer_timeout, counters, state: Mutex::default() }
    }

    pub(crate) fn set_admitting(&self, admitting: bool) {
        self.admitting.store(admitting, Ordering::Relaxed);
    }

    /// Hands an answer to the stranger who waits for it, if he still does.
    pub(crate) fn answer(&self, token: u64, bytes: Vec<u8>) {
        let waiting = self.state().waiting.remove(&token);
        if waiting.is_none_or(|stranger| stranger.send(bytes).is_err()) {
            self.counters.dropped_admission_answers_late.increment();
        }
    }

    /// Reads a request, of which the tag was read already. `None` when the stranger was turned
    /// away.
    ///
    /// # Errors
    /// When the stream breaks off.
    pub(crate) async fn receive(
        &self,
        address: &Multiaddr,
        mut stream: SubstreamBox,
    ) -> io::Result<Option<Visit>> {
        if !self.admitting.load(Ordering::Relaxed) {
            self.counters.admissions_closed.increment();
            turn_away(stream, Status::AdmitsNobody).await;
            return Ok(None);
        }
        if !self.state().rates.take(Origin::of(address), Instant::now()) {
            self.counters.admissions_over_rate.increment();
            turn_away(stream, Status::Busy).await;
            return Ok(None);
        }
        // The time for all that is said before admission began before this: if it is called off, that is over.
        let deadline = Duration::ZERO;
        let reading = Reading::new(Message::Admission, &self.counters, Instant::now(), deadline);
        match reading.end(read_request(&mut stream).await) {
            Ok(request) => Ok(Some(Visit { stream, request })),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                turn_away(stream, Status::Malformed).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the agent and tells the stranger what it says.
    pub(crate) async fn serve(&self, peer: PeerKey, address: &Multiaddr, visit: Visit) {
        let Visit { stream, request } = visit;
        match self.ask_agent(peer, address.to_string(), request).await {
            Some(answer) => {
                let mut wire = vec![Status::Answered as u8];
                // Checked against MAX_ADMISSION_ANSWER_BYTES, which is below 2^16, by the handle.
                wire.extend_from_slice(&(answer.len() as u16).to_be_bytes());
                wire.extend_from_slice(&answer);
                self.counters.admissions_answered.increment();
                farewell(stream, &wire, self.answer_timeout).await;
            }
            None => turn_away(stream, Status::Busy).await,
        }
    }

    /// The agent's answer; `None` when it has too much to do.
    async fn ask_agent(&self, peer: PeerKey, address: String, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let (sender, receiver) = oneshot::channel();
        let Some(place) = self.take_place(sender) else {
            self.counters.admissions_over_limit.increment();
            return None;
        };
        let event = NetEvent::Admission { peer, address, token: place.token, bytes };
        if self.events.upgrade().is_none_or(|events| events.try_send(event).is_err()) {
            self.counters.dropped_admissions_events.increment();
            return None;
        }
        let answer = timeout(self.answer_timeout, receiver).await;
        let answer = answer.ok().and_then(Result::ok);
        if answer.is_none() {
            self.counters.admissions_unanswered.increment();
        }
        answer
    }

    fn take_place(&self, stranger: oneshot::Sender<Vec<u8>>) -> Option<Place<'_>> {
        let mut state = self.state();
        if state.waiting.len() >= MAX_WAITING {
            return None;
        }
        state.last_token += 1;
        let token = state.last_token;
        state.waiting.insert(token, stranger);
        Some(Place { desk: self, token })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; and its parts are valid at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the request behind its length; `InvalidData` when that is more than it may be.
async fn read_request(stream: &mut SubstreamBox) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > MAX_ADMISSION_REQUEST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await?;
    Ok(request)
}

async fn turn_away(stream: SubstreamBox, status: Status) {
    farewell(stream, &[status as u8], REFUSAL_LINGER).await;
}
