//! Peers that lie: the shipped protocol behind something that rewrites what it says, or beside
//! something that speaks in its place.
//!
//! A mask rewrites an honest node's own report. A rogue lets its node work as it should and does
//! harm of its own at times of its own.

use std::rc::Rc;
use std::sync::Arc;

use plexmesh_proto::exchange::message::{ExchangeAnswer, ExchangeRequest};
use plexmesh_proto::record::{MeshId, Record};
use plexmesh_proto::types::Now;

use serde::{Deserialize, Serialize};

use crate::keys::Verified;
use crate::world::VirtualNode;

mod flooder;
mod forger;
mod mask;
mod replayer;

use flooder::Flooder;
use forger::Forger;
pub(crate) use mask::Mask;
use replayer::Replayer;

/// How a peer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// It reports every peer that it observes as lost.
    FalseObserver,
    /// It reports half of the peers that it observes as lost, those with the lowest ids: as many as
    /// it can without being set aside as one that hears nobody, and the same as others who lie so.
    SelectiveObserver,
    /// It signs two different reports under one version and shows one to half of its peers, the
    /// other to the rest.
    Equivocator,
    /// It broadcasts, pushes and answers with old versions of everybody's records, its own too.
    Replayer,
    /// It speaks in the name of other members, of strangers, and of its own far future.
    Forger,
    /// It broadcasts valid news of itself twenty times a second and asks everybody for everything
    /// ten times a second.
    Flooder,
}

/// What does harm beside an honest node.
#[derive(Debug)]
pub(crate) struct Rogue {
    kind: Kind,
    /// The start of the process in which it works.
    works_in: u64,
}

#[derive(Debug)]
enum Kind {
    Replayer(Replayer),
    Forger(Box<Forger>),
    Flooder(Flooder),
}

/// What a rogue knows besides its node.
pub(crate) struct Scene {
    pub(crate) mesh: MeshId,
    pub(crate) now: Now,
}

/// What a rogue does at once: all of it goes to everybody it is connected with.
#[derive(Debug, Default)]
pub(crate) struct Deed {
    pub(crate) records: Vec<Arc<Record>>,
    pub(crate) requests: Vec<ExchangeRequest>,
}

impl Rogue {
    /// The rogue for a lie; `None` if the lie is a mask's.
    pub(crate) fn new(lie: Lie, seed: u64, host: usize, verified: &Rc<Verified>) -> Option<Self> {
        let kind = match lie {
            Lie::FalseObserver | Lie::SelectiveObserver | Lie::Equivocator => return None,
            Lie::Replayer => Kind::Replayer(Replayer::default()),
            Lie::Forger => Kind::Forger(Box::new(Forger::new(seed, host, verified))),
            Lie::Flooder => Kind::Flooder(Flooder::default()),
        };
        Some(Self { kind, works_in: 0 })
    }

    /// Begins to work in a start of the process; gives the pause until its first deed, and `None`
    /// if it works there already.
    pub(crate) fn begins(&mut self, start: u64) -> Option<u64> {
        let works = std::mem::replace(&mut self.works_in, start) == start;
        (!works).then(|| self.pause_us())
    }

    /// Between two deeds.
    pub(crate) const fn pause_us(&self) -> u64 {
        match self.kind {
            Kind::Replayer(_) => replayer::PAUSE_US,
            Kind::Forger(_) => forger::PAUSE_US,
            Kind::Flooder(_) => flooder::PAUSE_US,
        }
    }

    /// A record that the host sent or received.
    pub(crate) fn hear(&mut self, record: &Arc<Record>) {
        if let Kind::Replayer(replayer) = &mut self.kind {
            replayer.hear(record);
        }
    }

    /// Adds what the rogue wants to a request of its node.
    pub(crate) fn show_request(&mut self, request: &mut ExchangeRequest) {
        match &mut self.kind {
            Kind::Replayer(replayer) => request.push.extend(replayer.some()),
            Kind::Forger(forger) => request.push.extend(forger.last()),
            Kind::Flooder(_) => {}
        }
    }

    /// Puts what the rogue wants into an answer of its node.
    pub(crate) fn show_answer(&mut self, answer: &mut ExchangeAnswer) {
        match &mut self.kind {
            Kind::Replayer(replayer) => {
                for record in &mut answer.records {
                    *record = replayer.older(record);
                }
                answer.records.extend(replayer.some());
            }
            Kind::Forger(forger) => answer.records.extend(forger.last()),
            Kind::Flooder(_) => {}
        }
    }

    /// One deed.
    pub(crate) fn act(&mut self, node: &mut VirtualNode, scene: &Scene) -> Deed {
        match &mut self.kind {
            Kind::Replayer(replayer) => Deed { records: replayer.some(), requests: Vec::new() },
            Kind::Forger(forger) => {
                Deed { records: forger.forge(node, scene), requests: Vec::new() }
            }
            Kind::Flooder(flooder) => flooder.act(node, scene),
        }
    }
}
