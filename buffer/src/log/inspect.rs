//! Looking into a log without touching it: nothing is locked, nothing written, so that it works beside a running gateway,
//! on a copy and on a read-only medium.
//!
//! The gateway may write meanwhile. The ledger is therefore read before the segments and once more after them: what it
//! said before lies in the segments, and what vanished meanwhile stands in it afterwards.

mod books;
mod examine;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::gaps::cut;
use super::identity;
use super::ledger::{self, Book};
use super::recover::{self, Found};
use crate::block::{Class, Seq, SeqRange};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::gap::{Gap, GapReason};
use crate::options::Engine;
use crate::overview::{Damage, Overview, SegmentFile, Sight};
use crate::stats::Recovery;

/// How often the files are listed anew when a running gateway removed one of them while they were looked at.
const TRIES_MAX: u32 = 16;

/// A log as it lies on disk.
pub struct Inspector {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    overview: Overview,
    salt: u32,
    /// Losses below are nobody's any more.
    floor: Seq,
}

impl Inspector {
    /// Looks into the log in `dir`. Reads the segments that are not sealed from end to end, of the others the last bytes.
    ///
    /// # Errors
    /// Environment: there is no log (`NotFound`), or the disk refuses. Damage is none.
    pub fn open(dir: &Path) -> Result<Self> {
        // A folder that is not there is met when it is looked into.
        Self::open_on(super::disk_of(dir, Engine::Log)?, dir)
    }

    /// As [`Inspector::open`], on another file system than the machine's.
    ///
    /// # Errors
    /// As [`Inspector::open`].
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let mut tries = 1;
        loop {
            match look(&disk, dir) {
                Err(error) if error.is_not_found() && tries < TRIES_MAX => tries += 1,
                result => return result,
            }
        }
    }

    /// What was seen.
    pub fn overview(&self) -> &Overview {
        &self.overview
    }

    /// Walks through a file and shows each block whose checksum holds and each damaged stretch, until `visit` breaks.
    /// Holds at most 256 KiB of the file. Blocks come in the order of their seqs; after a failed sync two files may hold
    /// the same ones. A file that a running gateway has removed meanwhile shows nothing.
    ///
    /// # Errors
    /// Environment: the disk refuses.
    pub fn walk(&self, segment: &SegmentFile, visit: &mut dyn FnMut(Sight) -> ControlFlow<()>) -> Result<()> {
        self.examine(segment, visit)
    }

    /// What is damaged in the identity and in the ledger.
    ///
    /// # Errors
    /// Environment: the disk refuses.
    pub fn damaged_books(&self) -> Result<Vec<Damage>> {
        let mut damages = books::identity(&*self.disk, &self.dir)?;
        damages.extend(books::ledgers(&*self.disk, &self.dir, self.salt)?);
        Ok(damages)
    }

    /// What is missing although no file is damaged where it was: whole files are gone, or the end of the log is. The rest
    /// of [`Overview::missing`] is met as damage on the walks.
    pub fn vanished(&self) -> Vec<Gap> {
        let open = self.overview.segments.iter().filter(|segment| !segment.is_sealed);
        let known: Vec<SeqRange> =
            open.filter_map(|segment| Some(SeqRange { first: segment.first, last: segment.next? - 1 })).collect();
        let missing = self.overview.missing.iter();
        let left =
            missing.flat_map(|gap| uncovered(gap.seqs, known.iter().copied()).into_iter().map(|seqs| cut(gap, seqs)));
        left.collect()
    }

    /// The oldest time of the record at `seq`, or of the next one that is there; nanoseconds since 1970 UTC.
    ///
    /// # Errors
    /// Environment: the disk refuses.
    pub fn time_of(&self, seq: Seq) -> Result<Option<i64>> {
        let gap = self.overview.gaps.iter().find(|gap| gap.seqs.contains(seq));
        if let Some((t_min_ns, _)) = gap.and_then(|gap| gap.time_ns) {
            return Ok(Some(t_min_ns));
        }
        let mut found = None;
        for segment in self.overview.segments.iter().filter(|segment| segment.seqs.is_some_and(|s| s.last >= seq)) {
            self.walk(segment, &mut |sight| match sight {
                Sight::Block(block, _) if block.seqs.last >= seq => {
                    found = Some(block.meta.t_min_ns);
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            })?;
            if found.is_some() {
                break;
            }
        }
        Ok(found)
    }
}

