//! What the documents of a bulk request were, for the answer to it.

use sluice_types::rejection::Rejection;

use crate::meter::Meter;

/// For how many items memory is allocated at first.
const ITEMS_MIN: usize = 64;
/// The bit of an item that is refused. The others are the action.
const REFUSED: u8 = 0x80;

/// What a client wants done with a document. The answer repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Store it, unless there is one with this id.
    Create,
    /// Store it, in place of one with this id.
    Index,
    /// Store parts of it.
    Update,
    /// Remove it.
    Delete,
}

/// The documents of a bulk request in their order: of each the action, and
/// whether it is refused. A byte for each.
#[derive(Debug, Default)]
pub struct Items(Vec<u8>);

impl Action {
    const ALL: [Self; 4] = [Self::Create, Self::Index, Self::Update, Self::Delete];

    /// The action of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Index => "index",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Items {
    /// Adds an item, and charges what that takes. If there is no memory for it,
    /// the work on the request ends.
    pub(crate) fn push(&mut self, action: Action, meter: &mut Meter) {
        if self.0.len() == self.0.capacity() {
            let more = self.0.len().max(ITEMS_MIN);
            if !meter.charge(more) {
                return;
            }
            self.0.reserve_exact(more);
        }
        self.0.push(action as u8);
    }

    /// Refuses the item that was added last.
    pub(crate) fn refuse_last(&mut self) {
        if let Some(last) = self.0.last_mut() {
            *last |= REFUSED;
        }
    }

    /// Refuses what the sink rejected of the records that were decoded: all of
    /// it, in ascending order of index. To be called once, before the answer is
    /// written.
    pub fn refuse(&mut self, by_sink: &[Rejection]) {
        let mut rejected = by_sink.iter().map(|rejection| rejection.index).peekable();
        let records = self.0.iter_mut().filter(|item| **item & REFUSED == 0);
        for (index, item) in records.enumerate() {
            if rejected.next_if_eq(&index).is_some() {
                *item |= REFUSED;
            }
        }
    }

    /// Says that none is refused, to a client that would send all of them again.
    pub fn hide_refusals(&mut self) {
        self.0.iter_mut().for_each(|item| *item &= !REFUSED);
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they take in memory, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.0.capacity()
    }

    /// The action of each, and whether it is refused.
    pub fn iter(&self) -> impl Iterator<Item = (Action, bool)> {
        self.0.iter().map(|item| {
            let action = Action::ALL.get(usize::from(item & !REFUSED));
            let is_refused = item & REFUSED != 0;
            (action.copied().unwrap_or(Action::Index), is_refused)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn meter(memory: usize) -> Meter {
        Meter::new(MemoryBudget::new(memory).reserve(), Client::default())
    }

    #[test]
    fn every_action_has_its_name() {
        for action in Action::ALL {
            assert_eq!(Action::of(action.name()), Some(action));
            let mut items = Items::default();
            items.push(action, &mut meter(100));
            assert_eq!(items.iter().next(), Some((action, false)));
            items.refuse_last();
            assert_eq!(items.iter().next(), Some((action, true)));
        }
        assert_eq!(Action::of("upsert"), None);
    }

    #[test]
    fn rejections_of_the_sink_find_their_documents() {
        let mut items = Items::default();
        let mut meter = meter(1000);
        // The decoder refused the documents 0, 3 and 4.
        for document in 0..7 {
            items.push(Action::Create, &mut meter);
            if [0, 3, 4].contains(&document) {
                items.refuse_last();
            }
        }
        let rejection = |index| Rejection {
            index,
            reason: String::new(),
            is_kept: false,
        };
        // Of the records, which are the documents 1, 2, 5 and 6.
        items.refuse(&[0, 2].map(rejection));
        let refused = items.iter().map(|(_, is_refused)| is_refused);
        let expected = [true, true, false, true, true, true, false];
        assert!(refused.eq(expected));
    }

    #[test]
    fn what_the_items_take_is_charged_before_they_are_added() {
        let mut items = Items::default();
        let mut meter = meter(3000);
        let mut count = 0;
        while !meter.is_stopped() {
            items.push(Action::Index, &mut meter);
            assert!(meter.charged() >= items.bytes());
            count += 1;
        }
        // The next step would have been 2048 more.
        assert_eq!((count, items.len(), items.bytes()), (2049, 2048, 2048));
    }
}
