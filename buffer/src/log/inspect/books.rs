//! The small files beside the segments: identity and ledger.

use std::path::{Path, PathBuf};

use super::super::ballast;
use super::super::frame::{ENVELOPE_BYTES, LEDGER_CLASS, MAGIC, parse_envelope};
use super::super::identity;
use super::super::ledger;
use super::super::segment::{HEADER_BYTES, Header};
use super::super::walk::{Found, WINDOW_BYTES_MAX, Walker};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::overview::{Damage, DamagedPart};

/// Bytes of the files beside the segments.
pub(super) fn bytes(disk: &dyn Disk, dir: &Path) -> Result<u64> {
    let generations = ledger::find(disk, dir)?.generations;
    let paths = generations.iter().map(|number| ledger::path(dir, *number)).chain([dir.join(identity::FILE_NAME)]);
    bytes_of(disk, paths)
}

/// What is held in reserve.
pub(super) fn ballast_bytes(disk: &dyn Disk, dir: &Path) -> Result<u64> {
    bytes_of(disk, [dir.join(ballast::FILE_NAME)].into_iter())
}

/// The lengths of those of these files that are there.
fn bytes_of(disk: &dyn Disk, paths: impl Iterator<Item = PathBuf>) -> Result<u64> {
    let mut sum = 0;
    for path in paths {
        match disk.open(&path).and_then(|file| file.len()) {
            Ok(bytes) => sum += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::environment("read", &path, error)),
        }
    }
    Ok(sum)
}

/// What is damaged in the identity; one that is missing is damaged too.
pub(super) fn identity(disk: &dyn Disk, dir: &Path) -> Result<Vec<Damage>> {
    let damage = |(offset, bytes)| Damage {
        path: dir.join(identity::FILE_NAME),
        offset,
        bytes,
        records: 0,
        part: DamagedPart::Identity,
    };
    let damages: Vec<Damage> = identity::damaged(disk, dir)?.into_iter().map(damage).collect();
    if damages.is_empty() && identity::read(disk, dir)?.is_none() {
        return Ok(vec![damage((0, 0))]);
    }
    Ok(damages)
}

/// What is damaged in the ledger's files.
pub(super) fn ledgers(disk: &dyn Disk, dir: &Path, salt: u32) -> Result<Vec<Damage>> {
    let mut damages = Vec::new();
    for number in ledger::find(disk, dir)?.generations {
        let path = ledger::path(dir, number);
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::environment("open", &path, error)),
        };
        let stretches = ledger(&*file, salt).map_err(|error| Error::environment("read", &path, error))?;
        let damage =
            |(offset, bytes)| Damage { path: path.clone(), offset, bytes, records: 0, part: DamagedPart::Ledger };
        damages.extend(stretches.into_iter().map(damage));
    }
    Ok(damages)
}

/// The damaged stretches of one generation. A record at the end that is cut short is a write that was interrupted, or is
/// under way.
fn ledger(file: &dyn DiskFile, salt: u32) -> std::io::Result<Vec<(u64, u64)>> {
    let (mut head, mut stretches) = ([0; HEADER_BYTES], Vec::new());
    let end = file.len()?;
    let got = file.read_at(0, &mut head)?;
    let header = Header::decode(&head[..got]);
    if header.is_none() && got == HEADER_BYTES {
        stretches.push((0, HEADER_BYTES as u64));
    }
    let salt = header.map_or(salt, |header| header.salt);
    let mut walker = Walker::new(file, salt, HEADER_BYTES as u64, end, WINDOW_BYTES_MAX);
    while let Some(Found { skipped, offset, .. }) = walker.next(|envelope| envelope.class == LEDGER_CLASS)? {
        if skipped > 0 {
            stretches.push((offset - skipped, skipped));
        }
    }
    let at = walker.at();
    let mut tail = [0; ENVELOPE_BYTES];
    let got = file.read_at(at, &mut tail)?.min(usize::try_from(end.saturating_sub(at)).unwrap_or(ENVELOPE_BYTES));
    if got > 0 && !is_begun(&tail[..got], end - at) {
        stretches.push((at, end - at));
    }
    Ok(stretches)
}

/// Whether these bytes, the first of `tail_bytes` at the end of a file, can be a frame of which the rest is not there, or
/// nothing at all: what a file holds that grew before its content came.
pub(super) fn is_begun(bytes: &[u8], tail_bytes: u64) -> bool {
    let is_cut = match bytes.first_chunk() {
        Some(head) => parse_envelope(head).is_some_and(|(_, payload)| (ENVELOPE_BYTES + payload) as u64 > tail_bytes),
        None => MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]),
    };
    is_cut || bytes.iter().all(|byte| *byte == 0)
}
