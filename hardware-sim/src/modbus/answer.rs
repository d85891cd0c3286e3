//! What a plant answers to a request. Pure but for the plant's own memory.

use std::time::Duration;

use tokio_modbus::prelude::{ConformityLevel, DeviceIdObject, ReadCode, ReadDeviceIdentificationResponse};
use tokio_modbus::{ExceptionCode, Request, Response};

use super::plant::State;
use super::unit::Unit;
use super::{Plant, Seen, Table};

/// The unit that addresses all units of a serial line.
const BROADCAST: u8 = 0;

/// The most bytes of identification objects in one answer.
const IDENTIFICATION_MAX: usize = 240;

/// The most bytes of one identification object.
const OBJECT_MAX: usize = 200;

/// What carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// Units that do not exist answer exception 0B, as a gateway to them would.
    Tcp,
    /// Units that do not exist are silent, and unit 0 is all of them.
    Line,
}

/// How long the unit thinks before it answers.
pub(super) fn latency(plant: &Plant, unit: u8, request: &Request<'_>) -> Duration {
    let (_, count) = extent(request);
    plant.with(|state| {
        let config = state.units.get(&unit).map(|unit| &unit.config);
        config.map_or(Duration::ZERO, |config| config.latency + config.latency_per_register * u32::from(count))
    })
}

/// The answer, or none.
pub(super) fn answer(
    plant: &Plant,
    medium: Medium,
    unit: u8,
    request: &Request<'_>,
) -> Result<Option<Response>, ExceptionCode> {
    plant.with(|state| {
        let (offset, count) = extent(request);
        state.saw(Seen { unit, function: request.function_code().value(), offset, count });
        if medium == Medium::Line && unit == BROADCAST {
            state.broadcast(request);
            return Ok(None);
        }
        let answered = state.ask(unit, request);
        match (medium, answered) {
            (Medium::Line, None) => {
                state.counts.unanswered += 1;
                Ok(None)
            }
            (Medium::Tcp, None) => {
                state.counts.exceptions += 1;
                Err(ExceptionCode::GatewayTargetDevice)
            }
            (_, Some(Ok(response))) => Ok(Some(response)),
            (_, Some(Err(exception))) => {
                state.counts.exceptions += 1;
                Err(exception)
            }
        }
    })
}

impl State {
    /// Every unit takes it and none answers, nor says what it refuses.
    fn broadcast(&mut self, request: &Request<'_>) {
        self.counts.unanswered += 1;
        let units: Vec<u8> = self.units.keys().copied().collect();
        for unit in units {
            if self.ask(unit, request).is_some_and(|answer| answer.is_err()) {
                self.counts.exceptions += 1;
            }
        }
    }

    /// None if there is no such unit.
    fn ask(&mut self, unit: u8, request: &Request<'_>) -> Option<Result<Response, ExceptionCode>> {
        let now = self.now();
        let unit = self.units.get_mut(&unit)?;
        let function = request.function_code().value();
        if unit.config.functions_refused.contains(&function) {
            return Some(Err(ExceptionCode::IllegalFunction));
        }
        let answered = unit.ask(request, now);
        if answered.is_ok() {
            let (_, count) = extent(request);
            match function {
                1..=4 | 23 => self.counts.read += u64::from(count),
                5 | 6 | 15 | 16 | 22 => self.counts.written += u64::from(count),
                _ => {}
            }
        }
        Some(answered)
    }
}

