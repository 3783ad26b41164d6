//! Network events to inputs. What does not decode ends here.

use std::sync::Arc;

use plexmesh_net::{NetEvent, PeerKey, Verdict, peer_id_text};
use plexmesh_proto::port::Input;
use plexmesh_proto::types::{PeerId, RequestId, Token};
use plexmesh_proto::wire::{self, WireError};

use super::Driver;
use super::strikes::Message;
use crate::clock;
use crate::identity::short_id;

impl Driver {
    pub(super) fn on_net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Listening { addr } => self.on_listening(addr),
            NetEvent::Connected { peer, address, path, takes_over, .. } => {
                let peer = PeerId(peer);
                tracing::debug!(peer = short_id(&peer), address, ?path, "connected");
                self.addresses.learn(peer, address);
                if let Some(shown) = self.gate.take_shown() {
                    self.node.learn_authorities(shown.changes(), clock::now());
                    self.drain();
                }
                if takes_over {
                    self.node.forget_source(peer);
                }
                self.feed(Input::Connected { peer });
            }
            NetEvent::PathChanged { peer, address, path } => {
                let peer = PeerId(peer);
                tracing::debug!(peer = short_id(&peer), address, ?path, "path changed");
                self.addresses.learn(peer, address);
            }
            NetEvent::Disconnected { peer } => {
                let peer = PeerId(peer);
                tracing::debug!(peer = short_id(&peer), "disconnected");
                self.strikes.forget(&peer);
                self.feed(Input::Disconnected { peer });
            }
            NetEvent::DialFailed { peer, reason } => {
                let peer = PeerId(peer);
                tracing::debug!(peer = short_id(&peer), reason, "dial failed");
                self.feed(Input::DialFailed { peer });
            }
            NetEvent::Frame { from, bytes } => self.on_frame(from, &bytes),
            NetEvent::Request { from, token, bytes } => self.on_request(from, token, &bytes),
            NetEvent::Response { request_id, from, bytes } => {
                self.on_response(request_id, from, &bytes);
            }
            NetEvent::RequestFailed { request_id, reason } => {
                tracing::debug!(request_id, reason, "request failed");
                self.feed(Input::RequestFailed { id: RequestId(request_id) });
            }
            NetEvent::Broadcast { from, token, bytes } => self.on_broadcast(from, token, &bytes),
            NetEvent::Refused { peer, by, reason } => {
                self.journal.refused(&peer_id_text(&peer), by, &reason);
            }
            NetEvent::Admission { peer, address, token, bytes } => {
                self.on_admission(peer, &address, token, &bytes);
            }
            NetEvent::ObservedAddress { by, address } => {
                let by = short_id(&PeerId(by));
                tracing::trace!(by, address, "another peer says that it sees this one there");
            }
        }
    }

    fn on_listening(&mut self, address: String) {
        if self.announcement.add_listening(address) {
            self.feed(Input::Profile(self.announcement.profile()));
        }
    }

    fn on_frame(&mut self, from: PeerKey, bytes: &[u8]) {
        let from = PeerId(from);
        match wire::decode_frame(bytes) {
            Ok(Some(frame)) => self.feed(Input::Frame { from, frame }),
            // Of a later version of the protocol: no fault of anybody.
            Ok(None) => tracing::trace!(from = short_id(&from), "frame of a later version"),
            Err(error) => self.strike(from, Message::Frame, &error),
        }
    }

    fn on_request(&mut self, from: PeerKey, token: u64, bytes: &[u8]) {
        let from = PeerId(from);
        match wire::decode_request(bytes) {
            Ok(request) => self.feed(Input::Request { from, token: Token(token), request }),
            Err(error) => self.strike(from, Message::Request, &error),
        }
    }

    fn on_response(&mut self, request_id: u64, from: PeerKey, bytes: &[u8]) {
        let id = RequestId(request_id);
        match wire::decode_answer(bytes) {
            Ok(answer) => self.feed(Input::Answer { id, answer }),
            Err(error) => {
                self.strike(PeerId(from), Message::Answer, &error);
                self.feed(Input::RequestFailed { id });
            }
        }
    }

    fn on_broadcast(&mut self, from: PeerKey, token: u64, bytes: &[u8]) {
        let from = PeerId(from);
        match wire::decode_broadcast(bytes) {
            Ok(record) => {
                let (token, record) = (Token(token), Arc::new(record));
                self.feed(Input::Broadcast { from, token, record });
            }
            Err(error) => {
                self.strike(from, Message::Broadcast, &error);
                // A transport that has no room for the verdict lets it lapse, which passes nothing
                // on either.
                let _ = self.net.verdict(token, Verdict::Reject);
            }
        }
    }

    /// Counts a message that does not decode, and drops the connection of who keeps sending them.
    fn strike(&mut self, from: PeerId, message: Message, error: &WireError) {
        let peer = short_id(&from);
        tracing::debug!(peer, %message, %error, "malformed message");
        if self.strikes.count(from, message, error) {
            tracing::warn!(
                peer, %message, %error,
                "too many malformed messages: the connection is closed. Do both run the same \
                version?"
            );
            // If the command is lost, the next strike repeats it.
            let _ = self.net.disconnect(from.0);
        }
    }

    /// Counts a forged record, and drops the connection of who keeps bringing them.
    pub(super) fn hold_against(&mut self, from: PeerId) {
        if self.strikes.add(from) {
            tracing::warn!(
                peer = short_id(&from),
                "it keeps bringing forged records: the connection is closed. Is its host in good hands?"
            );
            // If the command is lost, the next strike repeats it.
            let _ = self.net.disconnect(from.0);
        }
    }
}
