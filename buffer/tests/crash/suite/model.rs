//! Random work with crashes, against a model of a few lines.

use std::collections::{BTreeMap, BTreeSet};

use buffer::disk::FaultDisk;
use buffer::{Class, Item, Log, Options, Seq, SeqRange, Store, SyncJob};
use proptest::prelude::*;

use super::{append_of, open, payload, range, read_all};

const UPLINKS: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Action {
    Append { class: Class, count: u32, bytes: usize },
    Discard { class: Class, count: u64 },
    Acknowledge { uplink: usize, skip: u64, count: u64 },
    Sync,
    FailedSync,
    BeginSync,
    EndSync,
    Trim,
    Kill,
    PowerCut,
    KillAfterCalls(u64),
    PowerCutAfterCalls(u64),
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![1 => Just(Class::Critical), 4 => Just(Class::Normal), 2 => Just(Class::Bulk)]
}

fn action() -> impl Strategy<Value = Action> {
    let bytes = prop_oneof![5 => 0usize..3000, 1 => 20_000usize..65_536];
    prop_oneof![
        20 => (class(), 1u32..9, bytes).prop_map(|(class, count, bytes)| Action::Append { class, count, bytes }),
        1 => (class(), 1u64..9).prop_map(|(class, count)| Action::Discard { class, count }),
        6 => (0usize..2, 0u64..6, 1u64..40).prop_map(|(uplink, skip, count)| Action::Acknowledge { uplink, skip, count }),
        4 => Just(Action::Sync),
        1 => Just(Action::FailedSync),
        2 => Just(Action::BeginSync),
        2 => Just(Action::EndSync),
        3 => Just(Action::Trim),
        1 => Just(Action::Kill),
        1 => Just(Action::PowerCut),
        1 => (0u64..12).prop_map(Action::KillAfterCalls),
        1 => (0u64..12).prop_map(Action::PowerCutAfterCalls),
    ]
}

/// What must be true of the store.
#[derive(Clone, Debug, Default)]
struct Model {
    /// The blocks by their first seq: number, epoch, records, bytes.
    blocks: BTreeMap<Seq, (u64, u32, u32, usize)>,
    /// A block whose append failed in a crash: it may be there or not.
    maybe: Option<(Seq, (u64, u32, u32, usize))>,
    /// Seqs that were given up, or that a power cut took: they stay gaps.
    lost: BTreeSet<Seq>,
    /// Seqs that a power cut may take although a later sync succeeded.
    in_doubt: BTreeSet<Seq>,
    next: Seq,
    /// All below survives a power cut; so do these acknowledgements.
    synced: Seq,
    synced_acks: [BTreeSet<Seq>; 2],
    acks: [BTreeSet<Seq>; 2],
    /// An acknowledgement failed in a crash: more may be acknowledged than `acks` says.
    maybe_acked: bool,
}