impl Unit {
    fn ask(&mut self, request: &Request<'_>, now: Duration) -> Result<Response, ExceptionCode> {
        Ok(match request {
            Request::ReadCoils(at, count) => Response::ReadCoils(self.read_bits(Table::Coils, *at, *count, now)?),
            Request::ReadDiscreteInputs(at, count) => {
                Response::ReadDiscreteInputs(self.read_bits(Table::DiscreteInputs, *at, *count, now)?)
            }
            Request::ReadHoldingRegisters(at, count) => {
                Response::ReadHoldingRegisters(self.read_words(Table::HoldingRegisters, *at, *count, now)?)
            }
            Request::ReadInputRegisters(at, count) => {
                Response::ReadInputRegisters(self.read_words(Table::InputRegisters, *at, *count, now)?)
            }
            Request::WriteSingleCoil(at, bit) => {
                self.write_bits(*at, &[*bit])?;
                Response::WriteSingleCoil(*at, *bit)
            }
            Request::WriteMultipleCoils(at, bits) => {
                self.write_bits(*at, bits)?;
                Response::WriteMultipleCoils(*at, bits.len() as u16)
            }
            Request::WriteSingleRegister(at, word) => {
                self.write_words(*at, &[*word])?;
                Response::WriteSingleRegister(*at, *word)
            }
            Request::WriteMultipleRegisters(at, words) => {
                self.write_words(*at, words)?;
                Response::WriteMultipleRegisters(*at, words.len() as u16)
            }
            Request::MaskWriteRegister(at, and, or) => {
                self.check(Table::HoldingRegisters, *at, 1, 1)?;
                let word = self.cells(Table::HoldingRegisters).get(*at);
                self.write_words(*at, &[(word & and) | (or & !and)])?;
                Response::MaskWriteRegister(*at, *and, *or)
            }
            Request::ReadWriteMultipleRegisters(read_at, count, write_at, words) => {
                let table = Table::HoldingRegisters;
                self.check(table, *read_at, usize::from(*count), self.config.read_registers_max)?;
                self.write_words(*write_at, words)?;
                Response::ReadWriteMultipleRegisters(self.read_words(table, *read_at, *count, now)?)
            }
            Request::ReadDeviceIdentification(code, object) => {
                Response::ReadDeviceIdentification(self.identify(*code, *object)?)
            }
            Request::ReportServerId | Request::Custom(..) => return Err(ExceptionCode::IllegalFunction),
        })
    }

    fn read_words(&mut self, table: Table, at: u16, count: u16, now: Duration) -> Result<Vec<u16>, ExceptionCode> {
        self.check(table, at, usize::from(count), self.config.read_registers_max)?;
        Ok(self.refreshed(table, at, count, now))
    }

    fn read_bits(&mut self, table: Table, at: u16, count: u16, now: Duration) -> Result<Vec<bool>, ExceptionCode> {
        self.check(table, at, usize::from(count), self.config.bits_max)?;
        Ok(self.refreshed(table, at, count, now).iter().map(|word| *word != 0).collect())
    }

    fn refreshed(&mut self, table: Table, at: u16, count: u16, now: Duration) -> Vec<u16> {
        let mut points = std::mem::take(&mut self.points);
        points.refresh(table, at, count, now, |offset, words| self.cells_mut(table).write(offset, words));
        self.points = points;
        self.cells(table).read(at, count)
    }

    fn write_words(&mut self, at: u16, words: &[u16]) -> Result<(), ExceptionCode> {
        self.check(Table::HoldingRegisters, at, words.len(), self.config.write_registers_max)?;
        self.points.overwritten(Table::HoldingRegisters, at, words.len() as u16);
        self.cells_mut(Table::HoldingRegisters).write(at, words);
        Ok(())
    }

    fn write_bits(&mut self, at: u16, bits: &[bool]) -> Result<(), ExceptionCode> {
        self.check(Table::Coils, at, bits.len(), self.config.bits_max)?;
        self.points.overwritten(Table::Coils, at, bits.len() as u16);
        let words: Vec<u16> = bits.iter().map(|bit| u16::from(*bit)).collect();
        self.cells_mut(Table::Coils).write(at, &words);
        Ok(())
    }

