//! Walking from frame to frame through a file, over damage if need be.

use std::io;

use bytes::{Bytes, BytesMut};

use super::frame::{ENVELOPE_BYTES, Envelope, FRAME_BYTES_MAX, MAGIC, Parsed, find_magic, parse, parse_envelope};
use crate::disk::DiskFile;

/// The most that is read from a file at once, so that memory stays flat however large the backlog is.
pub(super) const WINDOW_BYTES_MAX: usize = 256 * 1024;

/// A frame that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Bytes passed over since the frame before.
    pub(super) skipped: u64,
    pub(super) offset: u64,
    pub(super) envelope: Envelope,
    pub(super) payload: Bytes,
}

impl Found {
    /// Where the frame ends.
    pub(super) fn end(&self) -> u64 {
        self.offset + (ENVELOPE_BYTES + self.payload.len()) as u64
    }
}

/// A place in a file, and the bytes read around it.
pub(super) struct Walker<'a> {
    file: &'a dyn DiskFile,
    salt: u32,
    at: u64,
    end: u64,
    window_bytes: usize,
    window: Bytes,
    window_at: u64,
}

impl<'a> Walker<'a> {
    /// Starts at the frame at `at`; no frame goes beyond `end`. Reads about `window_bytes` at a time.
    pub(super) fn new(file: &'a dyn DiskFile, salt: u32, at: u64, end: u64, window_bytes: usize) -> Self {
        let window_bytes = window_bytes.clamp(FRAME_BYTES_MAX, WINDOW_BYTES_MAX);
        Self { file, salt, at, end, window_bytes, window: Bytes::new(), window_at: at }
    }

    /// The place behind the last frame that was found.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Whether the next frame is in memory whole, so that finding it costs no reading.
    pub(super) fn has_next_in_memory(&self) -> bool {
        let skip = usize::try_from(self.at - self.window_at).unwrap_or(usize::MAX);
        let head = self.window.get(skip..).and_then(<[u8]>::first_chunk);
        head.and_then(parse_envelope).is_some_and(|(_, bytes)| skip + ENVELOPE_BYTES + bytes <= self.window.len())
    }

    /// The next frame whose checksum holds and which `fits`; `None` if there is none up to the end.
    pub(super) fn next(&mut self, fits: impl Fn(&Envelope) -> bool) -> io::Result<Option<Found>> {
        let start = self.at;
        let mut candidate = start;
        loop {
            if let Some((envelope, payload)) = self.frame_at(candidate)?.filter(|(envelope, _)| fits(envelope)) {
                let found = Found { skipped: candidate - start, offset: candidate, envelope, payload };
                self.at = found.end();
                return Ok(Some(found));
            }
            match self.magic_from(candidate + 1)? {
                Some(next) => candidate = next,
                None => return Ok(None),
            }
        }
    }

    /// The envelope here, checksum or not, if all of its frame lies before the end.
    pub(super) fn unchecked(&mut self) -> io::Result<Option<Envelope>> {
        let head = self.bytes(self.at, ENVELOPE_BYTES)?;
        let parsed = head.first_chunk().and_then(parse_envelope);
        let whole = |payload_bytes: usize| self.at + (ENVELOPE_BYTES + payload_bytes) as u64 <= self.end;
        Ok(parsed.filter(|(_, payload_bytes)| whole(*payload_bytes)).map(|(envelope, _)| envelope))
    }

    fn frame_at(&mut self, offset: u64) -> io::Result<Option<(Envelope, Bytes)>> {
        let mut needed = ENVELOPE_BYTES;
        loop {
            let bytes = self.bytes(offset, needed)?;
            match parse(&bytes, self.salt) {
                Parsed::Frame(envelope, frame_bytes) => {
                    return Ok(Some((envelope, bytes.slice(ENVELOPE_BYTES..frame_bytes))));
                }
                Parsed::Short(more) if more > bytes.len() && bytes.len() >= needed => needed = more,
                Parsed::Short(_) | Parsed::Bad => return Ok(None),
            }
        }
    }

    /// The place of the next magic at or behind `from`.
    fn magic_from(&mut self, mut from: u64) -> io::Result<Option<u64>> {
        loop {
            let bytes = self.bytes(from, MAGIC.len())?;
            if bytes.len() < MAGIC.len() {
                return Ok(None);
            }
            match find_magic(&bytes) {
                Some(place) => return Ok(Some(from + place as u64)),
                None => from += (bytes.len() - (MAGIC.len() - 1)) as u64,
            }
        }
    }

