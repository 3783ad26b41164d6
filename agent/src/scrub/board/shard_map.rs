//! Shards by id, in few large pieces of memory.
//!
//! An agent may hold a million shards for years, and looks, manifests and the database need as many
//! small pieces for a moment each minute. Were those of the board as small, they would lie between the
//! others, and none of that memory could be given back.

use std::cmp::Ordering;

use super::shard::Shard;

/// Shards of a block: some tens of kilobytes, which are moved in microseconds when one is added.
const BLOCK: usize = 256;

/// Shards in the order of their ids, each once.
#[derive(Clone, Debug, Default)]
pub(in crate::scrub) struct ShardMap {
    /// None is empty. All ids of one are before all of the next.
    blocks: Vec<Block>,
    len: usize,
}

/// Shards that follow each other.
#[derive(Clone, Debug, Default)]
struct Block {
    /// All ids, one after the other.
    text: String,
    /// Where each id ends in the text.
    ends: Vec<usize>,
    /// In the same order.
    shards: Vec<Shard>,
}

impl ShardMap {
    /// How many there are.
    pub(in crate::scrub) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub(in crate::scrub) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The one with this id.
    pub(in crate::scrub) fn get(&self, id: &str) -> Option<&Shard> {
        let block = self.blocks.get(self.block_of(id)?)?;
        block.shards.get(block.position(id).ok()?)
    }

    /// The one with this id, to be changed.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Shard> {
        let place = self.block_of(id)?;
        let block = self.blocks.get_mut(place)?;
        let position = block.position(id).ok()?;
        block.shards.get_mut(position)
    }

    /// Whether there is one with this id.
    pub(in crate::scrub) fn contains(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    /// Adds one; `false` if there is one with its id, which stays as it is.
    pub(in crate::scrub) fn add(&mut self, id: &str, shard: Shard) -> bool {
        let place = self.block_of(id).unwrap_or(0);
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let Some(block) = self.blocks.get_mut(place) else { return false };
        let Err(position) = block.position(id) else { return false };
        self.len += 1;
        if block.shards.len() < BLOCK {
            block.insert(position, id, shard);
            return true;
        }
        // Who adds in order fills whole blocks.
        let mut next = if position == BLOCK { Block::default() } else { block.split() };
        let here = block.shards.len();
        if position <= here && here < BLOCK {
            block.insert(position, id, shard);
        } else {
            next.insert(position - here, id, shard);
        }
        self.blocks.insert(place + 1, next);
        true
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: &str) -> Option<Shard> {
        let place = self.block_of(id)?;
        let block = self.blocks.get_mut(place)?;
        let shard = block.remove(block.position(id).ok()?)?;
        if block.shards.is_empty() {
            self.blocks.remove(place);
        }
        self.len -= 1;
        Some(shard)
    }

    /// All of them in order.
    pub(in crate::scrub) fn iter(&self) -> impl Iterator<Item = (&str, &Shard)> {
        self.blocks.iter().flat_map(|block| block.ids().zip(&block.shards))
    }

    /// All of them in order, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Shard)> {
        self.blocks.iter_mut().flat_map(|block| {
            let Block { text, ends, shards } = block;
            ids(text, ends).zip(shards)
        })
    }

    /// The block that has an id, if any has it.
    fn block_of(&self, id: &str) -> Option<usize> {
        let after = self.blocks.partition_point(|block| block.id(0).is_some_and(|at| at <= id));
        after.checked_sub(1)
    }
}

/// Quick where ids come in order.
impl<I: AsRef<str>> FromIterator<(I, Shard)> for ShardMap {
    fn from_iter<T: IntoIterator<Item = (I, Shard)>>(shards: T) -> Self {
        let mut all = Self::default();
        for (id, shard) in shards {
            all.add(id.as_ref(), shard);
        }
        all
    }
}

