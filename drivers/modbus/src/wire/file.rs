//! File records: functions 20 and 21 (Application Protocol, 6.14 and 6.15).
//!
//! ```text
//! read   request   14 | bytes | { 06 | file (2) | record (2) | registers (2) } ...
//!        response  14 | bytes | { 1 + data bytes | 06 | data } ...
//! write  request   15 | bytes | { 06 | file (2) | record (2) | registers (2) | data } ...     response: the same
//! ```

use super::request::{InvalidRequest, words};

/// The only reference type that the specification knows.
pub(crate) const REFERENCE_TYPE: u8 = 6;
const READ_SPAN_BYTES: usize = 7;
const READ_BYTES_MAX: usize = 0xF5;
const WRITE_BYTES_MAX: usize = 0xFB;
const RECORD_MAX: u16 = 9999;

/// A run of registers within a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileSpan {
    /// File number, from 1.
    pub file: u16,
    /// First record (register) of the run, 0 to 9999.
    pub record: u16,
    /// Number of registers.
    pub registers: u16,
}

/// Registers to be written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRecord<'a> {
    /// File number, from 1.
    pub file: u16,
    /// First record (register) of the run, 0 to 9999.
    pub record: u16,
    /// The registers, big-endian.
    pub registers: &'a [u8],
}

/// The registers of an answer to function 20, one run for each span asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRecords<'a> {
    bytes: &'a [u8],
}

impl<'a> FileRecords<'a> {
    /// The runs in the order of the request's spans, each big-endian.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (run, after) = split_run(rest)?;
            rest = after;
            Some(run)
        })
    }
}

/// Bytes after the byte count of the answer to a read.
pub(crate) fn read_reply_bytes(spans: &[FileSpan]) -> usize {
    spans.iter().map(|span| 2 + 2 * usize::from(span.registers)).sum()
}