    /// What is in memory from `offset` on, at least `needed` bytes unless the file ends.
    fn bytes(&mut self, offset: u64, needed: usize) -> io::Result<Bytes> {
        let in_window = |walker: &Self| {
            let skip = usize::try_from(offset.checked_sub(walker.window_at)?).ok()?;
            (skip <= walker.window.len()).then(|| walker.window.slice(skip..))
        };
        match in_window(self) {
            Some(bytes) if bytes.len() >= needed => Ok(bytes),
            _ => {
                self.load(offset)?;
                Ok(self.window.clone())
            }
        }
    }

    fn load(&mut self, offset: u64) -> io::Result<()> {
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut window = BytesMut::zeroed(left.min(self.window_bytes));
        let got = self.file.read_at(offset, &mut window)?;
        if got < window.len() {
            window.truncate(got);
            self.end = offset + got as u64;
        }
        self.window = window.freeze();
        self.window_at = offset;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::{Meta, Seq};

    struct Memory(Vec<u8>);

    impl DiskFile for Memory {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }
        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
            let from = self.0.get(offset as usize..).unwrap_or_default();
            let n = from.len().min(into.len());
            into[..n].copy_from_slice(&from[..n]);
            Ok(n)
        }
        fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn allocate(&self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Frames of one record with seqs from 1, and where each begins.
    fn frames(payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for (i, payload) in payloads.iter().enumerate() {
            offsets.push(bytes.len());
            let meta = Meta { count: 1, t_min_ns: 0, t_max_ns: 0, codec: 0, flags: 0, schema: 0 };
            let envelope = Envelope { class: 1, meta, seq: i as u64 + 1, epoch: 1 };
            bytes.extend_from_slice(&envelope.encode(payload, 5));
            bytes.extend_from_slice(payload);
        }
        (bytes, offsets)
    }

    fn seqs(bytes: Vec<u8>) -> Vec<Seq> {
        let end = bytes.len() as u64;
        let file = Memory(bytes);
        let mut walker = Walker::new(&file, 5, 0, end, 0);
        std::iter::from_fn(|| walker.next(Envelope::is_block).expect("memory does not fail"))
            .map(|found| found.envelope.seq)
            .collect()
    }

    #[test]
    fn reads_frames_across_the_edges_of_its_window() {
        let payloads: Vec<Vec<u8>> = (0..40).map(|i| vec![i as u8; 17_000 + 997 * i]).collect();
        assert_eq!(seqs(frames(&payloads).0), (1..=40).collect::<Vec<_>>());
    }

    #[test]
    fn a_payload_full_of_magic_does_not_lead_astray() {
        let evil = MAGIC.repeat(10_000);
        let (mut bytes, _) = frames(&[evil.clone(), evil, vec![1]]);
        bytes[10] ^= 1;
        assert_eq!(seqs(bytes), [2, 3]);
    }

    proptest! {
        #[test]
        fn a_damaged_stretch_costs_only_the_frames_it_touches(
            sizes in proptest::collection::vec(0usize..200, 1..20), at in 0usize..4000, len in 1usize..300, fill in any::<u8>(),
        ) {
            let (mut bytes, offsets) = frames(&sizes.iter().map(|n| vec![0xaa; *n]).collect::<Vec<_>>());
            let at = at % bytes.len();
            let hit = at..(at + len).min(bytes.len());
            for byte in &mut bytes[hit.clone()] {
                *byte = byte.wrapping_add(fill | 1);
            }
            let ends = offsets.iter().skip(1).copied().chain([bytes.len()]);
            let whole = offsets.iter().zip(ends).enumerate();
            let expected: Vec<Seq> =
                whole.filter(|(_, (start, end))| *end <= hit.start || **start >= hit.end).map(|(i, _)| i as u64 + 1).collect();
            prop_assert_eq!(seqs(bytes), expected);
        }

        #[test]
        fn a_cut_tail_costs_only_the_last_frames(sizes in proptest::collection::vec(0usize..200, 1..20), keep in any::<usize>()) {
            let (mut bytes, offsets) = frames(&sizes.iter().map(|n| vec![0xaa; *n]).collect::<Vec<_>>());
            let total = bytes.len();
            let keep = keep % total;
            bytes.truncate(keep);
            let ends = offsets.iter().skip(1).copied().chain([total]);
            prop_assert_eq!(seqs(bytes).len(), ends.filter(|end| *end <= keep).count());
        }

        #[test]
        fn garbage_holds_no_frames(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(seqs(bytes), Vec::<Seq>::new());
        }
    }
}
