//! Readings to the bytes of one block, and back.
//!
//! ```text
//! version | times | groups | exceptions | codes | flags | columns    codec 0; the same through zstd: codec 1
//!
//! times       count, clock (all good | none | bitmap), first, delta, delta of delta …
//! group       the tags that have readings at the same times: times' indexes, then runs of tag ids
//! exception   run of readings that are not plainly good: skip, length, level with presence and tense, reason, status
//! code        a byte a column: kind of value (high nibble), method (low nibble)
//! flags       the first value of each column of BOOL, a bit each; none in version 1
//! column      one tag's values in the order of time: constant, runs, deltas, decimals, XORed or packed bits, whichever
//!             is smallest
//! ```
//!
//! A decoded block yields its readings time by time, and within a time group by group and tag by tag. That order is the
//! order of their sequence numbers; the order of one tag's readings is the order in which they came.

mod code;
mod column;
mod decimal;
mod exceptions;
mod groups;
mod kind;
mod order;
mod packed;
mod thinned;
mod times;
mod varint;

use buffer::Block;
use driver_core::{ClockState, Quality, Reading, TagId, Tense, Timestamp, Value};

use self::code::{ColumnCode, SharedInput};
use self::column::{Column, Shared, write_one};
use self::exceptions::{Exception, Exceptions};
use self::groups::Groups;
use self::order::{Columns, Order};
pub use self::thinned::PLACES_MAX;
use self::times::Times;
use self::varint::Input;

/// The most readings that one block holds.
pub const READINGS_MAX: usize = 65_536;

/// The codec number of a block whose payload stands as encoded.
pub const CODEC_PLAIN: u8 = 0;

/// The codec number of a block whose payload went through zstd.
pub const CODEC_ZSTD: u8 = 1;

/// The codec numbers of blocks that stand for more readings than they hold, plain and through zstd.
const CODEC_THINNED: u8 = 2;
const CODEC_THINNED_ZSTD: u8 = 3;

/// The most bytes that a payload may have once decompressed.
const PAYLOAD_MAX: usize = 4 << 20;

/// Under this size zstd costs more than it saves.
const COMPRESS_MIN: usize = 256;

/// Version 1 has no flags, no runs and no packed bits; whatever it has is as here.
const VERSION_OLDEST: u8 = 1;
const VERSION: u8 = 2;

/// Where each of a block's readings stands among those that the block stands for; they rise.
pub type Places = Box<[u32]>;

