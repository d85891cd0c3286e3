//! Opening: what lies on disk becomes a log again, whatever happened to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::actives::Actives;
use super::append::Active;
use super::commit::{Commit, ToSync, UNSYNCED_BYTES_MAX};
use super::identity::{self, Slot};
use super::ledger::{self, Book, Ledger};
use super::lock::Lock;
use super::replace::{self, Replacing};
use super::segment::{self, Extent, HEADER_BYTES, Header, Index};
use super::segments::{Scan, Segment, Segments, read_trailer, scan};
use super::tail::Tail;
use super::{Limits, Log};
use crate::block::{Class, Identity, Seq, SeqRange};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::gap::{Gap, GapReason};
use crate::options::{Options, SIZE_MIN_BYTES};
use crate::stats::{Recovery, Stats};

/// Bytes of a segment when the log is large enough for them.
const SEGMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of a segment in the smallest log.
const SEGMENT_BYTES_MIN: u64 = 128 * 1024;
/// Dropping the oldest segment costs at most this part of the log.
const SEGMENTS_MIN: u64 = 8;
/// A segment that has less room than this is not written on after a start.
const ROOM_BYTES_MIN: u64 = 64 * 1024;

/// By so much the epoch rises at most where it cannot be kept.
const EPOCH_LEAP_MAX: u32 = 1 << 20;

/// A segment as it was found.
pub(super) struct Found {
    pub(super) segment: Segment,
    pub(super) header: Option<Header>,
    /// What a walk through it found; `None` if it was sealed and its trailer is whole.
    pub(super) scan: Option<Scan>,
}

pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path, options: &Options) -> Result<Log> {
    let started = Instant::now();
    super::uplinks::check_names(&options.uplinks)?;
    let class_dir = dir.join(Class::Normal.name());
    disk.create_dir(&class_dir).map_err(|error| Error::environment("create", &class_dir, error))?;
    let lock = Lock::take_on(&*disk, dir)?;

    let mut recovery = Recovery::default();
    let ledgers = ledger::find(&*disk, dir)?;
    let (headers, has_folder) = find_all_segments(&*disk, dir, &mut recovery)?;
    let known = identity::read(&*disk, dir)?;
    let slot = slot_of(known, ledgers.headers.iter().chain(headers.iter().flat_map(|found| &found.header)));
    let slot = slot.unwrap_or_else(|| new_slot(&*disk));
    if known.is_none() && !(headers.is_empty() && ledgers.headers.is_empty()) {
        recovery.remarks.push("the identity was damaged or missing and was restored from other files".into());
    }
    let found = look_into(&*disk, headers, slot.salt, &mut recovery)?;
    let found = replace::settle(&*disk, found);
    let book = ledger::load(&*disk, dir, &ledgers, slot.salt)?;
    let slot = raise_epoch(&*disk, dir, slot, &found)?;

    let header = header_of(&slot, Class::Normal);
    let mut log = Log {
        ledger: Ledger::new(Arc::clone(&disk), dir, header, ledgers),
        disk,
        dir: dir.to_owned(),
        has_folder,
        _lock: lock,
        slot,
        limits: limits_of(options),
        lags: BTreeMap::new(),
        replacing: Replacing::default(),
        has_ballast: false,
        commit: Commit::new(1),
        book,
        segments: Segments::default(),
        actives: Actives::default(),
        tail: Tail::default(),
        totals: Stats::default(),
        recovery,
    };
    log.take_over(found)?;
    let changes = log.change_uplinks(&options.uplinks)?;
    log.find_missing();
    let noted = if changes.is_empty() { log.ledger.catch_up(&log.book) } else { log.sync_ledger() };
    if let Err(error) = noted {
        log.recovery.remarks.push(format!("{error}; acknowledgements are only kept in memory until it succeeds"));
    }
    if let Some(from) = log.book.doubt {
        // The process before could not write again what a failed sync left in doubt; the first append or sync does.
        log.commit.rewrite = true;
        log.commit.synced_seq = log.commit.synced_seq.min(from).max(log.first_seq());
    }
    log.take_ballast();
    log.recovery.took = started.elapsed();
    Ok(log)
}

