//! Counters, shared by the handle, the network task and the connection tasks.

use std::sync::atomic::{AtomicU64, Ordering};

/// How the description of a figure begins that may fall as well.
const GAUGE: &str = "Gauge: ";

macro_rules! counters {
    (
        $($(#[doc = $doc:literal])* $name:ident,)*
        $(@by $labels:tt:
            $(#[doc = $family_doc:literal])* $family:ident {
                $($(#[doc = $part_doc:literal])* $part:ident = $values:tt,)*
            }
        )*
    ) => {
        /// The living counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            $($(pub(crate) $part: Counter,)*)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> NetStats {
                NetStats {
                    $($name: self.$name.get(),)*
                    $($($part: self.$part.get(),)*)*
                }
            }
        }

        /// What the transport did and dropped since it was started. Gauges are said to be such.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct NetStats {
            $($(#[doc = $doc])* pub $name: u64,)*
            $($($(#[doc = $part_doc])* pub $part: u64,)*)*
        }

        impl NetStats {
            /// All figures, with what they are, in the order of their declaration.
            #[must_use]
            pub fn figures(&self) -> Vec<NetFigure> {
                vec![
                    $(NetFigure::new(
                        stringify!($name),
                        concat!($($doc),*),
                        &[],
                        vec![(&[], self.$name)],
                    ),)*
                    $(NetFigure::new(
                        stringify!($family),
                        concat!($($family_doc),*),
                        &$labels,
                        vec![$((&$values, self.$part),)*],
                    ),)*
                ]
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
    /// Frames dropped unread because the other side had too many streams open that carry one each.
    dropped_frames_streams,
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
    @by ["reason"]:
    /// Connections refused here, by what the other side said in its hello.
    refused {
        /// No hello, or none that could be read.
        refused_malformed = ["malformed"],
        /// Of another mesh.
        refused_other_mesh = ["other_mesh"],
        /// The certificate is another peer's.
        refused_other_peer = ["other_peer"],
        /// The certificate hangs on a key that is no authority of the mesh.
        refused_unknown_authority = ["unknown_authority"],
        /// The certificate hangs on an authority key that was replaced.
        refused_authority_replaced = ["authority_replaced"],
        /// The certificate has lapsed.
        refused_lapsed = ["lapsed"],
        /// The certificate has a wrong signature.
        refused_forged = ["forged"],
        /// The certificate gives what its signer may not give, or does not make a member.
        refused_role = ["role"],
        /// An admin does not trust the peer any more.
        refused_revoked = ["revoked"],
        /// An admin gave the peer up.
        refused_forgotten = ["forgotten"],
        /// The enroller that let the peer in was revoked.
        refused_enroller_revoked = ["enroller_revoked"],
        /// The peer's token had been used by another before.
        refused_token_overused = ["token_overused"],
        /// No connection to spare.
        refused_busy = ["busy"],
    }
    @by ["protocol", "reason"]:
    /// Messages of others that are longer than they may be, break off, or take too long to come.
    broken {
        /// Requests longer than they may be, refused unread.
        broken_request_too_long = ["request", "too_long"],
        /// Requests that broke off.
        broken_request_broken_off = ["request", "broken_off"],
        /// Requests that did not come in time.
        broken_request_too_slow = ["request", "too_slow"],
        /// Responses longer than they may be, refused unread.
        broken_response_too_long = ["response", "too_long"],
        /// Responses that broke off after their length.
        broken_response_broken_off = ["response", "broken_off"],
        /// Responses that began and did not come in time.
        broken_response_too_slow = ["response", "too_slow"],
        /// Frames longer than they may be; their stream is dropped.
        broken_frame_too_long = ["frame", "too_long"],
        /// Frames that broke off with their stream.
        broken_frame_broken_off = ["frame", "broken_off"],
        /// Broadcasts longer than they may be, not passed on.
        broken_broadcast_too_long = ["broadcast", "too_long"],
        /// Strangers' requests for admission longer than they may be, refused unread.
        broken_admission_too_long = ["admission", "too_long"],
        /// Strangers' requests for admission that broke off.
        broken_admission_broken_off = ["admission", "broken_off"],
        /// Strangers' requests for admission that did not come in time.
        broken_admission_too_slow = ["admission", "too_slow"],
    }
}

/// One figure of [`NetStats`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetFigure {
    /// Its name, in lower case with underscores.
    pub name: &'static str,
    /// What it counts, in one or two sentences.
    pub help: &'static str,
    /// Whether it may fall as well.
    pub is_gauge: bool,
    /// By what its values are told apart; empty when there is one.
    pub labels: &'static [&'static str],
    /// Its values, with a word for each label.
    pub values: Vec<(&'static [&'static str], u64)>,
}

impl NetFigure {
    fn new(
        name: &'static str,
        doc: &'static str,
        labels: &'static [&'static str],
        values: Vec<(&'static [&'static str], u64)>,
    ) -> Self {
        let doc = doc.trim_ascii();
        let help = doc.strip_prefix(GAUGE).unwrap_or(doc);
        Self { name, help, is_gauge: help.len() < doc.len(), labels, values }
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
    use std::collections::BTreeSet;

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
        assert_eq!((sent.labels.len(), sent.values.as_slice()), (0, [(&[][..], 7)].as_slice()));
        assert!(sent.help.starts_with("Bytes written"));
    }

    #[test]
    fn what_is_told_apart_has_a_word_for_each_label_and_no_two_alike() {
        let stats = NetStats { broken_request_too_slow: 3, ..NetStats::default() };
        let figures = stats.figures();
        for figure in &figures {
            assert!(figure.values.iter().all(|(words, _)| words.len() == figure.labels.len()));
            let words: BTreeSet<_> = figure.values.iter().map(|(words, _)| words).collect();
            assert_eq!(words.len(), figure.values.len(), "{}", figure.name);
        }
        let broken = figures.iter().find(|it| it.name == "broken").unwrap();
        assert_eq!(broken.labels, ["protocol", "reason"]);
        assert!(broken.values.contains(&(&["request", "too_slow"], 3)));
    }
}
