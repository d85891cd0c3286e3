//! Totals and alarms on disk, so that a restart goes on where the last run was: one small text file beside the log.
//!
//! ```text
//! forebay-derived 1
//! total<TAB>press<TAB>energy<TAB>1234.5<TAB>99          the sum, and the counter's last value or -
//! alarm<TAB>press<TAB>load.alarm<TAB>high<TAB>-         its word, and until when it is shelved or -
//! <crc32c of all above, 8 hexadecimal digits>
//! ```
//!
//! A file that is damaged is as good as none, and that is told.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use driver_core::{TagId, Timestamp};

use super::alarm::{Alarm, KeptAlarm};
use super::total::KeptTotal;
use crate::pipeline::schema::Schema;

const HEAD: &str = "forebay-derived 1\n";

/// The largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is kept of one tag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kept {
    /// Of a total.
    Total(KeptTotal),
    /// Of an alarm.
    Alarm(KeptAlarm),
}

/// What was kept by an earlier run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptState(pub Kept);

/// A device and one of its tags.
pub type Names = (Box<str>, Box<str>);

/// The file in a buffer's folder.
pub fn file_in(buffer: &Path) -> PathBuf {
    buffer.join("derived.state")
}

/// The text of what is kept, by the names in `schema`.
pub fn text(kept: &[(TagId, Kept)], schema: &Schema) -> String {
    let mut text = String::from(HEAD);
    for (tag, kept) in kept {
        let Some(names) = schema.tag(*tag) else { continue };
        let (device, tag) = (names.device, names.tag);
        let written = match kept {
            Kept::Total(KeptTotal { sum, last: Some(last) }) => {
                writeln!(text, "total\t{device}\t{tag}\t{sum:?}\t{last:?}")
            }
            Kept::Total(KeptTotal { sum, last: None }) => writeln!(text, "total\t{device}\t{tag}\t{sum:?}\t-"),
            Kept::Alarm(KeptAlarm { word, shelved_until: Some(until) }) => {
                writeln!(text, "alarm\t{device}\t{tag}\t{word}\t{}", until.0)
            }
            Kept::Alarm(KeptAlarm { word, shelved_until: None }) => writeln!(text, "alarm\t{device}\t{tag}\t{word}\t-"),
        };
        written.expect("a String takes everything");
    }
    let sum = crc32c::crc32c(text.as_bytes());
    writeln!(text, "{sum:08x}").expect("a String takes everything");
    text
}

/// Writes it, whole or not at all.
pub fn save(path: &Path, text: &str) -> io::Result<()> {
    let half = path.with_extension("half");
    let mut file = File::create(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)
}

/// What an earlier run kept, by device and tag.
///
/// # Errors
/// The file is there and cannot be used; why.
pub fn load(path: &Path) -> Result<HashMap<Names, KeptState>, String> {
    match fs::metadata(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(cause) => return Err(cause.to_string()),
        Ok(found) if found.len() > FILE_BYTES_MAX => return Err("it is too large".into()),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|cause| cause.to_string())?;
    let damaged = || "it is damaged".to_owned();
    let (body, sum) = text.trim_end_matches('\n').rsplit_once('\n').ok_or_else(damaged)?;
    let body = &text[..body.len() + 1];
    let is_whole = u32::from_str_radix(sum, 16).is_ok_and(|sum| sum == crc32c::crc32c(body.as_bytes()));
    let lines = body.strip_prefix(HEAD).filter(|_| is_whole).ok_or_else(damaged)?;
    Ok(lines.lines().filter_map(entry).collect())
}

fn entry(line: &str) -> Option<(Names, KeptState)> {
    let mut parts = line.split('\t');
    let (kind, device, tag, first, second) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let kept = match kind {
        "total" => Kept::Total(KeptTotal { sum: first.parse().ok()?, last: second.parse().ok() }),
        "alarm" => {
            let shelved_until = second.parse().ok().map(Timestamp);
            Kept::Alarm(KeptAlarm { word: Alarm::word(first)?, shelved_until })
        }
        _ => return None,
    };
    Some(((device.into(), tag.into()), KeptState(kept)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::schema::SchemaBuilder;

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_does_not() {
        let mut schema = SchemaBuilder::default();
        schema.device("press");
        ["a", "b", "c"].iter().for_each(|tag| schema.tag(tag, ""));
        let kept = [
            (TagId(0), Kept::Total(KeptTotal { sum: 0.1 + 0.2, last: Some(1e300) })),
            (TagId(1), Kept::Total(KeptTotal { sum: 12.0, last: None })),
            (TagId(2), Kept::Alarm(KeptAlarm { word: "high acknowledged", shelved_until: Some(Timestamp(7)) })),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let path = file_in(folder.path());
        assert_eq!(load(&path), Ok(HashMap::new()));
        let text = text(&kept, &schema.build());
        save(&path, &text).expect("saves");
        let loaded = load(&path).expect("loads");
        for ((_, kept), tag) in kept.iter().zip(["a", "b", "c"]) {
            assert_eq!(loaded.get(&("press".into(), tag.into())), Some(&KeptState(*kept)), "{tag}");
        }
        for cut in [0, 5, text.len() / 2, text.len() - 3] {
            fs::write(&path, &text[..cut]).expect("writes");
            assert!(load(&path).is_err(), "{cut}");
        }
    }
}