    /// Function 43/14 (Application Protocol V1.1b3, 6.21).
    fn identify(&self, read_code: ReadCode, object: u8) -> Result<ReadDeviceIdentificationResponse, ExceptionCode> {
        let objects = &self.config.identification;
        let last_id = match read_code {
            ReadCode::Basic => 0x02,
            ReadCode::Regular => 0x7F,
            ReadCode::Extended | ReadCode::Specific => 0xFF,
        };
        if objects.is_empty() {
            return Err(ExceptionCode::IllegalFunction);
        }
        let known = objects.iter().any(|(id, _)| *id == object);
        let wanted = |id: u8| match read_code {
            ReadCode::Specific => id == object,
            // An unknown first object restarts at the beginning.
            _ => id <= last_id && (!known || id >= object),
        };
        if read_code == ReadCode::Specific && !known {
            return Err(ExceptionCode::IllegalDataAddress);
        }
        let mut wanted = objects.iter().filter(|(id, _)| wanted(*id)).peekable();
        let mut device_id_objects = Vec::new();
        let mut room = IDENTIFICATION_MAX;
        while let Some((id, text)) = wanted.next_if(|(_, text)| text.len().min(OBJECT_MAX) + 2 <= room) {
            let value = text.as_bytes().iter().copied().take(OBJECT_MAX).collect::<Vec<u8>>();
            room -= value.len() + 2;
            device_id_objects.push(DeviceIdObject { id: *id, value: value.into() });
        }
        Ok(ReadDeviceIdentificationResponse {
            read_code,
            conformity_level: ConformityLevel::ExtendedIdentification,
            more_follows: wanted.peek().is_some(),
            next_object_id: wanted.peek().map_or(0, |(id, _)| *id),
            device_id_objects,
        })
    }
}

