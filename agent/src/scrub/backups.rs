//! Which pieces of which backups are here. A backup lies on many peers: that one has gaps is usual.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::board::Board;
use crate::sources::piece_of;

/// Gaps of one backup that are listed; more are counted.
const MAX_GAPS: usize = 16;

/// The pieces of one backup in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The root of its source.
    pub source: PathBuf,
    /// Its id.
    pub id: String,
    /// Numbers of pieces that have a file.
    pub present: usize,
    /// Numbers of pieces that are known and have none.
    pub lacking: usize,
    /// The highest number that is known.
    pub highest: u32,
    /// Numbers below it of which nothing is here, the first of them.
    pub gaps: Vec<RangeInclusive<u32>>,
    /// How many numbers are in all gaps.
    pub absent: u64,
}

/// All backups of all sources, by source and id.
pub(super) fn of(board: &Board) -> Vec<Backup> {
    let mut backups = Vec::new();
    for source in &board.sources {
        let mut pieces: BTreeMap<&str, (BTreeSet<u32>, BTreeSet<u32>)> = BTreeMap::new();
        for (id, shard) in source.shards.iter() {
            let Some((backup, number)) = piece_of(source.directory.kind, id) else { continue };
            let (present, known) = pieces.entry(backup).or_default();
            known.insert(number);
            if shard.found().file.is_some() {
                present.insert(number);
            }
        }
        backups.extend(pieces.into_iter().map(|(id, (present, known))| {
            let highest = known.last().copied().unwrap_or(0);
            let (gaps, absent) = gaps(&known);
            Backup {
                source: source.directory.root.clone(),
                id: id.to_owned(),
                present: present.len(),
                lacking: known.len() - present.len(),
                highest,
                gaps,
                absent,
            }
        }));
    }
    backups
}

/// Numbers from 0 to the highest that are not there.
fn gaps(known: &BTreeSet<u32>) -> (Vec<RangeInclusive<u32>>, u64) {
    let (mut gaps, mut absent, mut next) = (Vec::new(), 0, 0);
    for number in known {
        if *number > next {
            absent += u64::from(number - next);
            if gaps.len() < MAX_GAPS {
                gaps.push(next..=number - 1);
            }
        }
        next = number.saturating_add(1);
    }
    (gaps, absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_lies_between_and_before() {
        assert_eq!(gaps(&BTreeSet::new()), (vec![], 0));
        assert_eq!(gaps(&[0, 1, 2].into()), (vec![], 0));
        assert_eq!(gaps(&[2, 3, 7].into()), (vec![0..=1, 4..=6], 5));
        let (listed, absent) = gaps(&(0..100).map(|number| number * 2 + 1).collect());
        assert_eq!((listed.len(), absent), (MAX_GAPS, 100));
        assert_eq!(gaps(&[u32::MAX].into()).1, u64::from(u32::MAX));
    }
}
