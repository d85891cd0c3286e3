//! What a PLC says of itself: module, order number, firmware, state of the CPU.

use driver_core::{Fact, LinkError};

use super::S7Connection;
use crate::wire::szl::{LIST_MAX, NoList, Part, Question, records};

/// Order numbers and versions of module, hardware and firmware.
const MODULE: u16 = 0x0011;
const MODULE_RECORD: usize = 28;
const MODULE_ORDER_NUMBER: std::ops::Range<usize> = 2..22;
/// Names and serial numbers.
const COMPONENT: u16 = 0x001C;
const COMPONENT_RECORD: usize = 34;
/// The state of the CPU.
const STATE: u16 = 0x0424;
const STATE_RECORD: usize = 20;
const STATE_AT: usize = 3;

/// What the records of [`COMPONENT`] are, by their index.
const COMPONENTS: [(u16, &str); 7] = [
    (1, "station"),
    (2, "name"),
    (3, "plant"),
    (4, "copyright"),
    (5, "serial-number"),
    (7, "module"),
    (8, "memory-card"),
];

/// Parts of one list that are asked for; one that announces more goes in circles.
const PARTS_MAX: usize = 64;

impl S7Connection {
    /// Everything that the PLC tells; lists that it does not have are left out.
    pub(super) async fn facts(&mut self) -> Result<Vec<Fact>, LinkError> {
        let mut facts = Vec::new();
        if let Some(list) = self.list(COMPONENT).await? {
            facts.extend(components(&list));
        }
        if let Some(list) = self.list(MODULE).await? {
            facts.extend(modules(&list));
        }
        if let Some(list) = self.list(STATE).await? {
            facts.extend(records(&list, STATE_RECORD).next().and_then(state));
        }
        let agreed = self.session.agreed();
        facts.push(fact("pdu", format!("{} bytes", agreed.pdu)));
        facts.push(fact("jobs", agreed.jobs.to_string()));
        Ok(facts)
    }

    /// A whole list, put together from its parts; `None` where the PLC does not give it.
    async fn list(&mut self, list: u16) -> Result<Option<Vec<u8>>, LinkError> {
        let mut whole = Vec::new();
        let mut question = Question::first(list, 0);
        for _ in 0..PARTS_MAX {
            let mut next = None;
            let ran = self.session.run([question.outgoing()], 1, self.timeout, |_, result| {
                let Ok(message) = result else { return };
                match Part::decode(&message) {
                    Ok(part) => {
                        whole.extend_from_slice(part.bytes);
                        next = Some((part.sequence, part.more));
                    }
                    Err(NoList::Refused) => {}
                    Err(NoList::Malformed(malformed)) => tracing::debug!(%malformed, "no list"),
                }
            });
            ran.await.map_err(|over| self.silence.over(over, self.timeout))?;
            match next {
                Some((sequence, true)) if whole.len() < LIST_MAX => question = Question::next(sequence),
                Some((_, false)) => return Ok(Some(whole)),
                Some((_, true)) | None => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn components(list: &[u8]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (place, record) in records(list, COMPONENT_RECORD).enumerate() {
        let Some((index, name)) = record.split_first_chunk() else { continue };
        // Some servers leave the index at zero and keep to the order.
        let by_place = || COMPONENTS.get(place).map_or(0, |(index, _)| *index);
        let index = Some(u16::from_be_bytes(*index)).filter(|index| *index > 0).unwrap_or_else(by_place);
        let label = COMPONENTS.iter().find(|(known, _)| *known == index).map(|(_, label)| *label);
        if let (Some(label), Some(text)) = (label, text(name)) {
            facts.push(fact(label, text));
        }
    }
    facts
}

fn modules(list: &[u8]) -> Vec<Fact> {
    let all: Vec<&[u8]> = records(list, MODULE_RECORD).collect();
    let order_number = all.first().and_then(|record| record.get(MODULE_ORDER_NUMBER)).and_then(text);
    // The last record is the firmware's; its last three bytes are the version.
    let firmware = all.last().and_then(|record| record.last_chunk::<3>());
    let firmware = firmware.filter(|version| **version != [0; 3]);
    let order_number = order_number.map(|number| fact("order-number", number));
    let firmware = firmware.map(|[major, minor, patch]| fact("firmware", format!("V{major}.{minor}.{patch}")));
    order_number.into_iter().chain(firmware).collect()
}

fn state(record: &[u8]) -> Option<Fact> {
    let text = match *record.get(STATE_AT)? {
        0x08 => "RUN",
        0x03 | 0x04 => "STOP",
        0x05..=0x07 => "STARTUP",
        0x0A => "HOLD",
        0x0B..=0x0D => "RUN (redundant)",
        _ => return None,
    };
    Some(fact("cpu-state", text.into()))
}

/// The text of a record, without what fills it up.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn fact(label: &str, text: String) -> Fact {
    Fact { label: label.into(), text }
}
