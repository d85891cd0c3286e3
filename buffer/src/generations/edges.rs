//! The first and last bytes of a generation's segment, in a small file beside the database, so that a start need not open
//! sled to learn what it holds.
//!
//! ```text
//!   0  8  "FBSLEDGE"   8  8  bytes of the segment   16  8  values   24  4  CRC-32C of all values in their order
//!  28  64  head of the segment   92  64  its trailer   156  4  CRC-32C of bytes 0..156
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::log::{HEADER_BYTES, TRAILER_BYTES};

const FILE_NAME: &str = "edges";
const MAGIC: [u8; 8] = *b"FBSLEDGE";
const BYTES: usize = 160;
const HEAD_AT: usize = 28;
const TRAILER_AT: usize = HEAD_AT + HEADER_BYTES;
const CRC_AT: usize = TRAILER_AT + TRAILER_BYTES;

/// What is known of a generation without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    /// Bytes of the segment.
    pub(super) bytes: u64,
    /// Values in the database, and the checksum over them.
    pub(super) values: u64,
    pub(super) crc: u32,
    pub(super) head: [u8; HEADER_BYTES],
    pub(super) trailer: [u8; TRAILER_BYTES],
}

impl Edges {
    fn encode(&self) -> [u8; BYTES] {
        let mut to = [0; BYTES];
        to[0..8].copy_from_slice(&MAGIC);
        to[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        to[16..24].copy_from_slice(&self.values.to_le_bytes());
        to[24..HEAD_AT].copy_from_slice(&self.crc.to_le_bytes());
        to[HEAD_AT..TRAILER_AT].copy_from_slice(&self.head);
        to[TRAILER_AT..CRC_AT].copy_from_slice(&self.trailer);
        let crc = crc32c::crc32c(&to[..CRC_AT]);
        to[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        to
    }

    fn decode(from: &[u8]) -> Option<Self> {
        let from: &[u8; BYTES] = from.try_into().ok()?;
        let (_, crc) = from.split_last_chunk()?;
        if from[0..8] != MAGIC || u32::from_le_bytes(*crc) != crc32c::crc32c(&from[..CRC_AT]) {
            return None;
        }
        Some(Self {
            bytes: u64::from_le_bytes(from[8..16].try_into().ok()?),
            values: u64::from_le_bytes(from[16..24].try_into().ok()?),
            crc: u32::from_le_bytes(from[24..HEAD_AT].try_into().ok()?),
            head: from[HEAD_AT..TRAILER_AT].try_into().ok()?,
            trailer: from[TRAILER_AT..CRC_AT].try_into().ok()?,
        })
    }

    /// Of the generation in `folder`; `None` if they are missing or damaged.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(FILE_NAME)) {
            Ok(bytes) => Ok(Self::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes them, durably but for the name.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut file = fs::File::create(folder.join(FILE_NAME))?;
        file.write_all(&self.encode())?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn come_back_and_a_flipped_bit_is_noticed() {
        let edges = Edges { bytes: 9, values: 3, crc: 7, head: [1; HEADER_BYTES], trailer: [2; TRAILER_BYTES] };
        let bytes = edges.encode();
        assert_eq!(Edges::decode(&bytes), Some(edges));
        for at in 0..BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 4;
            assert_eq!(Edges::decode(&damaged), None, "at {at}");
        }
        assert_eq!(Edges::decode(&bytes[1..]), None);
    }
}