struct World {
    disk: FaultDisk,
    options: Options,
    log: Option<Log>,
    model: Model,
    /// A sync under way, and what holds once it ends.
    job: Option<(SyncJob, Seq, [BTreeSet<Seq>; 2])>,
    used: BTreeSet<(u32, Seq)>,
    number: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = FaultDisk::new(seed);
        // Segments of 128 KiB, as 1 MiB would have them, in a log that is never full.
        let options = Options { size_max_bytes: 1 << 20, age_max: None, ..Options::new(UPLINKS) };
        let options = Options { size_max_bytes: options.size_max_bytes * 8, ..options };
        let log = Some(open(&disk, &options));
        let model = Model { next: 1, synced: 1, ..Model::default() };
        Self { disk, options, log, model, job: None, used: BTreeSet::new(), number: 0 }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("the log is open")
    }

    fn step(&mut self, action: &Action) {
        match *action {
            Action::Append { class, count, bytes } => self.append(class, count, bytes),
            Action::Discard { class, count } => {
                let gap = self.log().discard(class, count, None).expect("a discard needs no disk");
                self.model.lost.extend(gap.seqs.first..=gap.seqs.last);
                // A disk that is gone did not take the note, and then a kill takes the gap back.
                if !self.disk.has_crashed() {
                    self.model.next = gap.seqs.last + 1;
                }
            }
            Action::Acknowledge { uplink, skip, count } => self.acknowledge(uplink, skip, count),
            Action::Sync => self.sync(),
            Action::FailedSync => {
                self.disk.fail_syncs(1);
                self.sync();
                self.disk.fail_syncs(0);
                if self.disk.has_crashed() {
                    // Killed between the failure and the note of it: nobody can know that these are in doubt.
                    self.model.in_doubt.extend(self.model.synced..self.model.next);
                }
            }
            Action::BeginSync => self.begin_sync(),
            Action::EndSync => self.end_sync(),
            Action::Trim => drop(self.log().trim(None)),
            Action::Kill => self.kill(),
            Action::PowerCut => self.power_cut(),
            Action::KillAfterCalls(calls) | Action::PowerCutAfterCalls(calls) => self.disk.crash_after(calls),
        }
    }

    fn append(&mut self, class: Class, count: u32, bytes: usize) {
        let (number, epoch) = (self.number, self.log().identity().epoch);
        self.number += 1;
        let entry = (number, epoch, count, bytes);
        match append_of(self.log(), class, number, count, bytes) {
            Ok(seqs) => {
                assert_eq!(seqs, SeqRange::starting_at(self.model.next, u64::from(count)));
                assert!(self.used.insert((epoch, seqs.first)), "{seqs} of epoch {epoch} was given out before");
                self.model.blocks.insert(seqs.first, entry);
                self.model.next = seqs.last + 1;
            }
            Err(_) => {
                assert_eq!(self.log().stats().next_seq, self.model.next, "a refused append takes no seq");
                if self.disk.has_crashed() && self.model.maybe.is_none() {
                    self.model.maybe = Some((self.model.next, entry));
                }
            }
        }
    }

    fn acknowledge(&mut self, uplink: usize, skip: u64, count: u64) {
        let low = self.log().cursor(UPLINKS[uplink]).expect("a cursor").low();
        let last = (low + skip + count).min(self.model.next - 1);
        if low + skip > last {
            return;
        }
        match self.log().acknowledge(UPLINKS[uplink], &[range(low + skip, last)]) {
            Ok(acknowledged) => assert!(acknowledged.forgotten.is_empty()),
            Err(_) => self.model.maybe_acked = true,
        }
        self.model.acks[uplink].extend(low + skip..=last);
    }

    fn sync(&mut self) {
        if self.job.is_none() && self.log().sync().is_ok() {
            self.model.synced = self.model.next;
            self.model.synced_acks = self.model.acks.clone();
        }
    }

    fn begin_sync(&mut self) {
        if self.job.is_none()
            && let Ok(Some(job)) = self.log().begin_sync()
        {
            self.job = Some((job, self.model.next, self.model.acks.clone()));
        }
    }

    fn end_sync(&mut self) {
        if let Some((job, synced, acks)) = self.job.take()
            && self.log().end_sync(job.run()).is_ok()
        {
            (self.model.synced, self.model.synced_acks) = (synced, acks);
        }
    }

    fn kill(&mut self) {
        self.stop();
        self.disk.kill();
        let safe = self.model.next;
        self.reopen(safe, self.model.acks.clone());
    }

    fn power_cut(&mut self) {
        self.stop();
        self.disk.power_cut();
        self.reopen(self.model.synced, self.model.synced_acks.clone());
    }

    fn stop(&mut self) {
        self.job = None;
        self.log = None;
    }

    /// Opens again: all below `safe` must be there, and the acknowledgements in `acks` at least.
    fn reopen(&mut self, safe: Seq, acks: [BTreeSet<Seq>; 2]) {
        self.log = Some(open(&self.disk, &self.options));
        let present = self.check(safe);
        for (i, uplink) in UPLINKS.into_iter().enumerate() {
            let cursor = self.log().cursor(uplink).expect("a cursor").clone();
            for seq in 1..cursor.low().max(self.model.next) + 2 {
                let covered = cursor.covers(range(seq, seq));
                assert!(
                    covered || !acks[i].contains(&seq) || self.model.maybe_acked,
                    "{uplink} has acknowledged {seq}"
                );
                assert!(!covered || self.model.acks[i].contains(&seq), "{uplink} never acknowledged {seq}");
            }
            self.model.acks[i].retain(|seq| cursor.covers(range(*seq, *seq)));
        }
        if let Some((first, entry)) = self.model.maybe.take().filter(|(first, _)| present.contains(first)) {
            self.model.blocks.entry(first).or_insert(entry);
        }
        let lows = UPLINKS.map(|uplink| self.log().cursor(uplink).expect("a cursor").low());
        let floor = lows.into_iter().min().unwrap_or(1);
        self.model.blocks.retain(|first, block| *first + u64::from(block.2) <= floor || present.contains(first));
        self.model.next = self.log().stats().next_seq;
        self.model.maybe_acked = false;
        // What a kill left in the page cache is synced no more than it was.
        self.model.synced = self.model.synced.min(self.model.next);
    }

    /// Reads for each uplink and compares. Returns the first seqs of the blocks that are there.
    fn check(&mut self, safe: Seq) -> BTreeSet<Seq> {
        let mut present = BTreeSet::new();
        for uplink in UPLINKS {
            let low = self.log().cursor(uplink).expect("a cursor").low();
            let items = read_all(self.log(), low);
            let end = items.last().map_or(low, |item| item.seqs().last + 1);
            assert!(end >= safe, "{uplink} reads from {low} to {end}, but all below {safe} is safe");
            for item in items {
                let seqs = item.seqs();
                match item {
                    Item::Block(block) => {
                        let maybe = self.model.maybe.filter(|(first, _)| *first == seqs.first).map(|(_, entry)| entry);
                        let known = self.model.blocks.get(&seqs.first).copied().or(maybe);
                        let (number, epoch, count, bytes) = known.unwrap_or_else(|| panic!("nobody wrote {seqs}"));
                        assert_eq!((block.epoch, block.meta.count), (epoch, count), "{seqs}");
                        assert_eq!(block.payload, payload(number, bytes), "{seqs}");
                        present.insert(seqs.first);
                    }
                    Item::Gap(gap) => {
                        for seq in gap.seqs.first..=gap.seqs.last {
                            let may_be = self.model.lost.contains(&seq) || self.model.in_doubt.contains(&seq);
                            assert!(seq >= safe || may_be, "{gap:?}, but {safe} is safe");
                            self.model.lost.insert(seq);
                        }
                    }
                }
            }
        }
        present
    }
}

fn run(seed: u64, actions: &[Action]) {
    let mut world = World::new(seed);
    let mut cuts_power = false;
    for action in actions {
        match action {
            Action::KillAfterCalls(_) => cuts_power = false,
            Action::PowerCutAfterCalls(_) => cuts_power = true,
            _ => {}
        }
        world.step(action);
        if world.disk.has_crashed() {
            if cuts_power { world.power_cut() } else { world.kill() }
        }
    }
    world.disk.kill();
    let safe = world.model.next;
    world.check(safe);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::MODEL_CASES, ..ProptestConfig::default() })]

    #[test]
    fn random_work_with_crashes_loses_nothing_that_was_promised(
        seed in any::<u64>(), actions in proptest::collection::vec(action(), 1..120),
    ) {
        run(seed, &actions);
    }
}
