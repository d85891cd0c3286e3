//! Readings and gaps as JSON objects.

use buffer::Seq;
use driver_core::{ClockState, Reading, Tense, Timestamp};

use super::keys::Pieces;
use super::time::TimeText;
use super::value::{write_integer, write_string, write_value};
use crate::uplink::Lane;
use crate::uplink::format::{Missing, Records};

/// Writes objects one after another; remembers the text of the last time.
#[derive(Default)]
pub(super) struct Writer {
    time: TimeText,
}

impl Writer {
    /// A reading by itself.
    pub(super) fn single(
        &mut self,
        reading: &Reading,
        pieces: &Pieces<'_>,
        records: &Records,
        seq: Seq,
        out: &mut Vec<u8>,
    ) {
        self.begin(reading.timestamp, out);
        out.extend_from_slice(pieces.device_name);
        out.extend_from_slice(pieces.tag_name);
        write_value(&reading.value, out);
        if reading.is_plain() {
            out.extend_from_slice(pieces.good);
        } else {
            out.push(b',');
            write_doubts(reading, pieces.unit(), out);
        }
        out.extend_from_slice(b",\"epoch\":");
        write_integer(records.epoch, out);
        write_lane(records.lane, out);
        end(seq, out);
    }

    /// What holds for the readings of a batch unless they say otherwise, and the beginning of their list.
    pub(super) fn rest_of_head(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"time\":\"");
        self.time.write(time.0, out);
        out.extend_from_slice(b"Z\",\"quality\":\"good\",\"readings\":[");
    }

    /// A reading in a batch, whose head tells of device, epoch, time and quality.
    pub(super) fn in_batch(
        &mut self,
        reading: &Reading,
        batch_time: Timestamp,
        pieces: &Pieces<'_>,
        seq: Seq,
        out: &mut Vec<u8>,
    ) {
        if reading.timestamp == batch_time {
            out.push(b'{');
            out.extend_from_slice(pieces.tag_name.strip_prefix(b"\",").unwrap_or(pieces.tag_name));
        } else {
            self.begin(reading.timestamp, out);
            out.extend_from_slice(pieces.tag_name);
        }
        write_value(&reading.value, out);
        if reading.is_plain() {
            out.extend_from_slice(pieces.unit());
        } else {
            out.push(b',');
            write_doubts(reading, pieces.unit(), out);
        }
        end(seq, out);
    }

    fn begin(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        self.time.write(time.0, out);
        out.push(b'Z');
    }
}

fn end(seq: Seq, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"seq\":");
    write_integer(seq, out);
    out.push(b'}');
}

/// A gap; `gateway` is escaped.
pub(in crate::uplink) fn write_gap(gateway: &[u8], missing: &Missing, out: &mut Vec<u8>) {
    let gap = &missing.gap;
    out.extend_from_slice(b"{\"gateway\":\"");
    out.extend_from_slice(gateway);
    out.push(b'"');
    write_lane(missing.lane, out);
    out.extend_from_slice(b",\"gap\":{\"first\":");
    write_integer(gap.seqs.first, out);
    out.extend_from_slice(b",\"last\":");
    write_integer(gap.seqs.last, out);
    out.extend_from_slice(b",\"count\":");
    write_integer(gap.count, out);
    out.extend_from_slice(b",\"reason\":");
    write_string(missing.reason, out);
    if let Some((from, to)) = gap.time_ns {
        let mut time = TimeText::default();
        out.extend_from_slice(b",\"from\":\"");
        time.write(from, out);
        out.extend_from_slice(b"Z\",\"to\":\"");
        time.write(to, out);
        out.extend_from_slice(b"Z\"");
    }
    out.extend_from_slice(b"}}");
}

/// `,"lane":"history"`, or `,"lane":"replay","job":3`; nothing for what is live.
pub(in crate::uplink) fn write_lane(lane: Lane, out: &mut Vec<u8>) {
    if lane == Lane::Live {
        return;
    }
    out.extend_from_slice(b",\"lane\":\"");
    out.extend_from_slice(lane.name().as_bytes());
    out.push(b'"');
    if let Some(job) = lane.job() {
        out.extend_from_slice(b",\"job\":");
        write_integer(job, out);
    }
}

/// `"quality":"bad","reason":"timeout"`, with status, unit, clock and tense where they say something; `unit` is a piece of its own.
pub(in crate::uplink) fn write_doubts(reading: &Reading, unit: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"quality\":");
    write_string(reading.quality.level().name(), out);
    if let Some(reason) = reading.quality.reason() {
        out.extend_from_slice(b",\"reason\":");
        write_string(reason.name(), out);
    }
    if reading.status != 0 {
        out.extend_from_slice(b",\"status\":");
        write_integer(reading.status, out);
    }
    out.extend_from_slice(unit);
    if reading.clock == ClockState::Unsynchronized {
        out.extend_from_slice(b",\"clock\":\"unsynchronized\"");
    }
    if reading.tense == Tense::Past {
        out.extend_from_slice(b",\"historical\":true");
    }
}