fn look(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Inspector> {
    let ledgers = ledger::find(&**disk, dir)?;
    let known = identity::read(&**disk, dir)?;
    // Without identity and ledger only the segments know the salt; then there is no ledger to be read before them.
    let salt = recover::slot_of(known, ledgers.headers.iter()).map_or(0, |slot| slot.salt);
    let before = ledger::load(&**disk, dir, &ledgers, salt)?;
    let mut recovery = Recovery::default();
    let headers = match recover::find_all_segments(&**disk, dir, &mut recovery) {
        Err(error) if error.is_not_found() && known.is_some() => Vec::new(),
        found => found?.0,
    };
    let heads = ledgers.headers.iter().chain(headers.iter().flat_map(|found| &found.header));
    let Some(slot) = recover::slot_of(known, heads) else {
        return Err(Error::environment("find a log in", dir, io::Error::from(io::ErrorKind::NotFound)));
    };
    let found = recover::look_into(&**disk, headers, slot.salt, &mut recovery)?;
    let after = ledger::load(&**disk, dir, &ledger::find(&**disk, dir)?, slot.salt)?;
    let disk_bytes = found.iter().map(|found| found.segment.file_bytes).sum::<u64>() + books::bytes(&**disk, dir)?;
    let overview = Overview {
        identity: slot.identity,
        first_seq: 0,
        next_seq: recover::next_seq(&before, &found),
        disk_bytes,
        ballast_bytes: books::ballast_bytes(&**disk, dir)?,
        missing: missing(&before, &after, &found),
        segments: segment_files(found),
        uplinks: before.cursors.into_iter().collect(),
        gaps: after.gaps.iter().cloned().collect(),
        remarks: recovery.remarks,
    };
    let first_seq = overview.segments.iter().find_map(|segment| segment.seqs).map(|seqs| seqs.first);
    let overview = Overview { first_seq: first_seq.unwrap_or(overview.next_seq), ..overview };
    let floor = after.cursors.values().map(|cursor| cursor.low()).min().unwrap_or(0);
    Ok(Inspector { disk: Arc::clone(disk), dir: dir.to_owned(), overview, salt: slot.salt, floor })
}

fn segment_files(found: Vec<Found>) -> Vec<SegmentFile> {
    let places: Vec<(Class, Seq)> =
        found.iter().map(|found| (found.segment.class, found.segment.extent.first)).collect();
    let file = |(index, found): (usize, Found)| {
        let segment = found.segment;
        let mut behind = places[index + 1..].iter().filter(|(class, _)| *class == segment.class);
        let extent = segment.extent;
        SegmentFile {
            seqs: (!extent.is_empty()).then_some(SeqRange { first: extent.first, last: extent.last }),
            bytes: segment.file_bytes,
            time_ns: extent.time_ns(),
            salt: segment.salt,
            first: extent.first,
            next: behind.next().map(|(_, first)| *first),
            is_sealed: found.scan.is_none(),
            path: segment.path,
            class: segment.class,
        }
    };
    found.into_iter().enumerate().map(file).collect()
}

/// The seqs that some uplink wants, that no file has and no gap covers. What the ledger said `before` the files were
/// looked at is in them; what went from them meanwhile, it says `after`.
fn missing(before: &Book, after: &Book, found: &[Found]) -> Vec<Gap> {
    let held = found.iter().map(|found| found.segment.extent).filter(|extent| !extent.is_empty());
    let held: Vec<SeqRange> = held.map(|extent| SeqRange { first: extent.first, last: extent.last }).collect();
    let stored = held.iter().map(|range| range.last + 1).max().unwrap_or(1);
    let from = match after.cursors.is_empty() {
        true => held.first().map_or(Seq::MAX, |range| range.first),
        false => after.floor(),
    };
    let next = recover::next_seq(before, found);
    if from >= next {
        return Vec::new();
    }
    let holes = uncovered(
        SeqRange { first: from, last: next - 1 },
        held.into_iter().chain(after.gaps.iter().map(|gap| gap.seqs)),
    );
    let gap = |seqs: SeqRange| {
        let reason = if seqs.first < stored { GapReason::Vanished } else { GapReason::PowerCut };
        Gap { class: Class::Normal, seqs, count: seqs.count(), time_ns: None, reason }
    };
    holes.into_iter().map(gap).collect()
}

/// The parts of `seqs` that none of `known` covers.
fn uncovered(seqs: SeqRange, known: impl Iterator<Item = SeqRange>) -> Vec<SeqRange> {
    let mut known: Vec<SeqRange> = known.filter(|known| known.last >= seqs.first && known.first <= seqs.last).collect();
    known.sort_unstable();
    let (mut parts, mut from) = (Vec::new(), seqs.first);
    for known in known {
        if known.first > from {
            parts.push(SeqRange { first: from, last: known.first - 1 });
        }
        from = from.max(known.last.saturating_add(1));
    }
    if from <= seqs.last {
        parts.push(SeqRange { first: from, last: seqs.last });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_is_cut_out() {
        let range = |first, last| SeqRange { first, last };
        let cases: [(&[SeqRange], &[SeqRange]); 5] = [
            (&[], &[range(10, 20)]),
            (&[range(12, 13), range(5, 10), range(20, 30)], &[range(11, 11), range(14, 19)]),
            (&[range(1, 100)], &[]),
            (&[range(1, 9), range(21, 30)], &[range(10, 20)]),
            (&[range(10, 15), range(12, 16)], &[range(17, 20)]),
        ];
        for (known, expected) in cases {
            assert_eq!(uncovered(range(10, 20), known.iter().copied()), expected, "{known:?}");
        }
    }
}
