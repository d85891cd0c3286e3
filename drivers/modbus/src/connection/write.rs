//! Writes: the function that fits the tag, and the value read back.

use driver_core::{DataType, Layout, LinkError, TagId, Value, WriteError, WriteOutcome};
use tokio::time::Instant;

use super::ModbusConnection;
use crate::address::{Area, file_record};
use crate::decode::payload;
use crate::device::ModbusDevice;
use crate::plan::{Read, Tag};
use crate::session::{BROADCAST, TransactError};
use crate::wire::request::{WRITE_COILS_MAX, WRITE_REGISTERS_MAX};
use crate::wire::{Exception, FileRecord, Framing, Request, Table};

/// Why a write did not come to its end.
enum Failure {
    /// The device refused.
    Refused(Exception),
    /// It was not sent, or not answered; the connection is good.
    Write(WriteError),
    /// The connection is over.
    Link(LinkError),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Failure {
        Failure::Write(error)
    }
}

impl ModbusConnection {
    pub(super) async fn write_tag(
        &mut self,
        device: &ModbusDevice,
        id: TagId,
        value: &Value,
    ) -> Result<WriteOutcome, LinkError> {
        let Some((index, tag)) = device.tag(id) else {
            return Ok(WriteOutcome::Failed(WriteError::Refused("this device has no such tag".into())));
        };
        match self.write_value(tag, value).await {
            Ok(()) => {}
            Err(Failure::Refused(exception)) => {
                return Ok(WriteOutcome::Failed(WriteError::Refused(exception.to_string())));
            }
            Err(Failure::Write(error)) => return Ok(WriteOutcome::Failed(error)),
            Err(Failure::Link(over)) => return Err(over),
        }
        if self.is_broadcast(tag) {
            return Ok(WriteOutcome::Written(Value::None));
        }
        let units_max = device.zones.get(tag.zone()).map_or(1, |zone| zone.knowledge.units_max());
        self.read_back(index, tag, units_max).await.map(WriteOutcome::Written)
    }

    async fn write_value(&mut self, tag: &Tag, value: &Value) -> Result<(), Failure> {
        let Area::Table(table) = tag.address.area else { return self.write_file(tag, value).await };
        if !tag.address.area.is_writable() {
            let message =
                format!("{} can only be read; Modbus writes holding registers (hr) and coils (co)", tag.address);
            return Err(WriteError::ReadOnly(message).into());
        }
        let bytes = tag.field().encode(value)?;
        let start = tag.address.start as u16;
        match (table, tag.field().layout, tag.address.data_type) {
            (Table::Coils, ..) => self.write_coils(tag, start, &bytes).await,
            (_, Layout::Registers, DataType::Bool) => self.write_bits(tag, start, &bytes).await,
            _ => self.write_registers(tag.unit, start, &bytes).await,
        }
    }

    async fn write_coils(&mut self, tag: &Tag, start: u16, bits: &[u8]) -> Result<(), Failure> {
        let count = u16::try_from(tag.address.units()).unwrap_or(u16::MAX);
        if count == 1 {
            let on = bits.first().is_some_and(|byte| byte & 1 == 1);
            return self.send(tag.unit, &Request::WriteCoil { address: start, on }).await;
        }
        // A multiple of eight: parts begin at whole bytes.
        let step = usize::from(WRITE_COILS_MAX / 8);
        for (index, part) in bits.chunks(step).enumerate() {
            let from = (index * step * 8) as u16;
            let count = (count - from).min(WRITE_COILS_MAX);
            self.send(tag.unit, &Request::WriteCoils { start: start + from, count, bits: part }).await?;
        }
        Ok(())
    }

    async fn write_registers(&mut self, unit: u8, start: u16, bytes: &[u8]) -> Result<(), Failure> {
        if let [high, low] = *bytes {
            let one = Request::WriteRegister { address: start, value: u16::from_be_bytes([high, low]) };
            match self.send(unit, &one).await {
                Err(Failure::Refused(Exception::IllegalFunction)) => {}
                result => return result,
            }
        }
        let step = usize::from(WRITE_REGISTERS_MAX);
        for (index, part) in bytes.chunks(2 * step).enumerate() {
            let start = start + (index * step) as u16;
            self.send(unit, &Request::WriteRegisters { start, registers: part }).await?;
        }
        Ok(())
    }