fn limits_of(options: &Options) -> Limits {
    let size_bytes_max = options.size_max_bytes.max(SIZE_MIN_BYTES);
    Limits {
        size_bytes_max,
        age_max: options.age_max,
        free_min_bytes: options.free_min_bytes,
        ballast_bytes: options.ballast_bytes,
        when_full: options.when_full,
        classes: options.classes,
    }
}

impl Limits {
    /// How large a segment of a class may become.
    pub(super) fn segment_bytes_max(&self, class: Class) -> u64 {
        let of_class = self.classes[class.index()].size_max_bytes.unwrap_or(u64::MAX);
        let size = self.size_bytes_max.min(of_class);
        (size / SEGMENTS_MIN).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
    }
}

/// The segments' names and heads over all classes, sorted, and which classes have a folder.
pub(super) fn find_all_segments(
    disk: &dyn Disk,
    dir: &Path,
    recovery: &mut Recovery,
) -> Result<(Vec<Found>, [bool; Class::ALL.len()])> {
    let (mut found, mut has_folder) = (Vec::new(), [false; Class::ALL.len()]);
    for class in Class::ALL {
        match find_segments(disk, &dir.join(class.name()), class, recovery) {
            Err(error) if error.is_not_found() && class != Class::Normal => {}
            of_class => {
                found.extend(of_class?);
                has_folder[class.index()] = true;
            }
        }
    }
    found.sort_by_key(|found| found.segment.key());
    recovery.segments = found.len() as u64;
    Ok((found, has_folder))
}

/// The names and heads of the segments of one class.
fn find_segments(disk: &dyn Disk, dir: &Path, class: Class, recovery: &mut Recovery) -> Result<Vec<Found>> {
    let names = disk.list(dir).map_err(|error| Error::environment("list", dir, error))?;
    let mut found = Vec::new();
    for name in names {
        if name.ends_with(".sled.damaged") {
            let path = dir.join(name);
            recovery
                .remarks
                .push(format!("{} was damaged and set aside; what it held is reported as lost", path.display()));
            continue;
        }
        let Some((first, attempt)) = segment::parse_name(&name) else {
            recovery
                .remarks
                .push(format!("{} is not a file of the buffer; it is left alone", dir.join(name).display()));
            continue;
        };
        let path = dir.join(name);
        let file = disk.open(&path).map_err(|error| Error::environment("open", &path, error))?;
        let mut head = [0; HEADER_BYTES];
        let got = file.read_at(0, &mut head).map_err(|error| Error::environment("read", &path, error))?;
        let file_bytes = file.len().map_err(|error| Error::environment("read", &path, error))?;
        let extent = Extent::starting_at(first);
        let header = Header::decode(&head[..got]);
        let level = header.map_or(0, |header| header.level);
        let segment = Segment { path, class, attempt, level, salt: 0, extent, file_bytes, thinned: 0, is_own: false };
        found.push(Found { segment, header, scan: None });
    }
    Ok(found)
}

/// The identity on disk, or, if that is lost, the one in other files; `None` where there is neither.
pub(super) fn slot_of<'a>(known: Option<Slot>, headers: impl Iterator<Item = &'a Header> + Clone) -> Option<Slot> {
    let from_header = |header: &Header| Slot {
        identity: Identity { gateway: header.gateway, epoch: header.epoch },
        salt: header.salt,
    };
    let mut slot = known.or_else(|| headers.clone().next().map(from_header))?;
    let highest = headers.map(|header| header.epoch).max().unwrap_or(0);
    slot.identity.epoch = slot.identity.epoch.max(highest);
    Some(slot)
}

