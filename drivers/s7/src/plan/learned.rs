//! What was learned, as text to be kept on disk. Lines that are not understood are passed over; a text that belongs to
//! another list of tags is as good as none.
//!
//! ```text
//! s7 1 9f86d081884c7d65            version, fingerprint of the tags
//! refused 17 5                     tag by its index, return code
//! absent DB7 10                    zone, return code
//! apart PI 120                     zone, byte that no item may reach across
//! ```

use driver_core::fingerprint;
use tokio::time::Instant;

use super::{Tag, Zone};
use crate::wire::ReturnCode;

/// Most characters of a text that is looked at.
const TEXT_MAX: usize = 1 << 20;

/// Version and fingerprint.
fn head(tags: &[Tag]) -> String {
    format!("s7 1 {:016x}", fingerprint(tags.iter().map(|tag| tag.address)))
}

/// What the zones know, as text.
pub(crate) fn save(tags: &[Tag], zones: &[Zone]) -> String {
    let mut text = head(tags) + "\n";
    for zone in zones {
        let (area, known) = (zone.area, &zone.knowledge);
        let refused = known.refusals().map(|(tag, code)| format!("refused {tag} {}\n", code.0));
        let absent = known.absent().map(|code| format!("absent {area} {}\n", code.0));
        let apart = known.seams().map(|seam| format!("apart {area} {seam}\n"));
        text.extend(refused.chain(absent).chain(apart));
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
            let tag: usize = tag.parse().ok()?;
            zones.get_mut(tags.get(tag)?.zone)?.knowledge.restore_refusal(tag, return_code(code)?, now);
        }
        ["absent", area, code] => zone(zones, area)?.knowledge.restore_absent(return_code(code)?, now),
        ["apart", area, seam] => zone(zones, area)?.knowledge.part(seam.parse().ok()?, now),
        _ => return None,
    }
    Some(())
}

fn return_code(text: &str) -> Option<ReturnCode> {
    text.parse().ok().map(ReturnCode)
}

fn zone<'z>(zones: &'z mut [Zone], area: &str) -> Option<&'z mut Zone> {
    zones.iter_mut().find(|zone| zone.area.to_string() == area)
}
