//! Counters, shared by the handle, the network task and the connection tasks.

use std::sync::atomic::{AtomicU64, Ordering};

/// How the description of a figure begins that may fall as well.
const GAUGE: &str = "Gauge: ";

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// The living counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            pub(crate) fn snapshot(&self) -> NetStats {
                NetStats { $($name: self.$name.get(),)* }
            }
        }

        /// What the transport did and dropped since it was started. Gauges are said to be such.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct NetStats { $($(#[doc = $doc])* pub $name: u64,)* }

        impl NetStats {
            /// All figures, with what they are, in the order of their declaration.
            #[must_use]
            pub fn figures(&self) -> Vec<NetFigure> {
                vec![$(NetFigure::new(stringify!($name), concat!($($doc),*), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Gauge: admitted peers with at least one connection.
    connected_peers,
    /// Gauge: established connections, surplus ones and ones being closed included.
    established_connections,
    /// Gauge: connections in handshake or hello, both ways: not yet admitted.
    unadmitted_connections,
    /// Gauge: events that wait inside the task because the agent does not read its queue.
    waiting_events,
    /// Bytes read from all streams, negotiation included, encryption and headers not.
    received_bytes,
    /// Bytes written to all streams, negotiation included, encryption and headers not.
    sent_bytes,
    /// Dials begun.
    dials,
    /// Dials of which every address failed.
    dials_failed,
    /// Inbound connections that ended before admission, refusals not counted.
    inbound_failed,
    /// Inbound connections denied because their address has its share of those not admitted yet.
    denied_over_share,
    /// Connections refused here, for whatever reason.
    refused_by_us,
    /// Of these: no hello, or none that could be read.
    refused_malformed,
    /// Of these: of another mesh.
    refused_other_mesh,
    /// Of these: the certificate is another peer's.
    refused_other_peer,
    /// Of these: no authority of the mesh stands behind the certificate.
    refused_not_vouched_for,
    /// Of these: the certificate has lapsed.
    refused_lapsed,
    /// Of these: the certificate has a wrong signature.
    refused_forged,
    /// Of these: the certificate gives what its signer may not give, or does not make a member.
    refused_roles,
    /// Of these: the membership was ended, or that of the enroller.
    refused_put_out,
    /// Of these: no connection to spare.
    refused_busy,
    /// Connections that the other side refused.
    refused_by_them,
    /// Requests of strangers for admission that the agent answered.
    admissions_answered,
    /// Strangers turned away because this peer admits nobody.
    admissions_closed,
    /// Strangers told to come back because too many asked lately, in all or from their address.
    admissions_over_rate,
    /// Strangers told to come back because too many waited for the agent.
    admissions_over_limit,
    /// Strangers turned away because their request was longer than it may be.
    admissions_too_long,
    /// Strangers told to come back because the agent did not answer in time.
    admissions_unanswered,
    /// Connections of a peer that had restarted, closed together with those of its former process.
    /// If it keeps growing, two processes use one identity.
    replaced_by_restart,
    /// Second connections closed after a simultaneous dial.
    closed_surplus,
    /// Peers disconnected because nobody wanted them and nothing was said.
    closed_unwanted,
    /// Peers disconnected to come down to the connection limit.
    closed_over_limit,
    /// Peers on TCP disconnected because nothing was heard from them.
    closed_silent,
    /// Peers disconnected because they sent more broadcasts than a whole mesh has to say.
    closed_by_flood,
    /// Peers disconnected because the agent did not take their events.
    closed_by_overflow,
    /// Probe frames handed to streams.
    frames_sent,
    /// Probe frames received.
    frames_received,
    /// Requests sent.
    requests_sent,
    /// Requests received.
    requests_received,
    /// Requests of others that were longer than they may be, broke off, or took too long to come.
    requests_broken,
    /// Responses sent.
    responses_sent,
    /// Responses received.
    responses_received,
    /// Requests of ours that failed.
    requests_failed,
    /// Broadcasts published here and handed to at least one peer.
    broadcasts_published,
    /// Broadcasts received, duplicates not counted.
    broadcasts_received,
    /// Broadcasts published while no peer could take them: other ways must repair that.
    broadcasts_unheard,
    /// Broadcasts longer than they may be, not passed on.
    broadcasts_too_long,
    /// Verdict `Reject` given.
    broadcasts_rejected,
    /// Commands dropped because the command queue was full.
    dropped_commands,
    /// Frames dropped because the peer was not connected.
    dropped_frames_unconnected,
    /// Oldest frames dropped from a full send queue.
    dropped_frames_queue,
    /// Frames lost with a stream that broke or could not be opened.
    dropped_frames_broken,
    /// Probe streams dropped because of a frame that is not allowed.
    dropped_streams_malformed,
    /// Received frames dropped because the event queue was full.
    dropped_frames_events,
    /// Received broadcasts dropped because the event queue was full.
    dropped_broadcasts_events,
    /// Received broadcasts dropped because the source was no admitted peer.
    dropped_broadcasts_unadmitted,
    /// Broadcasts whose verdict came too late or never.
    dropped_broadcasts_unjudged,
    /// Received requests dropped: their peer sends more than any has to say.
    dropped_requests_over_rate,
    /// Received requests dropped: too many at once, or the event queue was full.
    dropped_requests,
    /// Responses dropped because the request was no longer open.
    dropped_responses_late,
    /// Strangers told to come back because the event queue was full.
    dropped_admissions_events,
    /// Answers to strangers dropped because they came too late.
    dropped_admission_answers_late,
    /// Less important events (refusals, observed addresses) dropped on a full event queue.
    dropped_notices,
}

/// One figure of [`NetStats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetFigure {
    /// Its name, in lower case with underscores.
    pub name: &'static str,
    /// What it counts, in one or two sentences.
    pub help: &'static str,
    /// Whether it may fall as well.
    pub is_gauge: bool,
    /// Its value.
    pub value: u64,
}

impl NetFigure {
    fn new(name: &'static str, doc: &'static str, value: u64) -> Self {
        let doc = doc.trim_ascii();
        let help = doc.strip_prefix(GAUGE).unwrap_or(doc);
        Self { name, help, is_gauge: help.len() < doc.len(), value }
    }
}

/// One counter or gauge. Relaxed: the values are read for people and metrics, nothing is decided
/// between threads by their order.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_says_what_it_is() {
        let stats = NetStats { sent_bytes: 7, ..NetStats::default() };
        let figures = stats.figures();
        let gauges: Vec<_> = figures.iter().filter(|it| it.is_gauge).map(|it| it.name).collect();
        assert_eq!(
            gauges,
            [
                "connected_peers",
                "established_connections",
                "unadmitted_connections",
                "waiting_events"
            ]
        );
        assert!(figures.iter().all(|it| it.help.ends_with('.')));
        let sent = figures.iter().find(|it| it.name == "sent_bytes").unwrap();
        assert_eq!(sent.value, 7);
        assert!(sent.help.starts_with("Bytes written"));
    }
}