fn new_slot(disk: &dyn Disk) -> Slot {
    let random = disk.random();
    Slot { identity: Identity { gateway: disk.random(), epoch: 0 }, salt: random as u32 }
}

/// Reads the trailers, and walks through what has none.
pub(super) fn look_into(disk: &dyn Disk, found: Vec<Found>, salt: u32, recovery: &mut Recovery) -> Result<Vec<Found>> {
    let mut looked = Vec::with_capacity(found.len());
    for mut found in found {
        let segment = &mut found.segment;
        segment.salt = found.header.map_or(salt, |header| header.salt);
        let failed = |error| Error::environment("read", &segment.path, error);
        let file = disk.open(&segment.path).map_err(|error| Error::environment("open", &segment.path, error))?;
        match read_trailer(&*file, segment.extent.first, segment.file_bytes).map_err(failed)? {
            Some(trailer) => segment.extent = trailer.extent,
            None => {
                let scan = scan(&*file, segment.salt, segment.extent.first, segment.file_bytes).map_err(failed)?;
                segment.extent = scan.extent;
                recovery.segments_scanned += 1;
                recovery.damaged_bytes += scan.damaged_bytes;
                found.scan = Some(scan);
            }
        }
        looked.push(found);
    }
    Ok(looked)
}

/// The epoch of this opening, durable before anything is appended in it.
fn raise_epoch(disk: &dyn Disk, dir: &Path, slot: Slot, found: &[Found]) -> Result<Slot> {
    let highest = found.iter().map(|found| found.segment.extent.epoch).max().unwrap_or(0);
    // What is written may be gone at the next start, which must not give the same numbers to other records.
    let leap = if disk.trouble().is_some() { disk.random() as u32 % EPOCH_LEAP_MAX } else { 0 };
    let epoch = slot.identity.epoch.max(highest).wrapping_add(1 + leap);
    let slot = Slot { identity: Identity { epoch, ..slot.identity }, ..slot };
    identity::write(disk, dir, &slot)?;
    Ok(slot)
}

fn header_of(slot: &Slot, class: Class) -> Header {
    let Identity { gateway, epoch } = slot.identity;
    Header { class: class.code(), level: 0, salt: slot.salt, gateway, epoch, number: 0 }
}

/// The seq that comes next, by all that is known.
pub(super) fn next_seq(book: &Book, found: &[Found]) -> Seq {
    let highs = book.cursors.values().map(|cursor| cursor.high()).chain(book.gaps.last());
    let noted = highs.max().unwrap_or(0) + 1;
    let stored = found.iter().map(|found| found.segment.extent.last + 1).max().unwrap_or(1);
    book.next_seq.max(noted).max(stored)
}

impl Log {
    /// Puts the segments in their places; the last one of each class is written on if it is whole.
    fn take_over(&mut self, found: Vec<Found>) -> Result<()> {
        self.book.next_seq = next_seq(&self.book, &found);
        let mut lasts = [const { None }; Class::ALL.len()];
        for found in found {
            if found.scan.is_none() {
                self.seal_later(&found.segment);
            }
            if let Some(before) = lasts[found.segment.class.index()].replace(found) {
                self.segments.insert(before.segment);
            }
        }
        for last in lasts.into_iter().flatten() {
            match last {
                Found { segment, scan: Some(scan), .. } => self.take_over_last(segment, scan)?,
                Found { segment, .. } => self.segments.insert(segment),
            }
        }
        self.doubt_newest()
    }

