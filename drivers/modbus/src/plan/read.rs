//! One request and the tags that it serves.

use std::slice;

use driver_core::{Decoder, Field, TagId};

use super::Zone;
use crate::address::{Area, file_record};
use crate::wire::{FileSpan, Request};

/// One read request.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    /// Index into the device's zones.
    pub(crate) zone: usize,
    pub(crate) unit: u8,
    pub(crate) area: Area,
    pub(crate) start: u32,
    pub(crate) len: u16,
    /// The same place as file and record.
    file: FileSpan,
    /// By rising start.
    pub(crate) slots: Vec<Slot>,
}

/// A tag, or a part of one, within the answer to a request: 36 bytes, of which there is one for each tag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) id: TagId,
    /// Index of the tag within the device.
    pub(crate) tag: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
    pub(crate) found: Found,
}

/// Where a slot's value lies in the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found {
    Whole(Decoder),
    /// Registers or bits `from` in the answer go to `to` of the assembly.
    Part {
        assembly: u32,
        from: u32,
        to: u32,
        len: u32,
    },
}

impl Found {
    /// A tag that begins at register or bit `from` of the answer.
    pub(super) fn whole(field: Field, from: u32, area: Area) -> Found {
        Found::Whole(field.decoder(if area.is_bits() { from } else { 2 * from }))
    }

    /// The same at another place of another answer.
    fn moved(self, from: u32, area: Area) -> Found {
        match self {
            Found::Whole(decoder) => Found::whole(decoder.field(), from, area),
            Found::Part { assembly, to, len, .. } => Found::Part { assembly, from, to, len },
        }
    }
}

impl Slot {
    fn end(&self) -> u32 {
        self.start + self.len
    }
}

impl Read {
    pub(super) fn new(index: usize, zone: &Zone, start: u32, len: u32, slots: Vec<Slot>) -> Read {
        Read::at(index, zone.unit, zone.area, start, len, slots)
    }

    fn at(zone: usize, unit: u8, area: Area, start: u32, len: u32, slots: Vec<Slot>) -> Read {
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let (file, record) = file_record(start);
        Read { zone, unit, area, start, len, file: FileSpan { file, record, registers: len }, slots }
    }

    /// The request for one tag alone, or as much of it as one request may carry.
    pub(crate) fn alone(index: usize, tag: &super::Tag, units_max: u32) -> Read {
        Read::part(index, tag, 0, tag.address.units().min(units_max))
    }

    /// The request for `len` registers or bits of one tag, `from` its beginning.
    pub(crate) fn part(index: usize, tag: &super::Tag, from: u32, len: u32) -> Read {
        let (start, area) = (tag.address.start + from, tag.address.area);
        let slot = Slot { id: tag.id, tag: index as u32, start, len, found: Found::whole(tag.field(), 0, area) };
        Read::at(tag.zone(), tag.unit, area, start, len, vec![slot])
    }

    /// The request as it is sent.
    pub(crate) fn request(&self) -> Request<'_> {
        match self.area {
            // Tables have 65536 places: the start of an address that was checked fits.
            Area::Table(table) => Request::Read { table, start: self.start as u16, count: self.len },
            Area::Extended => Request::ReadFileRecords(slice::from_ref(&self.file)),
        }
    }

    /// Two requests for the first and the second half of the slots; `None` where there is only one slot.
    pub(crate) fn halves(&self) -> Option<[Read; 2]> {
        if self.slots.len() < 2 {
            return None;
        }
        let (left, right) = self.slots.split_at(self.slots.len() / 2);
        Some([left, right].map(|slots| self.of_slots(slots)))
    }

    fn of_slots(&self, slots: &[Slot]) -> Read {
        let start = slots.first().map_or(self.start, |first| first.start);
        let end = slots.iter().map(Slot::end).max().unwrap_or(start);
        let moved = |slot: &Slot| Slot { found: slot.found.moved(slot.start - start, self.area), ..*slot };
        let slots = slots.iter().map(moved).collect();
        Read::at(self.zone, self.unit, self.area, start, end - start, slots)
    }
}
