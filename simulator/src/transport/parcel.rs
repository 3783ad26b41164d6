//! Messages on their way. The queue of the world moves its entries about, so it holds a number and
//! the message lies here.

use super::Message;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) epoch: u64,
    pub(super) bytes: u32,
    pub(super) message: Message,
}

/// All messages on their way.
#[derive(Debug, Default)]
pub(super) struct Parcels {
    slots: Vec<Option<Parcel>>,
    free: Vec<u32>,
}

impl Parcels {
    pub(super) fn put(&mut self, parcel: Parcel) -> u32 {
        let Some(slot) = self.free.pop() else {
            self.slots.push(Some(parcel));
            return (self.slots.len() - 1) as u32;
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(parcel);
        }
        slot
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<Parcel> {
        let parcel = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(parcel)
    }
}