    fn take_over_last(&mut self, segment: Segment, scan: Scan) -> Result<()> {
        let torn = scan.torn.filter(|torn| torn.seq == self.book.next_seq);
        if let Some(torn) = torn {
            // All of the frame is there but its content is not: it was accepted, and is lost.
            let (seqs, meta) = (torn.seqs(), torn.meta);
            self.book.next_seq = seqs.last + 1;
            let time_ns = Some((meta.t_min_ns, meta.t_max_ns));
            let reason = GapReason::Damaged;
            self.find_loss(&Gap { class: segment.class, seqs, count: seqs.count(), time_ns, reason });
        }
        self.recovery.cut_tail_bytes += scan.tail_bytes;
        // Seqs that are missing before the next one belong to other classes, or are found missing below.
        let goes_on = segment.extent.last < self.book.next_seq && segment.salt == self.slot.salt;
        let room = segment.extent.data_end + ROOM_BYTES_MIN <= self.limits.segment_bytes_max(segment.class);
        if torn.is_some() || scan.damaged_bytes > 0 || !goes_on || !room || self.book.doubt.is_some() {
            self.segments.insert(segment);
            return Ok(());
        }
        self.write_on(segment, scan.index)
    }

    /// Cuts what a kill left behind the last frame and makes the segment the active one.
    fn write_on(&mut self, mut segment: Segment, index: Index) -> Result<()> {
        let opened = self.disk.open_for_write(&segment.path);
        let file = opened.map_err(|error| Error::environment("open", &segment.path, error))?;
        let head = Header { number: segment.extent.first, ..header_of(&self.slot, segment.class) }.encode();
        let mended = file.set_len(segment.extent.data_end).and_then(|()| match segment.extent.is_empty() {
            true => file.write_at(0, &head),
            false => Ok(()),
        });
        mended.map_err(|error| Error::environment("write", &segment.path, error))?;
        segment.file_bytes = segment.extent.data_end;
        self.actives.set(Active::resume(segment, index, file));
        Ok(())
    }

    /// The newest segments may be in the page cache only: the first sync takes them along.
    fn doubt_newest(&mut self) -> Result<()> {
        let mut bytes = 0;
        let actives = self.actives.iter().map(|active| active.segment.extent.first);
        self.commit.synced_seq = actives.min().unwrap_or(self.book.next_seq);
        for segment in self.segments.iter().rev() {
            if bytes > UNSYNCED_BYTES_MAX {
                break;
            }
            bytes += segment.file_bytes;
            self.commit.synced_seq = self.commit.synced_seq.min(segment.extent.first);
            let opened = self.disk.open(&segment.path);
            let file = opened.map_err(|error| Error::environment("open", &segment.path, error))?;
            self.commit.files.push(ToSync { path: segment.path.clone(), file, bytes: 0 });
        }
        Ok(())
    }

    /// Finds the seqs that no file holds, from the first one that an uplink wants.
    fn find_missing(&mut self) {
        let floor = self.book.floor();
        self.book.gaps.forget_below(floor);
        let actives = self.actives.iter().map(|active| &active.segment);
        let held = self.segments.iter().chain(actives).filter(|segment| !segment.extent.is_empty());
        let mut held: Vec<SeqRange> =
            held.map(|segment| SeqRange { first: segment.extent.first, last: segment.extent.last }).collect();
        held.sort_unstable();
        let mut wanted = if self.book.cursors.is_empty() { self.first_seq() } else { floor };
        for range in held {
            self.find_hole(wanted, range.first, GapReason::Vanished);
            wanted = wanted.max(range.last + 1);
        }
        self.find_hole(wanted, self.book.next_seq, GapReason::PowerCut);
    }

    fn find_hole(&mut self, first: Seq, next: Seq, reason: GapReason) {
        if first < next {
            match self.book.gaps.explain(first, next) {
                Ok(known) => self.find_hole(known.seqs.last + 1, next, reason),
                Err(until) => {
                    let seqs = SeqRange { first, last: until - 1 };
                    self.find_loss(&Gap { class: Class::Normal, seqs, count: seqs.count(), time_ns: None, reason });
                    self.find_hole(until, next, reason);
                }
            }
        }
    }

    /// Notes a loss found at opening; the ledger gets it with its first generation.
    fn find_loss(&mut self, gap: &Gap) {
        for part in self.book.gaps.add(gap) {
            self.count_loss(&part);
            self.recovery.gaps.push(part);
        }
    }
}
