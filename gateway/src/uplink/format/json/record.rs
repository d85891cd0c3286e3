//! JSON records for destinations with keys: as the other JSON payloads, and each names its gateway, because the topic
//! does not.
//!
//! ```text
//! {"time":"2026-11-23T02:28:33.123456Z","gateway":"acme/line7","device":"press","tag":"temperature","value":21.5,
//!  "quality":"good","unit":"°C","epoch":7,"seq":1234}
//! ```

use driver_core::Reading;

use super::time::TimeText;
use super::value::{write_integer, write_string, write_value};
use super::writer::{write_gap, write_lane, write_origin};
use crate::uplink::format::Missing;
use crate::uplink::format::keyed::{Content, Kind, Of, Shape};

/// Writes JSON records.
#[derive(Debug, Default)]
pub struct JsonRecords {
    time: TimeText,
}

impl JsonRecords {
    fn write_time(&mut self, reading: &Reading, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        self.time.write(reading.timestamp.0, out);
        out.extend_from_slice(b"Z\"");
    }
}

impl Content for JsonRecords {
    fn content_type(&self, _: Kind) -> &'static str {
        super::CONTENT_TYPE
    }

    fn reading(&mut self, reading: &Reading, of: &Of<'_>, out: &mut Vec<u8>) {
        self.write_time(reading, out);
        out.extend_from_slice(b",\"gateway\":");
        write_string(of.gateway, out);
        out.extend_from_slice(b",\"device\":");
        write_string(of.device, out);
        write_middle(reading, of, out);
        out.extend_from_slice(b",\"epoch\":");
        write_integer(of.epoch, out);
        write_lane(of.lane, out);
        write_end(of, out);
    }

    fn item(&mut self, reading: &Reading, of: &Of<'_>, items: &mut Vec<u8>) {
        if !items.is_empty() {
            items.push(b',');
        }
        self.write_time(reading, items);
        write_middle(reading, of, items);
        write_end(of, items);
    }

    fn batch(&mut self, of: &Of<'_>, _: usize, items: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"gateway\":");
        write_string(of.gateway, out);
        out.extend_from_slice(b",\"device\":");
        write_string(of.device, out);
        out.extend_from_slice(b",\"epoch\":");
        write_integer(of.epoch, out);
        write_lane(of.lane, out);
        out.extend_from_slice(b",\"readings\":[");
        out.extend_from_slice(items);
        out.extend_from_slice(b"]}");
    }

    fn gap(&mut self, gateway: &str, missing: &Missing, _: Shape, out: &mut Vec<u8>) {
        let mut escaped = Vec::new();
        super::write_escaped(gateway, &mut escaped);
        write_gap(&escaped, missing, out);
    }

    fn another(&self) -> Box<dyn Content> {
        Box::new(JsonRecords::default())
    }
}

fn write_middle(reading: &Reading, of: &Of<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"tag\":");
    write_string(of.tag, out);
    out.extend_from_slice(b",\"value\":");
    write_value(&reading.value, out);
    out.extend_from_slice(b",\"quality\":\"");
    out.extend_from_slice(reading.quality.level().name().as_bytes());
    out.push(b'"');
    if let Some(reason) = reading.quality.reason() {
        out.extend_from_slice(b",\"reason\":\"");
        out.extend_from_slice(reason.name().as_bytes());
        out.push(b'"');
    }
    if reading.status != 0 {
        out.extend_from_slice(b",\"status\":");
        write_integer(reading.status, out);
    }
    if !of.unit.is_empty() {
        out.extend_from_slice(b",\"unit\":");
        write_string(of.unit, out);
    }
    write_origin(reading, out);
}

fn write_end(of: &Of<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"seq\":");
    write_integer(of.seq, out);
    out.push(b'}');
}
