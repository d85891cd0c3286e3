//! Readings to the bytes of one block, and back.
//!
//! ```text
//! version | times | groups | exceptions | codes | columns            codec 0; the same through zstd: codec 1
//!
//! times       count, clock (all good | none | bitmap), first, delta, delta of delta …
//! group       the tags that have readings at the same times: times' indexes, then runs of tag ids
//! exception   run of readings that are not plainly good: skip, length, level and presence, reason, status
//! code        a byte a column: kind of value (high nibble), method (low nibble)
//! column      one tag's values in the order of time: constant, deltas, decimals, or XORed bits, whichever is smallest
//! ```
//!
//! A decoded block yields its readings time by time, and within a time group by group and tag by tag. That order is the
//! order of their sequence numbers; the order of one tag's readings is the order in which they came.

mod column;
mod exceptions;
mod groups;
mod times;
mod varint;

use driver_core::{Quality, Reading, TagId, Timestamp, Value};

use self::column::{Column, ColumnCode};
use self::exceptions::{Exception, Exceptions};
use self::groups::Groups;
use self::times::Times;
use self::varint::Input;

/// The most readings that one block holds.
pub const READINGS_MAX: usize = 65_536;

/// The codec number of a block whose payload stands as encoded.
pub const CODEC_PLAIN: u8 = 0;

/// The codec number of a block whose payload went through zstd.
pub const CODEC_ZSTD: u8 = 1;

/// The most bytes that a payload may have once decompressed.
const PAYLOAD_MAX: usize = 4 << 20;

/// Under this size zstd costs more than it saves.
const COMPRESS_MIN: usize = 256;

const VERSION: u8 = 1;

/// A payload that no encoder wrote. Its block passed its checksum, so this is a newer version's, or a fault in ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the block's payload cannot be decoded: {0}")]
pub struct Undecodable(&'static str);

/// Encodes blocks; keeps its memory from block to block.
pub struct Encoder {
    order: Vec<(TagId, u32)>,
    times: Times,
    groups: Groups,
    exceptions: Exceptions,
    codes: Vec<u8>,
    columns: Vec<u8>,
    column: Column,
    plain: Vec<u8>,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Encoder {
    /// An encoder; fails only where zstd cannot have its memory.
    pub fn new() -> std::io::Result<Encoder> {
        Ok(Encoder {
            order: Vec::new(),
            times: Times::default(),
            groups: Groups::default(),
            exceptions: Exceptions::default(),
            codes: Vec::new(),
            columns: Vec::new(),
            column: Column::default(),
            plain: Vec::new(),
            zstd: zstd::bulk::Compressor::new(1)?,
        })
    }

    /// Appends the payload for at most [`READINGS_MAX`] readings to `out` and returns its codec.
    pub fn encode(&mut self, readings: &[Reading], out: &mut Vec<u8>) -> u8 {
        assert!(readings.len() <= READINGS_MAX, "a block holds at most {READINGS_MAX} readings");
        self.encode_plain(readings);
        if self.plain.len() >= COMPRESS_MIN {
            let start = out.len();
            out.resize(start + zstd::zstd_safe::compress_bound(self.plain.len()), 0);
            match self.zstd.compress_to_buffer(&self.plain, &mut out[start..]) {
                Ok(length) if length < self.plain.len() => {
                    out.truncate(start + length);
                    return CODEC_ZSTD;
                }
                _ => out.truncate(start),
            }
        }
        out.extend_from_slice(&self.plain);
        CODEC_PLAIN
    }

    fn encode_plain(&mut self, readings: &[Reading]) {
        self.times.collect(readings);
        self.order.clear();
        self.order.extend(readings.iter().zip(0..).map(|(reading, index)| (reading.tag, index)));
        self.order.sort_unstable();
        self.groups.collect(&self.order, &self.times);
        self.write_columns(readings);

        self.plain.clear();
        self.plain.push(VERSION);
        self.times.write(&mut self.plain);
        self.groups.write(&mut self.plain);
        self.exceptions.write(&mut self.plain);
        self.plain.extend_from_slice(&self.codes);
        self.plain.extend_from_slice(&self.columns);
    }

    /// `order` is by tag and then by arrival, which is the order of the columns.
    fn write_columns(&mut self, readings: &[Reading]) {
        self.exceptions.clear();
        self.codes.clear();
        self.columns.clear();
        for run in self.order.chunk_by(|left, right| left.0 == right.0) {
            self.column.clear();
            for (_, index) in run {
                let reading = &readings[*index as usize];
                self.exceptions.note(reading);
                self.column.push(&reading.value);
            }
            let code = self.column.write(&mut self.columns);
            self.codes.push(code.0);
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

    /// Appends the readings of a payload to `readings`, in the order of their sequence numbers. On an error nothing is
    /// appended.
    pub fn decode(&mut self, codec: u8, payload: &[u8], readings: &mut Vec<Reading>) -> Result<(), Undecodable> {
        let start = readings.len();
        let result = match codec {
            CODEC_PLAIN => decode_plain(payload, readings),
            CODEC_ZSTD => {
                self.plain.clear();
                let size = zstd::zstd_safe::get_frame_content_size(payload).ok().flatten();
                let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= PAYLOAD_MAX);
                let size = size.ok_or(Undecodable("its size is missing or beyond the limit"))?;
                self.plain.resize(size, 0);
                let length = self
                    .zstd
                    .decompress_to_buffer(payload, &mut self.plain)
                    .map_err(|_| Undecodable("zstd does not accept it"))?;
                decode_plain(&self.plain[..length], readings)
            }
            _ => Err(Undecodable("its codec is unknown to this version")),
        };
        if result.is_err() {
            readings.truncate(start);
        }
        result
    }
}

fn decode_plain(payload: &[u8], readings: &mut Vec<Reading>) -> Result<(), Undecodable> {
    let mut input = Input::new(payload);
    if input.byte()? != VERSION {
        return Err(Undecodable("its version is unknown to this version"));
    }
    let times = Times::read(&mut input)?;
    let groups = Groups::read(&mut input, times.len())?;
    let mut exceptions = Exceptions::read(&mut input)?;
    let mut codes = Input::new(input.bytes(groups.columns())?);

    let start = readings.len();
    readings.resize(start + groups.readings(), blank());
    let out = &mut readings[start..];
    for group in groups.placed() {
        for (column, tag) in group.tags().enumerate() {
            let code = ColumnCode(codes.byte()?);
            let mut values = code.values(&mut input)?;
            for (base, time) in group.places() {
                let exception = exceptions.next();
                let value = if exception.has_value { values.next(&mut input)? } else { Value::None };
                let (timestamp, clock) = times.get(time);
                let Exception { quality, status, .. } = exception;
                out[base + column] = Reading { tag, value, quality, status, timestamp, clock };
            }
        }
    }
    if input.is_empty() { Ok(()) } else { Err(Undecodable("bytes are left over")) }
}

fn blank() -> Reading {
    Reading {
        tag: TagId(0),
        value: Value::None,
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(0),
        clock: driver_core::ClockState::Synchronized,
    }
}

#[cfg(test)]
mod tests;
