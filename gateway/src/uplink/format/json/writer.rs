//! Readings and gaps as JSON objects.

use buffer::Seq;
use driver_core::{ClockState, Quality, Reading};

use super::keys::Pieces;
use super::time::TimeText;
use super::value::{write_integer, write_string, write_value};
use crate::uplink::Lane;
use crate::uplink::format::{Missing, Records};

/// Writes objects one after another; keeps its memory from message to message.
#[derive(Default)]
pub(super) struct Writer {
    time: TimeText,
    pub(super) out: Vec<u8>,
}

impl Writer {
    /// A reading by itself.
    pub(super) fn single(&mut self, reading: &Reading, pieces: &Pieces<'_>, records: &Records, seq: Seq) {
        self.begin(reading);
        self.out.extend_from_slice(pieces.device_name);
        self.middle(reading, pieces);
        self.out.extend_from_slice(b",\"epoch\":");
        write_integer(records.epoch, &mut self.out);
        write_lane(records.lane, &mut self.out);
        self.end(seq);
    }

    /// A reading in a batch, which tells device and epoch.
    pub(super) fn in_batch(&mut self, reading: &Reading, pieces: &Pieces<'_>, seq: Seq) {
        self.begin(reading);
        self.middle(reading, pieces);
        self.end(seq);
    }

    /// A gap, in place of what was written before.
    pub(super) fn gap(&mut self, gateway: &[u8], missing: &Missing) {
        let (gap, out) = (&missing.gap, &mut self.out);
        out.clear();
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
            out.extend_from_slice(b",\"from\":\"");
            self.time.write(from, out);
            out.extend_from_slice(b"Z\",\"to\":\"");
            self.time.write(to, out);
            out.extend_from_slice(b"Z\"");
        }
        out.extend_from_slice(b"}}");
    }

    fn begin(&mut self, reading: &Reading) {
        self.out.extend_from_slice(b"{\"time\":\"");
        self.time.write(reading.timestamp.0, &mut self.out);
        self.out.push(b'Z');
    }

    fn middle(&mut self, reading: &Reading, pieces: &Pieces<'_>) {
        let out = &mut self.out;
        out.extend_from_slice(pieces.tag_name);
        write_value(&reading.value, out);
        match (reading.quality, reading.status, reading.clock) {
            (Quality::Good, 0, ClockState::Synchronized) => out.extend_from_slice(pieces.good),
            _ => doubtful(reading, pieces, out),
        }
    }

    fn end(&mut self, seq: Seq) {
        self.out.extend_from_slice(b",\"seq\":");
        write_integer(seq, &mut self.out);
        self.out.push(b'}');
    }
}

/// `,"lane":"history"`, or `,"lane":"replay","job":3`; nothing for what is live.
pub(super) fn write_lane(lane: Lane, out: &mut Vec<u8>) {
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

fn doubtful(reading: &Reading, pieces: &Pieces<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"quality\":");
    write_string(reading.quality.level().name(), out);
    if let Some(reason) = reading.quality.reason() {
        out.extend_from_slice(b",\"reason\":");
        write_string(reason.name(), out);
    }
    if reading.status != 0 {
        out.extend_from_slice(b",\"status\":");
        write_integer(reading.status, out);
    }
    out.extend_from_slice(pieces.unit());
    if reading.clock == ClockState::Unsynchronized {
        out.extend_from_slice(b",\"clock\":\"unsynchronized\"");
    }
}