/// The first cell and the number of cells; of function 23 what is read.
fn extent(request: &Request<'_>) -> (u16, u16) {
    match request {
        Request::ReadCoils(at, count)
        | Request::ReadDiscreteInputs(at, count)
        | Request::ReadInputRegisters(at, count)
        | Request::ReadHoldingRegisters(at, count)
        | Request::ReadWriteMultipleRegisters(at, count, _, _) => (*at, *count),
        Request::WriteSingleCoil(at, _)
        | Request::WriteSingleRegister(at, _)
        | Request::MaskWriteRegister(at, _, _) => (*at, 1),
        Request::WriteMultipleCoils(at, bits) => (*at, bits.len() as u16),
        Request::WriteMultipleRegisters(at, words) => (*at, words.len() as u16),
        Request::ReportServerId | Request::ReadDeviceIdentification(..) | Request::Custom(..) => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::modbus::{UnitConfig, words_u32};
    use crate::signal::Signal;

    fn ask(plant: &Plant, unit: u8, request: Request<'_>) -> Result<Option<Response>, ExceptionCode> {
        answer(plant, Medium::Tcp, unit, &request)
    }

    #[test]
    fn reads_back_what_clients_write() {
        let plant = Plant::new();
        plant.configure(1, UnitConfig::default());
        for request in [
            Request::WriteSingleRegister(5, 0x1234),
            Request::WriteMultipleRegisters(6, Cow::Borrowed(&[7, 8])),
            Request::MaskWriteRegister(5, 0x00FF, 0x5500),
            Request::WriteSingleCoil(3, true),
            Request::WriteMultipleCoils(4, Cow::Borrowed(&[false, true])),
        ] {
            assert!(matches!(ask(&plant, 1, request), Ok(Some(_))));
        }
        assert_eq!(plant.read(1, Table::HoldingRegisters, 5, 3), [0x5534, 7, 8]);
        assert_eq!(plant.read(1, Table::Coils, 3, 3), [1, 0, 1]);
        let both = Request::ReadWriteMultipleRegisters(5, 2, 6, Cow::Borrowed(&[99]));
        assert_eq!(ask(&plant, 1, both), Ok(Some(Response::ReadWriteMultipleRegisters(vec![0x5534, 99]))));
        assert_eq!(plant.counts().written, 7);
    }

    #[test]
    fn units_that_do_not_exist_answer_on_tcp_and_are_silent_on_a_line() {
        let plant = Plant::new();
        let request = Request::ReadCoils(0, 1);
        assert_eq!(answer(&plant, Medium::Tcp, 9, &request), Err(ExceptionCode::GatewayTargetDevice));
        assert_eq!(answer(&plant, Medium::Line, 9, &request), Ok(None));
    }

    #[test]
    fn a_broadcast_reaches_every_unit_and_is_not_answered() {
        let plant = Plant::new();
        plant.write_holding(1, 0, &[1]);
        plant.write_holding(2, 0, &[2]);
        assert_eq!(answer(&plant, Medium::Line, 0, &Request::WriteSingleRegister(0, 9)), Ok(None));
        assert_eq!([1, 2].map(|unit| plant.read(unit, Table::HoldingRegisters, 0, 1)), [[9], [9]]);
    }

    #[test]
    fn refused_functions_ranges_and_lengths_get_their_exceptions() {
        let plant = Plant::new();
        let config = UnitConfig { functions_refused: [3].into(), read_registers_max: 10, ..UnitConfig::default() };
        plant.configure(1, config);
        plant.refuse(1, Table::InputRegisters, 5..=5, ExceptionCode::ServerDeviceBusy);
        assert_eq!(ask(&plant, 1, Request::ReadHoldingRegisters(0, 1)), Err(ExceptionCode::IllegalFunction));
        assert_eq!(ask(&plant, 1, Request::ReadInputRegisters(0, 11)), Err(ExceptionCode::IllegalDataValue));
        assert_eq!(ask(&plant, 1, Request::ReadInputRegisters(0, 6)), Err(ExceptionCode::ServerDeviceBusy));
        assert_eq!(ask(&plant, 1, Request::Custom(0x41, Cow::Borrowed(&[]))), Err(ExceptionCode::IllegalFunction));
        assert_eq!(plant.counts().exceptions, 4);
    }

    #[test]
    fn points_change_when_they_are_read_and_stop_when_they_are_written() {
        let plant = Plant::new();
        let oracle = plant.oracle(1, Table::HoldingRegisters, 2, 2, words_u32);
        plant.drive(1, Table::HoldingRegisters, 0, 1, Signal::Constant(42.0), |value, words| words.fill(value as u16));
        let read = || ask(&plant, 1, Request::ReadHoldingRegisters(0, 4));
        assert_eq!(read(), Ok(Some(Response::ReadHoldingRegisters(vec![42, 0, 0, 1]))));
        assert_eq!(read(), Ok(Some(Response::ReadHoldingRegisters(vec![42, 0, 0, 2]))));
        assert_eq!(oracle.last(), 2);
        assert!(matches!(ask(&plant, 1, Request::WriteSingleRegister(0, 7)), Ok(Some(_))));
        assert_eq!(read(), Ok(Some(Response::ReadHoldingRegisters(vec![7, 0, 0, 3]))));
    }

    #[test]
    fn identification_comes_in_parts_when_it_is_long() {
        let plant = Plant::new();
        let identification = vec![(0, "a".repeat(150)), (1, "b".repeat(300)), (0x80, "c".to_owned())];
        plant.configure(1, UnitConfig { identification, ..UnitConfig::default() });
        let part = |code, object| match ask(&plant, 1, Request::ReadDeviceIdentification(code, object)) {
            Ok(Some(Response::ReadDeviceIdentification(part))) => {
                let ids: Vec<u8> = part.device_id_objects.iter().map(|object| object.id).collect();
                (ids, part.more_follows, part.next_object_id)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(part(ReadCode::Basic, 0), (vec![0], true, 1));
        assert_eq!(part(ReadCode::Basic, 1), (vec![1], false, 0));
        assert_eq!(part(ReadCode::Extended, 1), (vec![1, 0x80], false, 0));
        assert_eq!(part(ReadCode::Specific, 0x80), (vec![0x80], false, 0));
        let missing = ask(&plant, 1, Request::ReadDeviceIdentification(ReadCode::Specific, 9));
        assert_eq!(missing, Err(ExceptionCode::IllegalDataAddress));
    }
}
