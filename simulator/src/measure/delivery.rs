//! How long news takes to everybody.

use std::collections::BTreeMap;

use plexmesh_proto::types::{SECOND, Time};

use super::quantile;
use crate::history::News;
use crate::report::Delivery;

/// Something that everybody is to hear of: how many shards of a peer are corrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tidings {
    /// Whose shards.
    pub origin: usize,
    /// When its scrub was asked to tell.
    pub at: Time,
    /// How many.
    pub count: u32,
    /// Who was there to hear it.
    pub listeners: Vec<usize>,
}

/// Who heard of each of `tidings` when, by what the peers told. Times count from the moment at
/// which the origin itself told it.
#[must_use]
pub fn deliveries(tidings: &[Tidings], news: &[News]) -> Vec<Delivery> {
    tidings.iter().map(|tidings| delivery(tidings, news)).collect()
}

fn delivery(tidings: &Tidings, news: &[News]) -> Delivery {
    let mut heard: BTreeMap<usize, Time> = BTreeMap::new();
    let about = |news: &&News| {
        news.subject == tidings.origin && news.count == tidings.count && news.at >= tidings.at
    };
    for news in news.iter().filter(about) {
        let first = heard.entry(news.observer).or_insert(news.at);
        *first = news.at.min(*first);
    }
    let seconds = |us: u64| us as f64 / SECOND as f64;
    let told = heard.get(&tidings.origin).copied();
    let since = |at: &Time| told.map(|told| seconds(at.since(told)));
    let each = tidings.listeners.iter().filter_map(|listener| heard.get(listener).and_then(since));
    let each = quantile::sorted(each.collect());
    Delivery {
        origin: tidings.origin,
        at_seconds: seconds(told.unwrap_or(tidings.at).0),
        listeners: tidings.listeners.len(),
        all_seconds: each.last().copied().filter(|_| each.len() == tidings.listeners.len()),
        each_seconds: each,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_origins_own_word_and_all_is_all() {
        let tidings = Tidings { origin: 0, at: Time(10), count: 1, listeners: vec![1, 2] };
        let heard = |at, observer, count| News { at: Time(at), observer, subject: 0, count };
        let early = heard(5, 1, 1);
        let mut news = vec![early, heard(SECOND, 0, 1), heard(2 * SECOND, 1, 1)];
        let some = delivery(&tidings, &news);
        assert_eq!((some.all_seconds, some.each_seconds), (None, vec![1.0]));
        news.extend([heard(3 * SECOND, 2, 0), heard(4 * SECOND, 2, 1)]);
        let all = delivery(&tidings, &news);
        assert_eq!((all.all_seconds, all.at_seconds, all.listeners), (Some(3.0), 1.0, 2));
    }
}
