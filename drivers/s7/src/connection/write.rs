//! Writes: what changes and nothing beside it, then the value read back.

use driver_core::{LinkError, TagId, Value, WriteError, WriteOutcome};

use super::{Jobs, S7Connection};
use crate::device::S7Device;
use crate::form::{Part, TextHead, too_long};
use crate::plan::{Block, Tag, part_bytes, requests_of};
use crate::wire::write::{ONE_ITEM, Write};
use crate::wire::{ITEMS_MAX, Item, Kind, Malformed, Message, Outgoing, ReadAnswer, ReturnCode, read};

/// Why a write did not come to its end.
enum Failure {
    /// It was refused, not sent, or not answered; the connection is good.
    Write(WriteError),
    /// The connection is over.
    Link(LinkError),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Failure {
        Failure::Write(error)
    }
}

impl S7Connection {
    pub(super) async fn write_tag(
        &mut self,
        device: &S7Device,
        id: TagId,
        value: &Value,
    ) -> Result<WriteOutcome, LinkError> {
        let Some((index, tag)) = device.tag(id) else {
            return Ok(WriteOutcome::Failed(WriteError::Refused("this device has no such tag".into())));
        };
        match self.write_value(tag, value).await {
            Ok(()) => {}
            Err(Failure::Write(error)) => return Ok(WriteOutcome::Failed(error)),
            Err(Failure::Link(over)) => return Err(over),
        }
        if !tag.address.is_readable() {
            return Ok(WriteOutcome::Written(Value::None));
        }
        self.read_back(device, index, tag).await.map(WriteOutcome::Written)
    }

    async fn write_value(&mut self, tag: &Tag, value: &Value) -> Result<(), Failure> {
        if !tag.address.is_writable() {
            let message = format!("{} is an input; the outputs themselves are PQ, such as PQW256", tag.address);
            return Err(WriteError::ReadOnly(message).into());
        }
        let parts = tag.form.encode(value)?;
        self.check_texts(tag, &parts).await?;
        let writes = writes(tag, &parts, usize::from(self.session.agreed().pdu));
        let last = writes.len();
        for (done, write) in writes.iter().enumerate() {
            self.send(write).await.map_err(|failure| match failure {
                Failure::Write(WriteError::Refused(cause)) if done > 0 => {
                    WriteError::Refused(format!("{cause}; {done} of {last} parts of the value were written before"))
                        .into()
                }
                other => other,
            })?;
        }
        Ok(())
    }

    /// Asks the PLC how many characters its texts take: what is longer would run over what lies behind them.
    async fn check_texts(&mut self, tag: &Tag, parts: &[Part]) -> Result<(), Failure> {
        let texts: Vec<(u32, TextHead, usize)> = parts
            .iter()
            .filter_map(
                |part| if let Part::Text { at, head, len, .. } = part { Some((*at, *head, *len)) } else { None },
            )
            .collect();
        for some in texts.chunks(ITEMS_MAX.min(usize::from(self.session.agreed().pdu) / 16).max(1)) {
            let item = |(at, head, _): &(u32, TextHead, usize)| Item {
                area: tag.address.area,
                start: tag.address.start + at,
                len: head.bytes(),
            };
            let longest = self.read_numbers(some.iter().map(item).collect()).await?;
            for ((_, _, len), longest) in some.iter().zip(longest) {
                if *len > longest {
                    let data_type = tag.address.data_type.to_string();
                    return Err(WriteError::Value { data_type, cause: too_long(*len, longest) + " in the PLC" }.into());
                }
            }
        }
        Ok(())
    }

    /// Short big-endian numbers.
    async fn read_numbers(&mut self, items: Vec<Item>) -> Result<Vec<usize>, Failure> {
        let parameter = read::parameter(items.iter().copied());
        let lens = items.iter().map(|item| item.len);
        self.transact(Outgoing::job(&parameter), |message| {
            let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
            let answer = ReadAnswer::decode(message, lens)?;
            Ok(answer.map(|item| item.map(number)).collect())
        })
        .await
    }

    async fn send(&mut self, write: &Write) -> Result<(), Failure> {
        let outgoing = Outgoing { kind: Kind::Job, parameter: &write.parameter, data: &write.data };
        self.transact(outgoing, |message| Ok(write.decode(message)?.collect())).await
    }

