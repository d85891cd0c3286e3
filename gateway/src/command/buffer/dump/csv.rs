//! Readings as CSV (RFC 4180): one row a reading, in the order of seqs.

use std::io::{self, Write};

use buffer::Seq;
use driver_core::{ClockState, Reading, Tense, Value};

/// The first row.
pub(super) const HEADING: &str = "time,device,tag,value,unit,quality,reason,clock,epoch,seq,historical\n";

/// What a row says beside the reading.
pub(super) struct Row<'a> {
    pub(super) device: &'a str,
    pub(super) tag: &'a str,
    pub(super) unit: &'a str,
    pub(super) epoch: u32,
    pub(super) seq: Seq,
}

/// Writes one row; a field is empty where there is nothing to say.
pub(super) fn write_row(out: &mut dyn Write, reading: &Reading, row: &Row<'_>) -> io::Result<()> {
    let value = if reading.value == Value::None { String::new() } else { reading.value.to_string() };
    let clock = if reading.clock == ClockState::Synchronized { "" } else { "unsynchronized" };
    let reason = reading.quality.reason().map_or("", |reason| reason.name());
    let quality = reading.quality.level().name();
    write!(out, "{},{},{},{}", reading.timestamp, quoted(row.device), quoted(row.tag), quoted(&value))?;
    let historical = if reading.tense == Tense::Past { "true" } else { "" };
    writeln!(out, ",{},{quality},{reason},{clock},{},{},{historical}", quoted(row.unit), row.epoch, row.seq)
}

/// In quotes where the field would otherwise be read as more than one.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.into(),
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{Quality, Reason, TagId, Timestamp};

    use super::*;

    #[test]
    fn what_would_break_a_row_is_quoted_and_what_is_not_there_is_empty() {
        let text = Reading {
            tag: TagId(0),
            value: Value::Text("a,\"b\"\nc".into()),
            quality: Quality::Good,
            status: 0,
            timestamp: Timestamp(1_795_400_913_000_000_000),
            clock: ClockState::Synchronized,
            tense: Tense::Present,
        };
        let row = Row { device: "press", tag: "text", unit: "°C", epoch: 7, seq: 12 };
        let absent = Reading {
            value: Value::None,
            quality: Quality::Bad(Reason::Timeout),
            clock: ClockState::Unsynchronized,
            tense: Tense::Past,
            ..text.clone()
        };
        let mut out = Vec::new();
        write_row(&mut out, &text, &row).expect("a Vec");
        write_row(&mut out, &absent, &row).expect("a Vec");
        let expected = "2026-11-23T02:28:33Z,press,text,\"a,\"\"b\"\"\nc\",°C,good,,,7,12,\n\
                        2026-11-23T02:28:33Z,press,text,,°C,bad,timeout,unsynchronized,7,12,true\n";
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
