//! Reading and writing variables: functions 4 and 5.

use std::ops::Range;

use super::item::{self, Item};
use super::message::{ANSWER_HEADER, HeaderError};
use super::plc::State;
use super::{Access, ItemError};

/// Function codes.
pub(super) const READ: u8 = 4;
pub(super) const WRITE: u8 = 5;

/// An answer's parameters and data.
pub(super) type Body = (Vec<u8>, Vec<u8>);

/// An item that can be had, and its bytes.
type Place = Result<(Item, Range<usize>), ItemError>;

impl State {
    /// Reads what the parameters want, if the answer fits into a PDU.
    pub(super) fn read(&mut self, parameters: &[u8], pdu_max: u16) -> Result<Body, HeaderError> {
        let places = self.places(parameters)?;
        let len = places.iter().fold(0_usize, |len, place| len.next_multiple_of(2) + answered_len(place));
        if ANSWER_HEADER + 2 + len > usize::from(pdu_max) {
            return Err(HeaderError::PduSize);
        }
        let mut data = Vec::with_capacity(len);
        for place in &places {
            match place {
                Ok((item, range)) => {
                    self.counts.items_read += 1;
                    let bytes = self.shown(item, range.clone());
                    item::put(&mut data, Ok((item.transport, &bytes)));
                }
                Err(error) => {
                    self.counts.items_refused += 1;
                    item::put(&mut data, Err(*error));
                }
            }
        }
        Ok((vec![READ, places.len() as u8], data))
    }

    /// Writes what stands in the data.
    pub(super) fn write(&mut self, parameters: &[u8], mut data: &[u8]) -> Result<Body, HeaderError> {
        let places = self.places(parameters)?;
        let mut codes = Vec::with_capacity(places.len());
        for place in &places {
            let bytes = item::take(&mut data).unwrap_or(Err(ItemError::TypeInconsistent));
            let done = match (place, bytes) {
                (Ok((item, range)), Ok(bytes)) => self.take(item, range.clone(), bytes),
                (Err(error), _) => Err(*error),
                (_, Err(error)) => Err(error),
            };
            match done {
                Ok(()) => self.counts.items_written += 1,
                Err(_) => self.counts.items_refused += 1,
            }
            codes.push(item::written(done));
        }
        Ok((vec![WRITE, places.len() as u8], codes))
    }

    fn places(&mut self, parameters: &[u8]) -> Result<Vec<Place>, HeaderError> {
        let &[_, count, ref rest @ ..] = parameters else { return Err(HeaderError::PduSize) };
        if self.config.access == Access::Refused {
            return Err(HeaderError::NotSupported);
        }
        if usize::from(count) > self.config.items_max {
            self.counts.breaches += 1;
            return Err(HeaderError::TooManyItems);
        }
        let items = item::wanted(count, rest).ok_or(HeaderError::PduSize)?;
        Ok(items.into_iter().map(|item| item.and_then(|item| Ok((item, self.allowed(&item)?)))).collect())
    }

    /// The bytes of a range as they are now; of a bit only itself.
    fn shown(&mut self, item: &Item, range: Range<usize>) -> Vec<u8> {
        let (now, memory) = (self.now(), &mut self.memory);
        // Every range that can be had lies within 65,536 bytes.
        let (start, len) = (range.start as u16, range.len().min(usize::from(u16::MAX)) as u16);
        self.points.refresh(item.area, start, len, now, |at, bytes| memory.write(item.area, at.into(), bytes));
        let mut bytes = memory.read(item.area, range);
        if let (Some(bit), [byte]) = (item.bit(), bytes.as_mut_slice()) {
            *byte = *byte >> bit & 1;
        }
        bytes
    }

    fn take(&mut self, item: &Item, range: Range<usize>, bytes: &[u8]) -> Result<(), ItemError> {
        if bytes.len() != range.len() {
            return Err(ItemError::TypeInconsistent);
        }
        self.points.overwritten(item.area, range.start as u16, range.len().min(usize::from(u16::MAX)) as u16);
        match (item.bit(), bytes) {
            (Some(bit), [value]) => {
                let held = self.memory.read(item.area, range.clone()).first().copied().unwrap_or_default();
                let byte = if value & 1 == 1 { held | 1 << bit } else { held & !(1 << bit) };
                self.memory.write(item.area, range.start, &[byte]);
            }
            _ => self.memory.write(item.area, range.start, bytes),
        }
        Ok(())
    }
}

/// The bytes of an item in the answer.
fn answered_len(place: &Place) -> usize {
    item::DATA_HEADER + place.as_ref().map_or(0, |(_, range)| range.len())
}