impl Block {
    fn ids(&self) -> impl Iterator<Item = &str> {
        ids(&self.text, &self.ends)
    }

    fn begin(&self, position: usize) -> usize {
        let before = position.checked_sub(1).and_then(|before| self.ends.get(before));
        before.copied().unwrap_or(0)
    }

    fn id(&self, position: usize) -> Option<&str> {
        self.text.get(self.begin(position)..*self.ends.get(position)?)
    }

    /// Where an id is, or where it would be.
    fn position(&self, id: &str) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.ends.len());
        while from < to {
            let middle = from.midpoint(to);
            match self.id(middle).map(|at| at.cmp(id)) {
                Some(Ordering::Less) => from = middle + 1,
                Some(Ordering::Equal) => return Ok(middle),
                _ => to = middle,
            }
        }
        Err(from)
    }

    fn insert(&mut self, position: usize, id: &str, shard: Shard) {
        let begin = self.begin(position);
        self.text.insert_str(begin, id);
        self.ends.insert(position, begin);
        self.ends.iter_mut().skip(position).for_each(|end| *end += id.len());
        self.shards.insert(position, shard);
    }

    fn remove(&mut self, position: usize) -> Option<Shard> {
        let (begin, end) = (self.begin(position), *self.ends.get(position)?);
        self.text.replace_range(begin..end, "");
        self.ends.remove(position);
        self.ends.iter_mut().skip(position).for_each(|after| *after -= end - begin);
        Some(self.shards.remove(position))
    }

    /// Takes out the second half.
    fn split(&mut self) -> Self {
        let half = self.shards.len() / 2;
        let begin = self.begin(half);
        let mut ends = self.ends.split_off(half);
        ends.iter_mut().for_each(|end| *end -= begin);
        Self { text: self.text.split_off(begin), ends, shards: self.shards.split_off(half) }
    }
}

fn ids<'b>(text: &'b str, ends: &'b [usize]) -> impl Iterator<Item = &'b str> {
    let begins = [0].iter().chain(ends);
    begins.zip(ends).filter_map(|(from, to)| text.get(*from..*to))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn shard(number: u64) -> Shard {
        let mut shard = Shard::default();
        shard.memory.since_ms = number;
        shard
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_would(
            steps in proptest::collection::vec((0_u32..3, 0_u64..2_000), 1..4_000),
        ) {
            let (mut shards, mut map) = (ShardMap::default(), BTreeMap::new());
            for (what, number) in steps {
                // Of several lengths, and some of them the beginning of others.
                let id = format!("{:b}", number / 2);
                match what {
                    0 => {
                        let removed = shards.remove(&id).map(|it| it.memory.since_ms);
                        prop_assert_eq!(removed, map.remove(&id));
                    }
                    _ => {
                        prop_assert_eq!(shards.add(&id, shard(number)), !map.contains_key(&id));
                        map.entry(id.clone()).or_insert(number);
                    }
                }
                let held = shards.get(&id).map(|it| it.memory.since_ms);
                prop_assert_eq!(held, map.get(&id).copied());
            }
            prop_assert_eq!(shards.len(), map.len());
            prop_assert!(shards.blocks.iter().all(|it| (1..=BLOCK).contains(&it.shards.len())));
            let held: Vec<_> = shards.iter().map(|(id, it)| (id.to_owned(), it.memory.since_ms)).collect();
            let changed: Vec<_> = shards.iter_mut().map(|(id, _)| id.to_owned()).collect();
            prop_assert!(changed.iter().eq(map.keys()));
            prop_assert_eq!(held, map.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn blocks_are_full_of_what_comes_in_order() {
        let shards: ShardMap =
            (0..10 * BLOCK).map(|it| (format!("{it:09}"), Shard::default())).collect();
        assert_eq!(shards.blocks.len(), 10);
        assert!(shards.contains("000000255") && shards.contains("000000256"));
        assert!(!shards.contains("") && !shards.contains("1"));
    }
}
