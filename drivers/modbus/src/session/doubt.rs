//! Which answers may still come late on a line without transaction ids.
//!
//! An answer on a serial line says neither which address it is for nor when it was asked for. After a timeout the late
//! answer would pass for the next one of the same unit, function and length, with wrong values in it. A unit answers in
//! the order in which it was asked, so one answer that cannot be the late one proves that the late one will not come any
//! more. Until then the session asks for a *marker* first: a read with a length that no doubtful answer has, whose
//! values are thrown away.

use std::time::Duration;

use tokio::time::Instant;

use crate::wire::request::{READ_BITS_MAX, payload_bytes};
use crate::wire::{Request, Table};

/// After this long a late answer is no longer expected.
pub(super) const LATE_MAX: Duration = Duration::from_secs(60);
/// Doubts kept for one unit; more timeouts than these replace the newest.
const PER_UNIT_MAX: usize = 8;
/// Doubts kept for all units.
const TOTAL_MAX: usize = 247 * PER_UNIT_MAX;

/// A request that timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubt {
    unit: u8,
    function: u8,
    pdu_bytes: Option<usize>,
    until: Instant,
}

impl Doubt {
    pub(super) fn about(unit: u8, request: &Request<'_>, now: Instant) -> Self {
        Self { unit, function: request.function(), pdu_bytes: request.reply_pdu_bytes(), until: now + LATE_MAX }
    }
}

/// The doubts of one line, oldest first.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    entries: Vec<Doubt>,
}

impl Doubts {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn add(&mut self, doubt: Doubt) {
        let of_unit = self.entries.iter().filter(|entry| entry.unit == doubt.unit).count();
        if of_unit >= PER_UNIT_MAX {
            if let Some(newest) = self.entries.iter_mut().rfind(|entry| entry.unit == doubt.unit) {
                *newest = doubt;
            }
        } else if self.entries.len() < TOTAL_MAX {
            self.entries.push(doubt);
        }
    }

    /// The read to send before `request`, whose answer could be confused with a late one.
    pub(super) fn marker(&mut self, unit: u8, request: &Request<'_>, now: Instant) -> Option<Request<'static>> {
        self.entries.retain(|entry| entry.until > now);
        if !self.entries.iter().any(|entry| entry.unit == unit && entry.function == request.function()) {
            return None;
        }
        let (table, start, count) = place(request);
        let step = if table.is_bits() { 8 } else { 1 };
        let fewer = (1..count).rev().filter(|fewer| (count - fewer) % step == 0);
        let more = (count..READ_BITS_MAX).step_by(usize::from(step)).skip(1);
        let fresh = fewer.chain(more).take_while(|count| *count <= table.read_max()).find(|&count| {
            let pdu_bytes = Some(2 + payload_bytes(table, count));
            !self.entries.iter().any(|entry| {
                entry.unit == unit && entry.function == table.read_function() && entry.pdu_bytes == pdu_bytes
            })
        });
        let count = fresh.unwrap_or(1);
        let start = start.min(u16::MAX - count + 1);
        Some(Request::Read { table, start, count })
    }

    /// A unit answered a request of a length or function that no doubtful answer has.
    pub(super) fn settle(&mut self, unit: u8) {
        self.entries.retain(|entry| entry.unit != unit);
    }

    /// A unit refused a request of `function`: that may itself be late, but not earlier than the oldest of its kind.
    pub(super) fn settle_refused(&mut self, unit: u8, function: u8) {
        let oldest = self.entries.iter().position(|entry| entry.unit == unit && entry.function == function);
        let mut index = 0;
        self.entries.retain(|entry| {
            let settled = entry.unit == unit && oldest.is_none_or(|oldest| index <= oldest);
            index += 1;
            !settled
        });
    }
}

/// A place that can be read beside what `request` touches.
fn place(request: &Request<'_>) -> (Table, u16, u16) {
    match *request {
        Request::Read { table, start, count } => (table, start, count),
        Request::WriteCoil { address, .. } => (Table::Coils, address, 1),
        Request::WriteCoils { start, count, .. } => (Table::Coils, start, count),
        Request::WriteRegister { address, .. } | Request::MaskWriteRegister { address, .. } => {
            (Table::HoldingRegisters, address, 1)
        }
        Request::WriteRegisters { start, .. } => (Table::HoldingRegisters, start, 1),
        Request::ReadWriteRegisters { read_start, read_count, .. } => (Table::HoldingRegisters, read_start, read_count),
        Request::ReadFileRecords(_) | Request::WriteFileRecords(_) | Request::ReadDeviceIdentification { .. } => {
            (Table::HoldingRegisters, 0, 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: Table, count: u16) -> Request<'static> {
        Request::Read { table, start: 100, count }
    }

    fn doubts(requests: &[Request<'_>], now: Instant) -> Doubts {
        let mut doubts = Doubts::default();
        requests.iter().for_each(|request| doubts.add(Doubt::about(1, request, now)));
        doubts
    }

    #[tokio::test]
    async fn a_marker_has_a_length_that_no_doubtful_answer_has() {
        let now = Instant::now();
        let cases = [
            (Table::HoldingRegisters, vec![10], 10, 9),
            (Table::HoldingRegisters, vec![10, 9], 10, 8),
            (Table::HoldingRegisters, vec![1], 1, 2),
            (Table::HoldingRegisters, vec![2, 1], 2, 3),
            (Table::Coils, vec![3], 3, 11),
            (Table::Coils, vec![20], 20, 12),
        ];
        for (table, doubtful, asked, marker) in cases {
            let timed_out: Vec<_> = doubtful.iter().map(|count| read(table, *count)).collect();
            let found = doubts(&timed_out, now).marker(1, &read(table, asked), now);
            assert_eq!(found, Some(read(table, marker)), "{doubtful:?}");
        }
    }

    #[tokio::test]
    async fn other_units_and_functions_need_no_marker_and_doubts_expire() {
        let now = Instant::now();
        let mut doubts = doubts(&[read(Table::HoldingRegisters, 4)], now);
        assert_eq!(doubts.marker(2, &read(Table::HoldingRegisters, 4), now), None);
        assert_eq!(doubts.marker(1, &read(Table::InputRegisters, 4), now), None);
        assert_eq!(doubts.marker(1, &read(Table::HoldingRegisters, 4), now + LATE_MAX), None);
    }

    #[tokio::test]
    async fn a_refusal_settles_the_oldest_of_its_kind_only() {
        let now = Instant::now();
        let mut doubts = doubts(&[read(Table::HoldingRegisters, 4), read(Table::HoldingRegisters, 3)], now);
        doubts.settle_refused(1, 3);
        assert_eq!(doubts.marker(1, &read(Table::HoldingRegisters, 4), now), Some(read(Table::HoldingRegisters, 2)));
        doubts.settle_refused(1, 3);
        assert!(doubts.is_empty());
    }
}
