//! The segments that are written to: at most one of each class.

use super::append::Active;
use super::segments::Key;
use crate::block::{Class, Seq};

/// The active segments by class.
#[derive(Default)]
pub(super) struct Actives([Option<Active>; Class::ALL.len()]);

impl Actives {
    /// The active segment of a class.
    pub(super) fn of(&self, class: Class) -> Option<&Active> {
        self.0[class.index()].as_ref()
    }

    /// The active segment of a class, to be written to.
    pub(super) fn of_mut(&mut self, class: Class) -> Option<&mut Active> {
        self.0[class.index()].as_mut()
    }

    /// Makes `active` the one of its class; gives the one before.
    pub(super) fn set(&mut self, active: Active) -> Option<Active> {
        self.0[active.segment.class.index()].replace(active)
    }

    /// Takes the one of a class away.
    pub(super) fn take(&mut self, class: Class) -> Option<Active> {
        self.0[class.index()].take()
    }

    /// All that there are.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Active> {
        self.0.iter().flatten()
    }

    /// All that there are, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Active> {
        self.0.iter_mut().flatten()
    }

    /// The one that bears this key.
    pub(super) fn find(&self, key: Key) -> Option<&Active> {
        self.iter().find(|active| active.segment.key() == key)
    }

    /// Bytes of their files.
    pub(super) fn bytes(&self) -> u64 {
        self.iter().map(|active| active.segment.file_bytes).sum()
    }

    /// The lowest first seq above `seq`.
    pub(super) fn next_after(&self, seq: Seq) -> Option<Seq> {
        let firsts = self.iter().filter(|active| !active.segment.extent.is_empty());
        firsts.map(|active| active.segment.extent.first).filter(|first| *first > seq).min()
    }
}
