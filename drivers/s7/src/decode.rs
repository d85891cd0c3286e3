//! The bytes of an answer to readings.

use driver_core::{Readings, Reason};

use crate::plan::{Assembly, Block, Found, Tag};

/// Why the tags of an item have no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// The item's return code, or the message's class and error, or 0.
    pub(crate) status: u32,
}

/// Decodes an item's bytes straight from the receive buffer: one good reading for each tag that it serves whole, bad ones
/// for those whose bytes are no value of their type.
pub(crate) fn block(block: &Block, bytes: &[u8], assemblies: &mut [Assembly], readings: &mut Readings<'_>) {
    for slot in &block.slots {
        match slot.found {
            Found::Whole(decoder) => match decoder.decode(bytes) {
                Some(value) => readings.good(slot.id, value),
                None => readings.bad(slot.id, Reason::NotDecodable, 0),
            },
            Found::Part { assembly, from, to } => {
                let (from, to, len) = (from as usize, to as usize, slot.len as usize);
                let Some(assembly) = assemblies.get_mut(assembly) else { continue };
                if let (Some(target), Some(source)) =
                    (assembly.bytes.get_mut(to..to + len), bytes.get(from..from + len))
                {
                    target.copy_from_slice(source);
                    assembly.missing = assembly.missing.saturating_sub(slot.len);
                }
            }
        }
    }
}

/// Bad readings for the tags that an item serves whole; what it serves in part is missing at the end.
pub(crate) fn fault(block: &Block, fault: Fault, assemblies: &mut [Assembly], readings: &mut Readings<'_>) {
    for slot in &block.slots {
        match slot.found {
            Found::Whole(_) => readings.bad(slot.id, fault.reason, fault.status),
            Found::Part { assembly, .. } => {
                if let Some(assembly) = assemblies.get_mut(assembly) {
                    assembly.fault.get_or_insert(fault);
                }
            }
        }
    }
}

/// The tags that were put together: good where every part has arrived.
pub(crate) fn assembled(assemblies: &[Assembly], tags: &[Tag], missing: Fault, readings: &mut Readings<'_>) {
    for assembly in assemblies {
        let id = tags[assembly.tag].id;
        if assembly.missing > 0 {
            let fault = assembly.fault.unwrap_or(missing);
            readings.bad(id, fault.reason, fault.status);
            continue;
        }
        match assembly.decoder.decode(&assembly.bytes) {
            Some(value) => readings.good(id, value),
            None => readings.bad(id, Reason::NotDecodable, 0),
        }
    }
}
