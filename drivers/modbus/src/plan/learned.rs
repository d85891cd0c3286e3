//! What was learned, as text to be kept on disk. Lines that are not understood are passed over; a text that belongs to
//! another list of tags is as good as none.
//!
//! ```text
//! modbus 1 9f86d081884c7d65        version, fingerprint of the tags
//! refused 17 2                     tag by its index, exception code
//! apart 1 hr 120                   unit, area, offset that no request may reach across
//! length 1 hr 63 94                unit, area, longest accepted, shortest refused
//! ```

use std::fmt::Write as _;

use tokio::time::Instant;

use super::{Tag, Zone};
use crate::wire::Exception;

/// Most characters of a text that is looked at.
const TEXT_MAX: usize = 1 << 20;

/// A number that changes with the list of tags (FNV-1a over units and addresses).
pub(crate) fn fingerprint(tags: &[Tag]) -> u64 {
    let mut text = String::new();
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for tag in tags {
        text.clear();
        write!(text, "{}!{};", tag.unit, tag.address).expect("a string takes all that is written to it");
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    hash
}

/// What the zones know, as text.
pub(crate) fn save(tags: &[Tag], zones: &[Zone]) -> String {
    let mut text = format!("modbus 1 {:016x}\n", fingerprint(tags));
    for zone in zones {
        let (unit, area) = (zone.unit, zone.area.name());
        let known = &zone.knowledge;
        let refused = known.refusals().map(|(tag, code)| format!("refused {tag} {code}\n"));
        let apart = known.seams().map(|seam| format!("apart {unit} {area} {seam}\n"));
        let length =
            known.lengths().map(|(accepted, too_long)| format!("length {unit} {area} {accepted} {too_long}\n"));
        text.extend(refused.chain(apart).chain(length));
    }
    text
}

/// Gives the zones what an earlier life learned; whether the text was of use.
pub(crate) fn restore(text: &str, tags: &[Tag], zones: &mut [Zone], now: Instant) -> bool {
    let mut lines = text.lines();
    let head = format!("modbus 1 {:016x}", fingerprint(tags));
    if text.len() > TEXT_MAX || lines.next() != Some(head.as_str()) {
        return false;
    }
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        restore_line(&words, tags, zones, now);
    }
    true
}

/// `None` where the line is not understood.
fn restore_line(words: &[&str], tags: &[Tag], zones: &mut [Zone], now: Instant) -> Option<()> {
    match words {
        ["refused", tag, code] => {
            let (tag, code): (usize, u8) = (tag.parse().ok()?, code.parse().ok()?);
            let zone = tags.get(tag)?.zone;
            zones.get_mut(zone)?.knowledge.refuse(tag, Exception::from_code(code), now);
        }
        ["apart", unit, area, seam] => zone(zones, unit, area)?.knowledge.part(seam.parse().ok()?, now),
        ["length", unit, area, accepted, too_long] => {
            zone(zones, unit, area)?.knowledge.restore_lengths(accepted.parse().ok()?, too_long.parse().ok()?);
        }
        _ => return None,
    }
    Some(())
}

fn zone<'z>(zones: &'z mut [Zone], unit: &str, area: &str) -> Option<&'z mut Zone> {
    let unit: u8 = unit.parse().ok()?;
    zones.iter_mut().find(|zone| zone.unit == unit && zone.area.name() == area)
}
