//! Readings and gaps as JSON objects.

use buffer::Seq;
use driver_core::{ClockState, Reading, Tense, Timestamp};

use super::keys::Pieces;
use super::time::TimeText;
use super::value::{write_integer, write_string, write_value};
use crate::uplink::Lane;
use crate::uplink::format::{Missing, Records};

/// Writes objects one after another; remembers the texts of the last time and the last seq.
#[derive(Default)]
pub(super) struct Writer {
    time: TimeText,
    /// `,{"time":"2026-11-23T02:28:33.123456Z",` of the time that a row of a batch said last.
    row_head: Vec<u8>,
    row_time: Option<Timestamp>,
    end: EndText,
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
        out.extend_from_slice(b"\",");
        out.extend_from_slice(pieces.tag_name());
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
        self.end.write(seq, out);
    }

    /// What holds for the readings of a batch unless they say otherwise, and the beginning of their list.
    pub(super) fn rest_of_head(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"time\":\"");
        self.time.write(time.0, out);
        out.extend_from_slice(b"Z\",\"quality\":\"good\",\"readings\":[");
    }

    /// The `nth` reading of a batch, whose head tells of device, epoch, time and quality.
    pub(super) fn in_batch(
        &mut self,
        nth: usize,
        reading: &Reading,
        batch_time: Timestamp,
        pieces: &Pieces<'_>,
        seq: Seq,
        out: &mut Vec<u8>,
    ) {
        // No comma stands before the first.
        let from = usize::from(nth == 0);
        if reading.timestamp == batch_time {
            out.extend_from_slice(&pieces.row[from..]);
        } else {
            out.extend_from_slice(&self.row_head(reading.timestamp)[from..]);
            out.extend_from_slice(pieces.tag_name());
        }
        write_value(&reading.value, out);
        let unit = pieces.unit();
        if !reading.is_plain() {
            out.push(b',');
            write_doubts(reading, unit, out);
        } else if !unit.is_empty() {
            out.extend_from_slice(unit);
        }
        self.end.write(seq, out);
    }

    /// What a row of this time begins with: those of one answer share it.
    fn row_head(&mut self, time: Timestamp) -> &[u8] {
        if self.row_time != Some(time) {
            let mut head = std::mem::take(&mut self.row_head);
            head.clear();
            head.push(b',');
            self.begin(time, &mut head);
            head.extend_from_slice(b"\",");
            (self.row_head, self.row_time) = (head, Some(time));
        }
        &self.row_head
    }

    fn begin(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        self.time.write(time.0, out);
        out.push(b'Z');
    }
}

/// `,"seq":1234}`: seqs mostly follow one another, and then the text is counted up rather than made.
struct EndText {
    seq: Seq,
    text: [u8; END_MAX],
    length: usize,
}

const END_HEAD: &[u8; 7] = b",\"seq\":";
const END_MAX: usize = END_HEAD.len() + 20 + 1;

impl Default for EndText {
    fn default() -> EndText {
        EndText { seq: Seq::MAX, text: [0; END_MAX], length: 0 }
    }
}

impl EndText {
    fn write(&mut self, seq: Seq, out: &mut Vec<u8>) {
        if self.seq.checked_add(1) != Some(seq) || !self.count_up() {
            self.set(seq);
        }
        self.seq = seq;
        // All of it and then less: a copy of a fixed size needs no call.
        out.extend_from_slice(&self.text);
        out.truncate(out.len() - (END_MAX - self.length));
    }

    /// Adds one to the digits; `false` where they all were nines.
    fn count_up(&mut self) -> bool {
        for digit in self.text[END_HEAD.len()..self.length - 1].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return true;
            }
            *digit = b'0';
        }
        false
    }

    fn set(&mut self, seq: Seq) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(seq).as_bytes();
        self.length = END_HEAD.len() + digits.len() + 1;
        self.text[..END_HEAD.len()].copy_from_slice(END_HEAD);
        self.text[END_HEAD.len()..self.length - 1].copy_from_slice(digits);
        self.text[self.length - 1] = b'}';
    }
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
    write_origin(reading, out);
}

/// `,"clock":"unsynchronized","historical":true`, each where it is so.
pub(super) fn write_origin(reading: &Reading, out: &mut Vec<u8>) {
    if reading.clock == ClockState::Unsynchronized {
        out.extend_from_slice(b",\"clock\":\"unsynchronized\"");
    }
    if reading.tense == Tense::Past {
        out.extend_from_slice(b",\"historical\":true");
    }
}
