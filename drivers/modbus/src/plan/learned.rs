//! What was learned, as text to be kept on disk. Lines that are not understood are passed over; a text that belongs to
//! another list of tags is as good as none.
//!
//! ```text
//! modbus 1 9f86d081884c7d65        version, fingerprint of the tags
//! refused 17 2                     tag by its index, exception code
//! apart 1 hr 120                   unit, area, offset that no request may reach across
//! length 1 hr 63 94                unit, area, longest accepted, shortest refused
//! ```

use driver_core::fingerprint;
use tokio::time::Instant;

use super::{Tag, Zone};
use crate::wire::Exception;

/// Most characters of a text that is looked at.
const TEXT_MAX: usize = 1 << 20;

/// Version and fingerprint.
fn head(tags: &[Tag]) -> String {
    format!("modbus 1 {:016x}", fingerprint(tags.iter().map(|tag| format!("{}!{}", tag.unit, tag.address))))
}

/// What the zones know, as text.
pub(crate) fn save(tags: &[Tag], zones: &[Zone]) -> String {
    let mut text = head(tags) + "\n";
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
    if text.len() > TEXT_MAX || lines.next() != Some(head(tags).as_str()) {
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
            let zone = tags.get(tag)?.zone();
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