/// Bytes after the byte count of a write.
pub(crate) fn write_bytes(records: &[FileRecord<'_>]) -> usize {
    records.iter().map(|record| READ_SPAN_BYTES + record.registers.len()).sum()
}

pub(crate) fn check_read(spans: &[FileSpan]) -> Result<(), InvalidRequest> {
    let max = READ_BYTES_MAX / READ_SPAN_BYTES;
    if spans.is_empty() || spans.len() > max {
        return Err(InvalidRequest::Count { what: "file spans", count: spans.len(), max });
    }
    spans.iter().try_for_each(|span| check_span(span.record, span.registers.into()))?;
    bounded("bytes of file records to read", read_reply_bytes(spans), READ_BYTES_MAX)
}

pub(crate) fn check_write(records: &[FileRecord<'_>]) -> Result<(), InvalidRequest> {
    for record in records {
        let count = record.registers.len() / 2;
        if record.registers.len() % 2 != 0 {
            return Err(InvalidRequest::Payload { count, bytes: record.registers.len() });
        }
        check_span(record.record, count)?;
    }
    bounded("bytes of file records to write", write_bytes(records), WRITE_BYTES_MAX)
}

pub(crate) fn encode_read(spans: &[FileSpan], out: &mut Vec<u8>) {
    out.push(byte(spans.len() * READ_SPAN_BYTES));
    for span in spans {
        out.push(REFERENCE_TYPE);
        words(out, &[span.file, span.record, span.registers]);
    }
}

pub(crate) fn encode_write(records: &[FileRecord<'_>], out: &mut Vec<u8>) {
    out.push(byte(write_bytes(records)));
    for record in records {
        out.push(REFERENCE_TYPE);
        words(out, &[record.file, record.record, super::request::register_count(record.registers)]);
        out.extend_from_slice(record.registers);
    }
}

/// The answer to a read, if `bytes` (what follows the byte count) holds exactly the runs asked for.
pub(crate) fn decode_read<'a>(spans: &[FileSpan], bytes: &'a [u8]) -> Option<FileRecords<'a>> {
    let mut rest = bytes;
    for span in spans {
        let (run, after) = split_run(rest)?;
        if run.len() != 2 * usize::from(span.registers) {
            return None;
        }
        rest = after;
    }
    rest.is_empty().then_some(FileRecords { bytes })
}

/// Whether `bytes` (what follows the byte count) confirms exactly the records written.
pub(crate) fn confirms_write(records: &[FileRecord<'_>], bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for record in records {
        let [REFERENCE_TYPE, f0, f1, r0, r1, n0, n1, after @ ..] = rest else { return false };
        let same = u16::from_be_bytes([*f0, *f1]) == record.file
            && u16::from_be_bytes([*r0, *r1]) == record.record
            && 2 * usize::from(u16::from_be_bytes([*n0, *n1])) == record.registers.len();
        match after.strip_prefix(record.registers) {
            Some(after) if same => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

fn split_run(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [length, REFERENCE_TYPE, rest @ ..] = bytes else { return None };
    rest.split_at_checked(usize::from(*length).checked_sub(1)?)
}

fn check_span(record: u16, count: usize) -> Result<(), InvalidRequest> {
    bounded("registers of a file record", count, READ_BYTES_MAX / 2)?;
    if usize::from(record) + count > 1 + usize::from(RECORD_MAX) {
        return Err(InvalidRequest::Beyond { start: record, count });
    }
    Ok(())
}

fn bounded(what: &'static str, count: usize, max: usize) -> Result<(), InvalidRequest> {
    if (1..=max).contains(&count) { Ok(()) } else { Err(InvalidRequest::Count { what, count, max }) }
}

fn byte(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Answer, Request, Response};

    // The examples of the Application Protocol, 6.14 and 6.15.
    const SPANS: [FileSpan; 2] =
        [FileSpan { file: 4, record: 1, registers: 2 }, FileSpan { file: 3, record: 9, registers: 2 }];

    #[test]
    fn two_groups_are_read_as_the_specification_prints_them() {
        let request = Request::ReadFileRecords(&SPANS);
        let mut pdu = Vec::new();
        request.encode(&mut pdu).expect("a valid request");
        assert_eq!(pdu, [0x14, 0x0E, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2]);

        let reply = [0x14, 0x0C, 5, 6, 0x0D, 0xFE, 0, 0x20, 5, 6, 0x33, 0xCD, 0, 0x40];
        let Ok(Answer::Response(Response::Files(records))) = request.decode(&reply) else { panic!("no records") };
        let runs: Vec<_> = records.iter().collect();
        assert_eq!(runs, [[0x0D, 0xFE, 0, 0x20], [0x33, 0xCD, 0, 0x40]]);
    }

    #[test]
    fn runs_of_another_length_than_asked_for_are_refused() {
        let request = Request::ReadFileRecords(&SPANS);
        let swapped = [0x14, 0x0C, 3, 6, 0x0D, 0xFE, 7, 6, 0x33, 0xCD, 0, 0x40, 1, 2];
        assert!(request.decode(&swapped).is_err());
    }

    #[test]
    fn a_write_is_confirmed_by_its_own_bytes_only() {
        let records = [FileRecord { file: 4, record: 7, registers: &[0x06, 0xAF, 0x04, 0xBE, 0x10, 0x0D] }];
        let request = Request::WriteFileRecords(&records);
        let mut pdu = Vec::new();
        request.encode(&mut pdu).expect("a valid request");
        assert_eq!(pdu, [0x15, 0x0D, 6, 0, 4, 0, 7, 0, 3, 0x06, 0xAF, 0x04, 0xBE, 0x10, 0x0D]);
        assert_eq!(request.decode(&pdu), Ok(Answer::Response(Response::Written)));
        for at in 3..pdu.len() {
            let mut other = pdu.clone();
            other[at] ^= 1;
            assert!(request.decode(&other).is_err(), "a change at byte {at} was not noticed");
        }
    }
}
