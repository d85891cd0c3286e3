//! One item of a request, the tags that it serves, and the requests that items are put into.

use driver_core::TagId;

use super::{Limits, Tag};
use crate::form::Decoder;
use crate::wire::{Area, ITEMS_MAX, Item, Outgoing, read};

/// One item.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// Index into the device's zones.
    pub(crate) zone: usize,
    pub(crate) item: Item,
    /// By rising start.
    pub(crate) slots: Vec<Slot>,
}

/// One read job.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) blocks: Vec<Block>,
    /// As it is sent.
    parameter: Vec<u8>,
}

/// A tag, or a part of one, within an item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) id: TagId,
    /// Index of the tag within the device.
    pub(crate) tag: usize,
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) found: Found,
}

/// Where a slot's value lies in the item's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    Whole(Decoder),
    /// The bytes `from` in the item go to `to` of the assembly.
    Part {
        assembly: usize,
        from: u32,
        to: u32,
    },
}

impl Block {
    pub(super) fn new(zone: usize, area: Area, start: u32, end: u32, slots: Vec<Slot>) -> Block {
        let len = u16::try_from(end - start).unwrap_or(u16::MAX);
        Block { zone, item: Item { area, start, len }, slots }
    }

    /// The item for one tag alone, or as much of it as one item may carry.
    pub(crate) fn alone(index: usize, tag: &Tag, bytes_max: u32) -> Block {
        Block::part(index, tag, 0, tag.address.bytes().min(super::part_bytes(tag, bytes_max)))
    }

    /// The item for `len` bytes of one tag, `at` its beginning.
    pub(crate) fn part(index: usize, tag: &Tag, at: u32, len: u32) -> Block {
        let start = tag.address.start + at;
        let slot = Slot { id: tag.id, tag: index, start, len, found: Found::Whole(tag.form.decoder(0)) };
        Block::new(tag.zone, tag.address.area, start, start + len, vec![slot])
    }

    /// Two items for the first and the second half of the slots; `None` where there is only one slot.
    pub(crate) fn halves(&self) -> Option<[Block; 2]> {
        if self.slots.len() < 2 {
            return None;
        }
        let (left, right) = self.slots.split_at(self.slots.len() / 2);
        Some([left, right].map(|slots| self.of_slots(slots)))
    }

    fn of_slots(&self, slots: &[Slot]) -> Block {
        let start = slots.first().map_or(self.item.start, |first| first.start);
        let end = slots.iter().map(|slot| slot.start + slot.len).max().unwrap_or(start);
        let moved = slots.iter().map(|slot| slot.moved(self.item.start, start)).collect();
        Block::new(self.zone, self.item.area, start, end, moved)
    }
}

impl Slot {
    /// The same slot in an item that begins at `to` instead of `from`.
    fn moved(&self, from: u32, to: u32) -> Slot {
        let found = match self.found {
            Found::Whole(decoder) => Found::Whole(decoder.moved(from, to)),
            Found::Part { assembly, to: at, .. } => Found::Part { assembly, from: self.start - to, to: at },
        };
        Slot { found, ..*self }
    }
}

impl Request {
    pub(super) fn new(blocks: Vec<Block>) -> Request {
        let parameter = read::parameter(blocks.iter().map(|block| block.item));
        Request { blocks, parameter }
    }

    /// The message to be sent.
    pub(crate) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing::job(&self.parameter)
    }

    /// The lengths that are asked for.
    pub(crate) fn lens(&self) -> impl ExactSizeIterator<Item = u16> {
        self.blocks.iter().map(|block| block.item.len)
    }

    /// How many tags it serves.
    pub(crate) fn tags(&self) -> usize {
        self.blocks.iter().map(|block| block.slots.len()).sum()
    }
}

/// Requests for these items in their order, each with as many as go into it.
pub(crate) fn requests_of(blocks: Vec<Block>, limits: &Limits) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut open: Vec<Block> = Vec::new();
    for block in blocks {
        let lens: Vec<u16> = open.iter().chain([&block]).map(|block| block.item.len).collect();
        if !open.is_empty() && (open.len() == ITEMS_MAX || !limits.hold(&lens)) {
            requests.push(Request::new(std::mem::take(&mut open)));
        }
        open.push(block);
    }
    if !open.is_empty() {
        requests.push(Request::new(open));
    }
    requests
}
