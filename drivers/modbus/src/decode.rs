//! The bytes of an answer to readings.

use driver_core::{Readings, Reason};

use crate::plan::{Assembly, Found, Read, Tag};
use crate::wire::Response;

/// Why the tags of a request have no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// The exception's code, or 0.
    pub(crate) status: u32,
}

/// Decodes the answer to `read` straight from the receive buffer: one good reading for each tag that it serves whole,
/// bad ones for those whose bytes are no value of their type.
pub(crate) fn answer(read: &Read, response: &Response<'_>, assemblies: &mut [Assembly], readings: &mut Readings<'_>) {
    readings.answered();
    let bytes = payload(response);
    for slot in &read.slots {
        match slot.found {
            Found::Whole(decoder) => match decoder.decode(bytes) {
                Some(value) => readings.good(slot.id, value),
                None => readings.bad(slot.id, Reason::NotDecodable, 0),
            },
            Found::Part { assembly, from, to, len } => {
                if let Some(assembly) = assemblies.get_mut(assembly as usize) {
                    assembly.missing = assembly.missing.saturating_sub(len);
                    copy(bytes, from, &mut assembly.bytes, to, len, read.area.is_bits());
                }
            }
        }
    }
}

/// Bad readings for the tags that `read` serves whole; what it serves in part is missing at the end.
pub(crate) fn fault(read: &Read, fault: Fault, readings: &mut Readings<'_>) {
    for slot in &read.slots {
        if let Found::Whole(_) = slot.found {
            readings.bad(slot.id, fault.reason, fault.status);
        }
    }
}

/// The tags that were put together: good where every part has arrived.
pub(crate) fn assembled(assemblies: &[Assembly], tags: &[Tag], missing: Fault, readings: &mut Readings<'_>) {
    for assembly in assemblies {
        let id = tags[assembly.tag].id;
        match assembly.decoder.decode(&assembly.bytes) {
            _ if assembly.missing > 0 => readings.bad(id, missing.reason, missing.status),
            Some(value) => readings.good(id, value),
            None => readings.bad(id, Reason::NotDecodable, 0),
        }
    }
}

/// The registers or packed bits of an answer to a read; empty for any other.
pub(crate) fn payload<'b>(response: &Response<'b>) -> &'b [u8] {
    match response {
        Response::Registers(bytes) => bytes,
        Response::Bits(bits) => bits.bytes(),
        Response::Files(records) => records.iter().next().unwrap_or_default(),
        Response::Identification(_) | Response::Written => &[],
    }
}

/// Copies `len` registers or bits; those beyond either end are left out.
fn copy(source: &[u8], from: u32, target: &mut [u8], to: u32, len: u32, is_bits: bool) {
    let (from, to, len) = (from as usize, to as usize, len as usize);
    if !is_bits {
        let source = source.get(2 * from..2 * (from + len));
        if let (Some(source), Some(target)) = (source, target.get_mut(2 * to..2 * (to + len))) {
            target.copy_from_slice(source);
        }
        return;
    }
    for index in 0..len {
        let on = source.get((from + index) / 8).is_some_and(|byte| byte >> ((from + index) % 8) & 1 == 1);
        if let Some(byte) = target.get_mut((to + index) / 8) {
            let mask = 1 << ((to + index) % 8);
            *byte = if on { *byte | mask } else { *byte & !mask };
        }
    }
}