    /// Bits within registers, the other bits of which stay: by function 22, which the device does in one step, or where it
    /// does not know that function by reading, changing and writing.
    async fn write_bits(&mut self, tag: &Tag, start: u16, bytes: &[u8]) -> Result<(), Failure> {
        let mask = tag.field().mask();
        let words = |bytes: &[u8]| -> Vec<u16> {
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
        };
        for (index, (mask, bits)) in words(&mask).into_iter().zip(words(bytes)).enumerate() {
            let address = start + index as u16;
            let masked = Request::MaskWriteRegister { address, and_mask: !mask, or_mask: bits };
            match self.send(tag.unit, &masked).await {
                Err(Failure::Refused(Exception::IllegalFunction)) => {
                    let old = self.read_register(tag.unit, address).await?;
                    self.write_registers(tag.unit, address, &(old & !mask | bits).to_be_bytes()).await?;
                }
                result => result?,
            }
        }
        Ok(())
    }

    async fn write_file(&mut self, tag: &Tag, value: &Value) -> Result<(), Failure> {
        let bytes = tag.field().encode(value)?;
        if tag.address.data_type == DataType::Bool {
            return Err(WriteError::ReadOnly("single bits of extended registers cannot be written".into()).into());
        }
        let (file, record) = file_record(tag.address.start);
        let records = [FileRecord { file, record, registers: &bytes }];
        self.send(tag.unit, &Request::WriteFileRecords(&records)).await
    }

    async fn read_register(&mut self, unit: u8, address: u16) -> Result<u16, Failure> {
        let request = Request::Read { table: Table::HoldingRegisters, start: address, count: 1 };
        let deadline = Instant::now() + self.answer_time(usize::from(u8::MAX));
        let bytes = match self.session.transact(unit, &request, deadline).await {
            Ok(response) => payload(&response).first_chunk().copied(),
            Err(error) => return Err(self.failure(error)),
        };
        bytes.map(u16::from_be_bytes).ok_or_else(|| WriteError::Unknown.into())
    }

    async fn send(&mut self, unit: u8, request: &Request<'_>) -> Result<(), Failure> {
        let deadline = Instant::now() + self.answer_time(2 * usize::from(u8::MAX));
        match self.session.transact(unit, request, deadline).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, error: TransactError) -> Failure {
        match error {
            TransactError::Exception(exception) => Failure::Refused(exception),
            TransactError::Invalid(invalid) => WriteError::Refused(invalid.to_string()).into(),
            TransactError::Timeout { .. } => WriteError::Unknown.into(),
            TransactError::Link(over) => Failure::Link(self.over(over)),
        }
    }

    /// What the device holds now, read in as many parts as that takes; none where it cannot be found out.
    async fn read_back(&mut self, index: usize, tag: &Tag, units_max: u32) -> Result<Value, LinkError> {
        let (units, step) = (tag.address.units(), part_units(tag, units_max));
        let mut bytes = Vec::with_capacity(tag.field().bytes());
        for from in (0..units).step_by(step as usize) {
            let read = Read::part(index, tag, from, step.min(units - from));
            let deadline = Instant::now() + self.answer_time(2 * usize::from(u8::MAX));
            match self.session.transact(tag.unit, &read.request(), deadline).await {
                Ok(response) => bytes.extend_from_slice(payload(&response)),
                Err(TransactError::Link(over)) => return Err(self.over(over)),
                Err(_) => return Ok(Value::None),
            }
        }
        Ok(tag.field().decoder(0).decode(&bytes).unwrap_or(Value::None))
    }

    fn is_broadcast(&self, tag: &Tag) -> bool {
        tag.unit == BROADCAST && self.session.config().framing != Framing::Mbap
    }
}

/// Registers or bits of one part: as many as a request may carry, no element torn, bits in whole bytes.
fn part_units(tag: &Tag, units_max: u32) -> u32 {
    let grain = if tag.address.area.is_bits() { 8 } else { u32::try_from(tag.field().grain()).unwrap_or(1) };
    (units_max / grain * grain).max(grain.min(units_max)).max(1)
}
