//! Which blocks and gaps of one lane are done, in whatever order their messages come back.

use std::collections::VecDeque;

use buffer::{Seq, SeqRange};

use super::super::route::RANGES_BEFORE_A_LEAP_MAX;

/// How many ranges a lane tells above the lowest that is not done. The log's cursor holds those of the live and of the
/// history lane, and those that leaps of the live lane have left.
pub(super) const RANGES_MAX: usize = (buffer::CURSOR_RANGES_MAX - RANGES_BEFORE_A_LEAP_MAX - 2) / 2;

/// What one lane has on its way.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    items: VecDeque<ItemState>,
    /// How many items went before the first of these.
    gone: u64,
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct ItemState {
    seqs: SeqRange,
    outstanding: u32,
    complete: bool,
    told: bool,
}

impl ItemState {
    fn is_done(&self) -> bool {
        self.complete && self.outstanding == 0
    }
}

impl LaneState {
    pub(super) fn begin(&mut self, seqs: SeqRange) {
        self.items.push_back(ItemState { seqs, outstanding: 0, complete: false, told: false });
    }

    /// The item that was begun last has one message more; returns the item's number.
    pub(super) fn add(&mut self) -> u64 {
        if let Some(item) = self.items.back_mut() {
            item.outstanding += 1;
        }
        (self.gone + self.items.len() as u64).saturating_sub(1)
    }

    /// The item that was begun last has no more messages.
    pub(super) fn end(&mut self) {
        if let Some(item) = self.items.back_mut() {
            item.complete = true;
        }
    }

    /// A message of an item has become so many.
    pub(super) fn split(&mut self, number: u64, parts: u32) {
        if let Some(item) = self.item(number) {
            item.outstanding += parts;
            item.outstanding -= 1;
        }
    }

    /// A message of an item has come back, or is kept elsewhere.
    pub(super) fn returned(&mut self, number: u64) {
        if let Some(item) = self.item(number) {
            item.outstanding -= 1;
        }
    }

    pub(super) fn items_len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the lowest item is done, which [`LaneState::take_done`] has yet to tell.
    pub(super) fn has_done(&self) -> bool {
        self.items.front().is_some_and(ItemState::is_done)
    }

    /// The seqs of what is done and was not told before, joined where they touch.
    pub(super) fn take_done(&mut self) -> Vec<SeqRange> {
        let mut done: Vec<SeqRange> = Vec::new();
        while let Some(item) = self.items.front().filter(|item| item.is_done()) {
            // What was told out of order is told again: it is now part of one range with what lies below.
            push_joined(&mut done, item.seqs);
            self.items.pop_front();
            self.gone += 1;
        }
        let mut runs = 0;
        let mut before: Option<Seq> = None;
        for item in &mut self.items {
            if !item.is_done() {
                continue;
            }
            if before != Some(item.seqs.first) {
                runs += 1;
            }
            before = Some(item.seqs.last + 1);
            if runs > RANGES_MAX {
                break;
            }
            if !item.told {
                item.told = true;
                push_joined(&mut done, item.seqs);
            }
        }
        done
    }

    /// The first seq that is not done.
    pub(super) fn first(&self) -> Option<Seq> {
        self.items.iter().find(|item| !item.is_done()).map(|item| item.seqs.first)
    }

    fn item(&mut self, number: u64) -> Option<&mut ItemState> {
        self.items.get_mut(usize::try_from(number.checked_sub(self.gone)?).ok()?)
    }
}

fn push_joined(ranges: &mut Vec<SeqRange>, seqs: SeqRange) {
    match ranges.last_mut().filter(|last| last.last.checked_add(1) == Some(seqs.first)) {
        Some(last) => last.last = seqs.last,
        None => ranges.push(seqs),
    }
}
