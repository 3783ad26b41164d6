//! The chain of messages by which a record came to a host.

use plexmesh_proto::record::Record;
use plexmesh_proto::types::Time;
use serde::Serialize;

use crate::replay::{seconds, words};
use crate::world::World;
use crate::world::tap::{Noted, Tap, Way};

/// How a record came, from its origin on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// The short name of the record.
    pub record: String,
    /// What it says, in words.
    pub says: String,
    /// Who signed it.
    pub origin: Option<usize>,
    /// When its origin published it; `None` if that was not seen.
    pub published_seconds: Option<f64>,
    /// From the origin to where it came, in order; empty at the origin itself.
    pub hops: Vec<Hop>,
    /// Why the chain does not begin with the origin publishing the record; `None` if it does.
    pub gap: Option<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// When it arrived, in seconds since the beginning.
    pub at_seconds: f64,
    /// Who sent it.
    pub from: usize,
    /// Who took it.
    pub to: usize,
    /// How: `broadcast`, `exchange answer`, `exchange request`.
    pub way: &'static str,
}

/// The chain of a record that `host` holds, followed back from it.
pub(super) fn of(world: &World, record: &Record, host: usize) -> Chain {
    let origin = world.host_of(&record.origin());
    let mut hops = Vec::new();
    let (mut at, mut before) = (host, world.time().plus(1));
    let mut published = None;
    if let Some(tap) = world.tap() {
        // Every step goes back in time, so this ends.
        while Some(at) != origin
            && let Some((time, from, way)) = arrival(tap, record, at, before)
        {
            hops.push(Hop { at_seconds: seconds(time), from, to: at, way: word(way) });
            (at, before) = (from, time);
        }
        if Some(at) == origin {
            published = publication(tap, record, at, before);
        }
    }
    hops.reverse();
    let gap = match (Some(at) == origin, published) {
        (true, Some(_)) => None,
        (true, None) => Some(format!(
            "peer {at} did not publish it in this run: it was on its disk, or the peer lies"
        )),
        (false, _) => Some(format!(
            "nobody was seen to give it to peer {at}: it was on its disk, or the peer lies"
        )),
    };
    Chain {
        record: words::id(record),
        says: words::of_record(world, record),
        origin,
        published_seconds: published.map(seconds),
        hops,
        gap,
    }
}

/// The last time before `before` at which a host took a record.
fn arrival(tap: &Tap, record: &Record, host: usize, before: Time) -> Option<(Time, usize, Way)> {
    let earlier = tap.notes().iter().rev().filter(|note| note.host == host && note.at < before);
    earlier.into_iter().find_map(|note| match &note.what {
        Noted::Came { record: came, from, way, taken: true } if **came == *record => {
            Some((note.at, *from, *way))
        }
        _ => None,
    })
}

fn publication(tap: &Tap, record: &Record, host: usize, before: Time) -> Option<Time> {
    let notes = tap.notes().iter().filter(|note| note.host == host && note.at < before);
    notes.into_iter().find_map(|note| match &note.what {
        Noted::Published(published) if **published == *record => Some(note.at),
        _ => None,
    })
}

const fn word(way: Way) -> &'static str {
    match way {
        Way::Broadcast => "broadcast",
        Way::Answer => "exchange answer",
        Way::Request => "exchange request",
    }
}
