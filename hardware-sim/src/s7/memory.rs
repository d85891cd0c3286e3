//! The bytes of a PLC. What was never written is zero and takes no space.

use std::collections::BTreeMap;

use super::{Area, ItemError};

/// The largest data block, bytes.
pub(super) const BLOCK_MAX: usize = 65_536;

/// Bytes of bit memory.
const FLAGS: usize = 16 * 1024;

/// Bytes of each process image, and of the periphery.
const IMAGE: usize = 32 * 1024;

/// Bytes of 2048 timers or counters.
const TIMED: usize = 2 * 2048;

/// The memory of one PLC. Data blocks exist once something was written into them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    blocks: BTreeMap<u16, Bytes>,
    flags: Bytes,
    inputs: Bytes,
    outputs: Bytes,
    periphery: Bytes,
    timers: Bytes,
    counters: Bytes,
}

/// The bytes up to the last that was written, and for a block how many there are.
#[derive(Debug, Default)]
struct Bytes {
    written: Vec<u8>,
    size: usize,
}

impl Memory {
    /// Makes a block at least so large.
    pub(super) fn load(&mut self, number: u16, size: usize) {
        let block = self.blocks.entry(number).or_default();
        block.size = block.size.max(size.min(BLOCK_MAX));
    }

    /// Takes a block away.
    pub(super) fn unload(&mut self, number: u16) {
        self.blocks.remove(&number);
    }

    /// Whether these bytes exist.
    pub(super) fn check(&self, area: Area, range: std::ops::Range<usize>) -> Result<(), ItemError> {
        let size = self.size(area).ok_or(ItemError::NoObject)?;
        if range.end <= size { Ok(()) } else { Err(ItemError::OutOfRange) }
    }

    /// What stands there; zeros where nothing does.
    pub(super) fn read(&self, area: Area, range: std::ops::Range<usize>) -> Vec<u8> {
        let written = self.bytes(area).map_or(&[][..], |bytes| &bytes.written);
        let mut found = written.get(range.start..range.end.min(written.len())).unwrap_or_default().to_vec();
        found.resize(range.len(), 0);
        found
    }

    /// Writes, and makes a block large enough for it; what lies beyond the area is ignored.
    pub(super) fn write(&mut self, area: Area, offset: usize, bytes: &[u8]) {
        let room = self.limit(area).saturating_sub(offset);
        if room == 0 {
            return;
        }
        let bytes = &bytes[..bytes.len().min(room)];
        let end = offset + bytes.len();
        if let Area::Block(number) = area {
            self.load(number, end);
        }
        let held = self.bytes_mut(area);
        if held.written.len() < end {
            held.written.resize(end, 0);
        }
        if let Some(there) = held.written.get_mut(offset..end) {
            there.copy_from_slice(bytes);
        }
    }

    fn size(&self, area: Area) -> Option<usize> {
        match area {
            Area::Block(number) => self.blocks.get(&number).map(|block| block.size),
            _ => Some(self.limit(area)),
        }
    }

    fn limit(&self, area: Area) -> usize {
        match area {
            Area::Block(_) => BLOCK_MAX,
            Area::Flags => FLAGS,
            Area::Inputs | Area::Outputs | Area::Periphery => IMAGE,
            Area::Timers | Area::Counters => TIMED,
        }
    }

    fn bytes(&self, area: Area) -> Option<&Bytes> {
        Some(match area {
            Area::Block(number) => return self.blocks.get(&number),
            Area::Flags => &self.flags,
            Area::Inputs => &self.inputs,
            Area::Outputs => &self.outputs,
            Area::Periphery => &self.periphery,
            Area::Timers => &self.timers,
            Area::Counters => &self.counters,
        })
    }

    fn bytes_mut(&mut self, area: Area) -> &mut Bytes {
        match area {
            Area::Block(number) => self.blocks.entry(number).or_default(),
            Area::Flags => &mut self.flags,
            Area::Inputs => &mut self.inputs,
            Area::Outputs => &mut self.outputs,
            Area::Periphery => &mut self.periphery,
            Area::Timers => &mut self.timers,
            Area::Counters => &mut self.counters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_where_they_were_made_to_end() {
        let mut memory = Memory::default();
        assert_eq!(memory.check(Area::Block(1), 0..1), Err(ItemError::NoObject));
        memory.load(1, 10);
        memory.write(Area::Block(1), 4, &[1, 2]);
        assert_eq!(memory.check(Area::Block(1), 6..10), Ok(()));
        assert_eq!(memory.check(Area::Block(1), 6..11), Err(ItemError::OutOfRange));
        assert_eq!(memory.read(Area::Block(1), 3..8), [0, 1, 2, 0, 0]);
        memory.write(Area::Block(1), 11, &[3]);
        assert_eq!(memory.check(Area::Block(1), 0..12), Ok(()));
        memory.unload(1);
        assert_eq!(memory.check(Area::Block(1), 0..1), Err(ItemError::NoObject));
    }

    #[test]
    fn areas_have_their_sizes_and_take_no_more() {
        let mut memory = Memory::default();
        for (area, size) in [(Area::Flags, FLAGS), (Area::Inputs, IMAGE), (Area::Timers, TIMED)] {
            assert_eq!(memory.check(area, size - 1..size), Ok(()));
            assert_eq!(memory.check(area, size - 1..size + 1), Err(ItemError::OutOfRange));
            memory.write(area, size - 1, &[7, 8]);
            assert_eq!(memory.read(area, size - 1..size + 1), [7, 0]);
        }
        memory.write(Area::Block(1), usize::MAX, &[1]);
        assert_eq!(memory.read(Area::Block(1), usize::MAX - 1..usize::MAX), [0]);
    }
}