/// A payload that no encoder wrote. Its block passed its checksum, so this is a newer version's, or a fault in ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the block's payload cannot be decoded: {0}")]
pub struct Undecodable(&'static str);

/// Encodes blocks; keeps its memory from block to block.
pub struct Encoder {
    order: Order,
    times: Times,
    groups: Groups,
    exceptions: Exceptions,
    codes: Vec<u8>,
    columns: Vec<u8>,
    column: Column,
    shared: Shared,
    plain: Vec<u8>,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Encoder {
    /// An encoder; fails only where zstd cannot have its memory.
    pub fn new() -> std::io::Result<Encoder> {
        Ok(Encoder {
            order: Order::default(),
            times: Times::default(),
            groups: Groups::default(),
            exceptions: Exceptions::default(),
            codes: Vec::new(),
            columns: Vec::new(),
            column: Column::default(),
            shared: Shared::default(),
            plain: Vec::new(),
            zstd: zstd::bulk::Compressor::new(1)?,
        })
    }

    /// Appends the payload for at most [`READINGS_MAX`] readings to `out` and returns its codec.
    pub fn encode(&mut self, readings: &[Reading], out: &mut Vec<u8>) -> u8 {
        assert!(readings.len() <= READINGS_MAX, "a block holds at most {READINGS_MAX} readings");
        self.plain.clear();
        self.encode_plain(readings);
        self.finish([CODEC_PLAIN, CODEC_ZSTD], out)
    }

    /// Appends the payload of a block that stands for more readings than it holds to `out` and returns its codec;
    /// `places` says the place of each reading among those that it stands for, and rises.
    pub fn encode_thinned(&mut self, readings: &[Reading], places: &[u32], out: &mut Vec<u8>) -> u8 {
        assert!(readings.len() <= READINGS_MAX, "a block holds at most {READINGS_MAX} readings");
        assert!(readings.len() == places.len(), "each reading has its place");
        self.plain.clear();
        thinned::write(places, &mut self.plain);
        self.encode_plain(readings);
        self.finish([CODEC_THINNED, CODEC_THINNED_ZSTD], out)
    }

    /// Hands out what was encoded, through zstd where that is smaller; returns which of the codecs it is.
    fn finish(&mut self, [plain, compressed]: [u8; 2], out: &mut Vec<u8>) -> u8 {
        if self.plain.len() >= COMPRESS_MIN {
            let start = out.len();
            out.resize(start + zstd::zstd_safe::compress_bound(self.plain.len()), 0);
            match self.zstd.compress_to_buffer(&self.plain, &mut out[start..]) {
                Ok(length) if length < self.plain.len() => {
                    out.truncate(start + length);
                    return compressed;
                }
                _ => out.truncate(start),
            }
        }
        out.extend_from_slice(&self.plain);
        plain
    }

    fn encode_plain(&mut self, readings: &[Reading]) {
        self.times.collect(readings);
        self.write_columns(readings);

        self.plain.push(VERSION);
        self.times.write(&mut self.plain);
        self.groups.write(&mut self.plain);
        self.exceptions.write(&mut self.plain);
        self.plain.extend_from_slice(&self.codes);
        self.plain.extend_from_slice(self.shared.flags());
        self.plain.extend_from_slice(&self.columns);
    }

    fn write_columns(&mut self, readings: &[Reading]) {
        self.groups.clear();
        self.exceptions.clear();
        self.codes.clear();
        self.columns.clear();
        self.shared.clear();
        let Encoder { order, times, groups, exceptions, codes, columns, column, shared, .. } = self;
        match order.of(readings) {
            // What the blocks of slow polls hold: nothing is gathered for it.
            Columns::OneEach(stretches) => {
                for place in stretches.iter().cloned().flatten() {
                    let reading = &readings[place];
                    groups.add_single(reading.tag, times.of(place));
                    exceptions.note(reading);
                    let code = write_one(&reading.value, shared, columns);
                    codes.push(code.unwrap_or_else(|| column.write_all([&reading.value], shared, columns)).0);
                }
            }
            Columns::Several(sorted) => {
                for of_tag in sorted.chunk_by(|left, right| left.0 == right.0) {
                    let places = || of_tag.iter().map(|(_, place)| *place as usize);
                    groups.add(of_tag[0].0, places().map(|place| times.of(place)));
                    places().for_each(|place| exceptions.note(&readings[place]));
                    let values = places().map(|place| &readings[place].value);
                    codes.push(column.write_all(values, shared, columns).0);
                }
            }
        }
    }
}

/// Decodes blocks; keeps its memory from block to block.
pub struct Decoder {
    plain: Vec<u8>,
    zstd: zstd::bulk::Decompressor<'static>,
}

impl Decoder {
    /// A decoder; fails only where zstd cannot have its memory.
    pub fn new() -> std::io::Result<Decoder> {
        Ok(Decoder { plain: Vec::new(), zstd: zstd::bulk::Decompressor::new()? })
    }

    /// Appends the readings of a block to `readings`, in the order of their sequence numbers. Where it no longer holds
    /// all that it stands for, their places among these come back. On an error nothing is appended.
    pub fn decode_block(&mut self, block: &Block, readings: &mut Vec<Reading>) -> Result<Option<Places>, Undecodable> {
        let start = readings.len();
        let places = self.decode(block.meta.codec, &block.payload, readings)?;
        let count = block.seqs.count();
        let fits = match &places {
            None => (readings.len() - start) as u64 == count,
            Some(places) => places.last().is_none_or(|last| u64::from(*last) < count),
        };
        if fits {
            return Ok(places);
        }
        readings.truncate(start);
        Err(Undecodable("its count of readings is not that of its envelope"))
    }

    /// As [`Decoder::decode_block`], however many readings the payload stands for.
    pub fn decode(
        &mut self,
        codec: u8,
        payload: &[u8],
        readings: &mut Vec<Reading>,
    ) -> Result<Option<Places>, Undecodable> {
        let start = readings.len();
        let plain = match codec {
            CODEC_PLAIN | CODEC_THINNED => payload,
            CODEC_ZSTD | CODEC_THINNED_ZSTD => self.decompress(payload)?,
            _ => return Err(Undecodable("its codec is unknown to this version")),
        };
        let is_thinned = matches!(codec, CODEC_THINNED | CODEC_THINNED_ZSTD);
        let result = decode_plain(plain, is_thinned, readings);
        if result.is_err() {
            readings.truncate(start);
        }
        result
    }

    fn decompress(&mut self, payload: &[u8]) -> Result<&[u8], Undecodable> {
        self.plain.clear();
        let size = zstd::zstd_safe::get_frame_content_size(payload).ok().flatten();
        let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= PAYLOAD_MAX);
        let size = size.ok_or(Undecodable("its size is missing or beyond the limit"))?;
        self.plain.resize(size, 0);
        let length = self.zstd.decompress_to_buffer(payload, &mut self.plain);
        let length = length.map_err(|_| Undecodable("zstd does not accept it"))?;
        Ok(&self.plain[..length])
    }
}

fn decode_plain(plain: &[u8], is_thinned: bool, readings: &mut Vec<Reading>) -> Result<Option<Places>, Undecodable> {
    let mut input = Input::new(plain);
    let places = if is_thinned { Some(thinned::read(&mut input)?) } else { None };
    let start = readings.len();
    decode_readings(input, readings)?;
    match &places {
        Some(places) if places.len() != readings.len() - start => Err(Undecodable("not each reading has its place")),
        _ => Ok(places),
    }
}

fn decode_readings(mut input: Input<'_>, readings: &mut Vec<Reading>) -> Result<(), Undecodable> {
    if !(VERSION_OLDEST..=VERSION).contains(&input.byte()?) {
        return Err(Undecodable("its version is unknown to this version"));
    }
    let times = Times::read(&mut input)?;
    let groups = Groups::read(&mut input, times.len())?;
    let mut exceptions = Exceptions::read(&mut input)?;
    let codes = input.bytes(groups.columns())?;
    let mut shared = SharedInput::read(codes, &mut input)?;
    let mut codes = Input::new(codes);

    let start = readings.len();
    for group in groups.placed() {
        let only = group.only_place();
        if let Some((base, time)) = only
            && start + base == readings.len()
            && exceptions.pass_plain(group.columns())
        {
            // An answer without a fault: as it stands.
            let (timestamp, clock) = times.get(time);
            for (tag, code) in group.tags().zip(codes.bytes(group.columns())?) {
                let value = ColumnCode(*code).only_value(&mut shared, &mut input)?;
                let (quality, tense) = (Quality::Good, Tense::Present);
                readings.push(Reading { tag, value, quality, status: 0, timestamp, clock, tense });
            }
            continue;
        }
        readings.resize(start + groups.readings(), BLANK);
        let out = &mut readings[start..];
        if let Some((base, time)) = only {
            let (timestamp, clock) = times.get(time);
            for (tag, slot) in group.tags().zip(&mut out[base..]) {
                let code = ColumnCode(codes.byte()?);
                let Exception { quality, status, has_value, tense } = exceptions.next();
                let value = if has_value {
                    code.only_value(&mut shared, &mut input)?
                } else {
                    code.no_value(&mut shared, &mut input)?
                };
                *slot = Reading { tag, value, quality, status, timestamp, clock, tense };
            }
            continue;
        }
        for (column, tag) in group.tags().enumerate() {
            let code = ColumnCode(codes.byte()?);
            let mut values = code.values(&mut shared, &mut input)?;
            for (base, time) in group.places() {
                let exception = exceptions.next();
                let value = if exception.has_value { values.next(&mut input)? } else { Value::None };
                let (timestamp, clock) = times.get(time);
                let Exception { quality, status, tense, .. } = exception;
                out[base + column] = Reading { tag, value, quality, status, timestamp, clock, tense };
            }
        }
    }
    if input.is_empty() { Ok(()) } else { Err(Undecodable("bytes are left over")) }
}

const BLANK: Reading = Reading {
    tag: TagId(0),
    value: Value::None,
    quality: Quality::Good,
    status: 0,
    timestamp: Timestamp(0),
    clock: ClockState::Synchronized,
    tense: Tense::Present,
};

#[cfg(test)]
mod tests;
