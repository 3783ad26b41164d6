//! Shards by id, as one look lists them.

use super::Found;

/// Shards in the order of their ids, each once. A look lists all of them anew, so this is a list and
/// no tree: it is filled at one go, and walked in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards(Vec<(Box<str>, Found)>);

impl Shards {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Found)> {
        self.0.iter().map(|(id, found)| (&**id, found))
    }

    /// The one with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Found> {
        self.0.get(self.position(id, 0)?).map(|(_, found)| found)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Found)> {
        self.0.iter_mut().map(|(id, found)| (&**id, found))
    }

    /// Where a shard is. It is found at once if it is at `guess`: whoever asks in order guesses the
    /// place after the last one.
    pub(super) fn position(&self, id: &str, guess: usize) -> Option<usize> {
        if self.0.get(guess).is_some_and(|(at, _)| **at == *id) {
            return Some(guess);
        }
        self.0.binary_search_by(|(at, _)| (**at).cmp(id)).ok()
    }

    pub(super) fn at_mut(&mut self, position: usize) -> Option<&mut Found> {
        self.0.get_mut(position).map(|(_, found)| found)
    }
}

impl FromIterator<(Box<str>, Found)> for Shards {
    /// Of several with one id the first counts.
    fn from_iter<I: IntoIterator<Item = (Box<str>, Found)>>(shards: I) -> Self {
        let mut shards: Vec<_> = shards.into_iter().collect();
        // Directories are listed in order, so this finds long runs that are sorted already.
        shards.sort_by(|(one, _), (other, _)| one.cmp(other));
        shards.dedup_by(|(next, _), (kept, _)| next == kept);
        Self(shards)
    }
}

impl IntoIterator for Shards {
    type Item = (Box<str>, Found);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
impl std::ops::Index<&str> for Shards {
    type Output = Found;

    fn index(&self, id: &str) -> &Found {
        self.get(id).unwrap()
    }
}
