//! Who writes here: the gateway's number and the epoch, in a file of two slots that are written in turn, in place.
//!
//! ```text
//! slot 0 at 0, slot 1 at 512; a torn write leaves the other slot whole, and a full disk prevents no start
//!   0  8  "FBLOGIDY"   8  1  version   12  4  salt   16  16  gateway   32  4  epoch   36  4  CRC-32C of bytes 0..36
//! ```

use std::io;
use std::path::Path;

use super::frame::field;
use crate::block::Identity;
use crate::disk::Disk;
use crate::error::{Error, Result};

/// The file's name.
pub(super) const FILE_NAME: &str = "identity";

const SLOT_BYTES: usize = 40;
const SLOT_DISTANCE: u64 = 512;
const MAGIC: [u8; 8] = *b"FBLOGIDY";
const VERSION: u8 = 1;

/// The identity, and the number that checksums begin with, so that no foreign bytes pass for a frame of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) identity: Identity,
    pub(super) salt: u32,
}

impl Slot {
    fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut to = [0; SLOT_BYTES];
        to[0..8].copy_from_slice(&MAGIC);
        to[8] = VERSION;
        to[12..16].copy_from_slice(&self.salt.to_le_bytes());
        to[16..32].copy_from_slice(&self.identity.gateway.to_le_bytes());
        to[32..36].copy_from_slice(&self.identity.epoch.to_le_bytes());
        let crc = crc32c::crc32c(&to[..36]);
        to[36..].copy_from_slice(&crc.to_le_bytes());
        to
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let from: &[u8; SLOT_BYTES] = bytes.first_chunk()?;
        if from[0..8] != MAGIC || from[8] != VERSION || crc32c::crc32c(&from[..36]).to_le_bytes() != from[36..] {
            return None;
        }
        let gateway = u128::from_le_bytes(field(from, 16));
        let epoch = u32::from_le_bytes(field(from, 32));
        Some(Self { identity: Identity { gateway, epoch }, salt: u32::from_le_bytes(field(from, 12)) })
    }
}

/// The newest slot of the file; `None` if there is no file, or no whole slot in it.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Slot>> {
    let slots = slots(disk, dir)?.map(|bytes| Slot::decode(&bytes));
    Ok(slots.into_iter().flatten().max_by_key(|slot| slot.identity.epoch))
}

/// Where in the file slots lie that hold something, but not what was written.
pub(super) fn damaged(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, u64)>> {
    let slots = [0, SLOT_DISTANCE].into_iter().zip(slots(disk, dir)?);
    let is_damaged = |bytes: &[u8]| Slot::decode(bytes).is_none() && bytes.iter().any(|byte| *byte != 0);
    Ok(slots.filter(|(_, bytes)| is_damaged(bytes)).map(|(at, bytes)| (at, bytes.len() as u64)).collect())
}

/// The bytes of both slots, as far as they are there.
fn slots(disk: &dyn Disk, dir: &Path) -> Result<[Vec<u8>; 2]> {
    let path = dir.join(FILE_NAME);
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok([Vec::new(), Vec::new()]),
        Err(error) => return Err(Error::environment("open", &path, error)),
    };
    let mut bytes = [0; SLOT_DISTANCE as usize + SLOT_BYTES];
    let got = file.read_at(0, &mut bytes).map_err(|error| Error::environment("read", &path, error))?;
    let slot = |at: usize| bytes[..got].get(at..got.min(at + SLOT_BYTES)).unwrap_or_default().to_vec();
    Ok([slot(0), slot(SLOT_DISTANCE as usize)])
}

/// Writes `slot` beside the one of the epoch before, and waits until it is durable.
pub(super) fn write(disk: &dyn Disk, dir: &Path, slot: &Slot) -> Result<()> {
    let path = dir.join(FILE_NAME);
    let file = match disk.open_for_write(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.create(&path).map_err(|error| Error::environment("create", &path, error))?
        }
        Err(error) => return Err(Error::environment("open", &path, error)),
    };
    let offset = u64::from(slot.identity.epoch % 2) * SLOT_DISTANCE;
    file.write_at(offset, &slot.encode()).map_err(|error| Error::environment("write", &path, error))?;
    file.sync().map_err(|error| Error::environment("sync", &path, error))?;
    disk.sync_dir(dir).map_err(|error| Error::environment("sync", dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FaultDisk;

    #[test]
    fn a_torn_write_leaves_the_epoch_before() {
        let (disk, dir) = (FaultDisk::new(1), Path::new("/log"));
        disk.create_dir(dir).expect("a directory");
        let slot = |epoch| Slot { identity: Identity { gateway: 9, epoch }, salt: 4 };
        assert_eq!(read(&disk, dir).expect("a read"), None);
        for epoch in 1..=3 {
            write(&disk, dir, &slot(epoch)).expect("a write");
            assert_eq!(read(&disk, dir).expect("a read"), Some(slot(epoch)));
        }
        disk.flip_bit(&dir.join(FILE_NAME), SLOT_DISTANCE + 20, 3);
        assert_eq!(read(&disk, dir).expect("a read"), Some(slot(2)));
        disk.flip_bit(&dir.join(FILE_NAME), 20, 3);
        assert_eq!(read(&disk, dir).expect("a read"), None);
    }
}