    /// Sends one job; `decode` finds in its answer what was asked for, or the first refusal.
    async fn transact<V>(
        &mut self,
        outgoing: Outgoing<'_>,
        decode: impl FnOnce(&Message<'_>) -> Result<Result<V, ReturnCode>, Malformed>,
    ) -> Result<V, Failure> {
        let mut decode = Some(decode);
        let mut outcome = Err(WriteError::Unknown);
        let ran = self.session.run([outgoing], 1, self.timeout, |_, result| {
            let (Ok(message), Some(decode)) = (result, decode.take()) else { return };
            outcome = match (message.error, decode) {
                (Some(error), _) => Err(WriteError::Refused(error.to_string())),
                (None, decode) => match decode(&message) {
                    Ok(Ok(value)) => Ok(value),
                    Ok(Err(code)) => Err(WriteError::Refused(code.to_string())),
                    Err(_) => Err(WriteError::Unknown),
                },
            };
        });
        match ran.await {
            Ok(()) => outcome.map_err(Failure::Write),
            Err(over) => Err(Failure::Link(self.over(over))),
        }
    }

    /// What the PLC holds now, read in as many parts as that takes; none where it cannot be found out.
    async fn read_back(&mut self, device: &S7Device, index: usize, tag: &Tag) -> Result<Value, LinkError> {
        let bytes = tag.address.bytes();
        let step = part_bytes(tag, device.limits().block_max());
        let blocks = (0..bytes).step_by(step as usize).map(|at| Block::part(index, tag, at, step.min(bytes - at)));
        let requests = requests_of(blocks.collect(), &device.limits());
        let mut value = vec![0; bytes as usize];
        let mut missing = value.len();
        let ran = self.session.run(Jobs::all(&requests), device.depth, self.timeout, |request, result| {
            let request = &requests[request];
            let Ok(message) = result else { return };
            let Ok(answer) = ReadAnswer::decode(&message, request.lens()) else { return };
            for (block, item) in request.blocks.iter().zip(answer) {
                let from = (block.item.start - tag.address.start) as usize;
                if let Ok(bytes) = item
                    && let Some(target) = value.get_mut(from..from + bytes.len())
                {
                    target.copy_from_slice(bytes);
                    missing -= bytes.len();
                }
            }
        });
        ran.await.map_err(|over| self.silence.over(over, self.timeout))?;
        let read = if missing == 0 { tag.form.decoder(0).decode(&value) } else { None };
        Ok(read.unwrap_or(Value::None))
    }
}

/// The jobs that write these parts: as many of them in each as it may carry, in their order.
fn writes(tag: &Tag, parts: &[Part], pdu: usize) -> Vec<Write> {
    let (area, start) = (tag.address.area, tag.address.start);
    let carries = pdu.saturating_sub(ONE_ITEM).max(1);
    let step = part_bytes(tag, u32::try_from(carries).unwrap_or(u32::MAX)) as usize;
    let mut writes = vec![Write::default()];
    let room = |writes: &mut Vec<Write>, len: usize| -> usize {
        let is_full = writes
            .last()
            .is_some_and(|last| last.items() >= ITEMS_MAX || last.items() > 0 && last.bytes_with(len) > pdu);
        if is_full {
            writes.push(Write::default());
        }
        writes.len() - 1
    };
    let mut put = |at: u32, bytes: &[u8], step: usize| {
        for (index, bytes) in bytes.chunks(step).enumerate() {
            let write = room(&mut writes, bytes.len());
            writes[write].put(area, start + at + (index * step) as u32, bytes);
        }
    };
    for part in parts {
        match part {
            Part::Bytes { at, bytes } => put(*at, bytes, step),
            Part::Text { at, head, bytes, .. } => put(at + u32::from(head.bytes()), bytes, carries),
            Part::Bit { .. } => {}
        }
    }
    for part in parts {
        if let Part::Bit { at, bit, on } = part {
            let write = room(&mut writes, 1);
            writes[write].put_bit(area, start + at, *bit, *on);
        }
    }
    writes
}
