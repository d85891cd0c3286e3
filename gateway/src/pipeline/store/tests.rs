use std::io;
use std::path::Path;
use std::sync::Mutex;

use buffer::disk::{Disk, DiskFile, OsDisk};
use buffer::{
    Acknowledged, Appended, BLOCK_PAYLOAD_BYTES_MAX, Class, Cursor, Error, Gap, Log, NewBlock, Options, Replaced,
    Replacement, Result, Stretch, SyncJob, Synced,
};
use driver_core::{ClockState, Quality, SystemClock, TagId, Tense, Timestamp, Value};

use super::super::encode::Decoder;
use super::super::process::Rule;
use super::super::schema::SchemaBuilder;
use super::*;

mod thinning;

pub(super) fn reading(number: i64) -> Reading {
    Reading {
        tag: TagId(0),
        value: Value::Int(number),
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(number),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    }
}

fn start(folder: &Path, policy: SyncPolicy) -> (StoreThread, Intake, StoreHandle) {
    let log = Log::open(folder, &Options::new(["cloud"])).expect("the log opens");
    start_with(folder, Box::new(log), policy)
}

/// One tag of each class, the normal one first.
fn tags() -> Arc<Tags> {
    let classes = [Class::Normal, Class::Bulk, Class::Critical];
    Arc::new(Tags::of_rules(&classes.map(|class| Rule { class, ..Rule::PLAIN })))
}

fn start_with(folder: &Path, store: Box<dyn Store>, policy: SyncPolicy) -> (StoreThread, Intake, StoreHandle) {
    StoreThread::start(setup(folder, store, policy)).expect("the thread starts")
}

pub(super) fn setup(folder: &Path, store: Box<dyn Store>, policy: SyncPolicy) -> StoreSetup {
    let mut builder = SchemaBuilder::default();
    builder.device("press");
    builder.tag("count", "");
    let schemas = Schemas::open(&folder.join("schemas"), Arc::new(builder.build()));
    let folder = folder.to_owned();
    let reopen: Reopen = Box::new(move |_| Ok(Box::new(Log::open(&folder, &Options::new(["cloud"]))?)));
    StoreSetup { store, reopen, schemas, tags: tags(), policy, clock: Arc::new(SystemClock) }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time") })
}

/// All values from `from` on until `count` have come.
async fn values(handle: &StoreHandle, from: Seq, count: usize) -> (Vec<i64>, Seq) {
    let mut end = handle.end();
    let (mut readings, mut next) = (Vec::new(), from);
    while readings.len() < count {
        let page = handle.read(next, 1 << 20).await.expect("the store is open");
        for item in &page.items {
            let Item::Block(block) = item else { panic!("a gap: {item:?}") };
            Decoder::new()
                .expect("zstd's memory")
                .decode(block.meta.codec, &block.payload, &mut readings)
                .expect("decodes");
        }
        if page.items.is_empty() {
            end.changed().await.expect("the store is open");
        }
        next = page.next;
    }
    let number = |reading: &Reading| if let Value::Int(value) = reading.value { value } else { panic!("{reading:?}") };
    (readings.iter().map(number).collect(), next)
}

#[test]
fn readings_come_out_in_order_with_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (thread, intake, handle) = start(folder.path(), SyncPolicy::Every(Duration::from_secs(1)));
    for start in 0..50 {
        assert!(intake.offer((start * 100..(start + 1) * 100).map(reading).collect()));
    }
    let (found, next) = run(values(&handle, 1, 5_000));
    assert_eq!(found, (0..5_000).collect::<Vec<i64>>());
    assert_eq!(next, 5_001);
    let page = run(handle.read(1, 1)).expect("open");
    let Item::Block(block) = &page.items[0] else { panic!("no block") };
    let schema = run(handle.schema(block.meta.schema)).expect("open").expect("known");
    assert_eq!(schema.tag(TagId(0)).expect("known").tag, "count");
    assert!(thread.stop());
}

#[test]
fn what_was_acknowledged_does_not_come_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (thread, intake, handle) = start(folder.path(), SyncPolicy::Always);
    assert!(intake.offer((0..10).map(reading).collect()));
    run(values(&handle, 1, 10));
    handle.acknowledge(&Arc::from("cloud"), vec![SeqRange { first: 1, last: 10 }]);
    assert!(intake.offer((10..20).map(reading).collect()));
    assert!(thread.stop());
    let (thread, _, handle) = start(folder.path(), SyncPolicy::Always);
    let cursor = run(handle.cursor("cloud")).expect("open").expect("declared");
    assert_eq!(cursor.low(), 11);
    assert_eq!(run(values(&handle, cursor.low(), 10)).0, (10..20).collect::<Vec<i64>>());
    assert!(thread.stop());
}

#[test]
fn a_value_too_large_for_the_log_is_declared_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (thread, intake, handle) = start(folder.path(), SyncPolicy::Always);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + (state >> 32) as u8 % 95)
    });
    let noise: String = noise.take(2 * BLOCK_PAYLOAD_BYTES_MAX).collect();
    let large = Reading { value: Value::Text(noise.into()), ..reading(1) };
    assert!(intake.offer(vec![reading(0), large, reading(2)]));
    let items = run(async {
        let mut end = handle.end();
        while *end.borrow_and_update() < 4 {
            end.changed().await.expect("open");
        }
        handle.read(1, 1 << 20).await.expect("open").items
    });
    let kinds: Vec<bool> = items.iter().map(|item| matches!(item, Item::Gap(_))).collect();
    assert_eq!(kinds, [false, true, false]);
    assert!(thread.stop());
}

#[test]
fn whoever_asks_a_closed_store_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (thread, intake, handle) = start(folder.path(), SyncPolicy::Always);
    assert!(thread.stop());
    assert!(!intake.offer(vec![reading(0)]));
    assert_eq!(run(handle.stats()).map(drop), Err(StoreClosed));
}

/// A log on a disk that refuses for a while.
struct Ailing {
    log: Log,
    refusing: Arc<Refusing>,
}

#[derive(Default)]
struct Refusing {
    appends: AtomicBool,
    syncs: AtomicBool,
    /// A sync is under way, and appends wait for it.
    behind: AtomicBool,
    /// The next append panics.
    panics: AtomicBool,
    /// How often something was refused.
    times: AtomicU64,
}

impl Ailing {
    fn well(&self, refusing: &AtomicBool) -> Result<()> {
        if !refusing.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.refusing.times.fetch_add(1, Ordering::Relaxed);
        let source = match self.refusing.behind.load(Ordering::Relaxed) {
            true => io::ErrorKind::WouldBlock.into(),
            false => io::Error::other("as the test says"),
        };
        Err(Error::Environment { doing: "write", path: "log".into(), source })
    }
}

impl Store for Ailing {
    fn identity(&self) -> Identity {
        self.log.identity()
    }

    fn append(&mut self, class: Class, blocks: &[NewBlock<'_>]) -> Result<Appended> {
        self.well(&self.refusing.behind)?;
        self.well(&self.refusing.appends)?;
        assert!(!self.refusing.panics.swap(false, Ordering::Relaxed), "as the test says");
        self.log.append(class, blocks)
    }

    fn discard(&mut self, class: Class, count: u64, time_ns: Option<(i64, i64)>) -> Result<Gap> {
        self.log.discard(class, count, time_ns)
    }

    fn unsynced_bytes(&self) -> u64 {
        self.log.unsynced_bytes()
    }

    fn at_risk(&self) -> Option<Seq> {
        self.log.at_risk()
    }

    fn turn(&mut self) {
        self.log.turn();
    }

    fn begin_release(&mut self) -> Result<Option<SyncJob>> {
        self.log.begin_release()
    }

    fn begin_sync(&mut self) -> Result<Option<SyncJob>> {
        self.well(&self.refusing.syncs)?;
        let job = self.log.begin_sync()?;
        self.refusing.behind.store(job.is_some(), Ordering::Relaxed);
        Ok(job)
    }

    fn end_sync(&mut self, synced: Synced) -> Result<()> {
        self.refusing.behind.store(false, Ordering::Relaxed);
        self.log.end_sync(synced)
    }

    fn read(&mut self, from: Seq, bytes_max: usize, items: &mut Vec<Item>) -> Result<Seq> {
        self.log.read(from, bytes_max, items)
    }

    fn seek(&mut self, t_ns: i64) -> Result<Seq> {
        self.log.seek(t_ns)
    }

    fn declare(&mut self, uplinks: &[buffer::UplinkOptions]) -> Result<()> {
        self.log.declare(uplinks)
    }

    fn cursor(&self, uplink: &str) -> Option<&Cursor> {
        self.log.cursor(uplink)
    }

    fn acknowledge(&mut self, uplink: &str, seqs: &[SeqRange]) -> Result<Acknowledged> {
        self.log.acknowledge(uplink, seqs)
    }

    fn trim(&mut self, now_ns: Option<i64>) -> Result<Vec<Gap>> {
        self.log.trim(now_ns)
    }

    fn make_room(&mut self) -> Result<Vec<Gap>> {
        self.log.make_room()
    }

    fn sealed(&self, class: Class) -> Vec<Stretch> {
        self.log.sealed(class)
    }

    fn replace(&mut self, stretch: &Stretch, level: u8) -> Result<Option<Replacement>> {
        self.log.replace(stretch, level)
    }

    fn end_replace(&mut self, replaced: Replaced) -> Result<()> {
        self.log.end_replace(replaced)
    }

    fn stats(&self) -> Stats {
        self.log.stats()
    }
}

fn start_ailing(folder: &Path, policy: SyncPolicy) -> (Arc<Refusing>, StoreThread, Intake, StoreHandle) {
    start_ailing_on(Arc::new(OsDisk), folder, policy)
}

fn start_ailing_on(
    disk: Arc<dyn Disk>,
    folder: &Path,
    policy: SyncPolicy,
) -> (Arc<Refusing>, StoreThread, Intake, StoreHandle) {
    let refusing = Arc::new(Refusing::default());
    let log = Log::open_on(disk, folder, &Options::new(["cloud"])).expect("the log opens");
    let (thread, intake, handle) = start_with(folder, Box::new(Ailing { log, refusing: refusing.clone() }), policy);
    (refusing, thread, intake, handle)
}

fn wait_until(what: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(std::time::Instant::now() < deadline, "not in time");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn readings_whose_sync_fails_are_in_the_log_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (refusing, thread, intake, handle) = start_ailing(folder.path(), SyncPolicy::Always);
    refusing.syncs.store(true, Ordering::Relaxed);
    assert!(intake.offer((0..10).map(reading).collect()));
    wait_until(|| refusing.times.load(Ordering::Relaxed) >= 2);
    refusing.syncs.store(false, Ordering::Relaxed);
    assert!(intake.offer((10..20).map(reading).collect()));
    assert_eq!(run(values(&handle, 1, 20)).0, (0..20).collect::<Vec<i64>>());
    wait_until(|| run(handle.stats()).expect("open").unsynced_bytes == 0);
    assert!(thread.stop());
}

#[test]
fn what_found_no_room_while_the_disk_refused_is_one_gap_behind_what_waited() {
    let folder = tempfile::tempdir().expect("a folder");
    let (refusing, thread, intake, handle) = start_ailing(folder.path(), SyncPolicy::Always);
    refusing.appends.store(true, Ordering::Relaxed);
    assert!(intake.offer((0..10).map(reading).collect()));
    wait_until(|| refusing.times.load(Ordering::Relaxed) >= 1);
    for _ in 0..2 {
        assert!(!intake.offer((0..1 << 19).map(reading).collect()));
        let refused = refusing.times.load(Ordering::Relaxed);
        wait_until(|| refusing.times.load(Ordering::Relaxed) > refused);
    }
    refusing.appends.store(false, Ordering::Relaxed);
    let end = handle.end();
    wait_until(|| *end.borrow() > 11);
    let items = run(handle.read(1, 1 << 20)).expect("open").items;
    let ranges: Vec<SeqRange> = items.iter().map(Item::seqs).collect();
    assert_eq!(ranges, [SeqRange { first: 1, last: 10 }, SeqRange { first: 11, last: 10 + (1 << 20) }]);
    assert!(thread.stop());
}

/// The machine's disk, whose syncs wait for a gate.
struct GatedDisk(Arc<Mutex<()>>);

struct GatedFile(Arc<dyn DiskFile>, Arc<Mutex<()>>);

impl GatedDisk {
    fn gated(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(GatedFile(file, self.0.clone()))
    }
}

impl Disk for GatedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open(path)
    }

    fn open_for_write(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open_for_write(path).map(|file| self.gated(file))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.create(path).map(|file| self.gated(file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        OsDisk.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send>> {
        OsDisk.lock(path)
    }

    fn random(&self) -> u128 {
        OsDisk.random()
    }
}

impl DiskFile for GatedFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.0.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        drop(self.1.lock().expect("no panic"));
        self.0.sync()
    }
}

#[test]
fn what_waits_for_a_slow_sync_at_the_stop_is_written_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Arc::new(Mutex::new(()));
    let disk = Arc::new(GatedDisk(gate.clone()));
    let policy = SyncPolicy::Every(Duration::from_millis(1));
    let (refusing, thread, intake, handle) = start_ailing_on(disk, folder.path(), policy);
    let closed = gate.lock().expect("no panic");
    assert!(intake.offer((0..10).map(reading).collect()));
    wait_until(|| refusing.behind.load(Ordering::Relaxed));
    assert!(intake.offer((10..20).map(reading).collect()));
    let refused = refusing.times.load(Ordering::Relaxed);
    let stopping = thread::spawn(move || thread.stop());
    let mut offered = 20;
    while intake.offer(vec![reading(offered)]) {
        offered += 1;
        thread::sleep(Duration::from_millis(1));
    }
    wait_until(|| refusing.times.load(Ordering::Relaxed) > refused);
    drop((closed, handle));
    assert!(stopping.join().expect("no panic"));
    let log = Log::open(folder.path(), &Options::new(["cloud"])).expect("the log opens again");
    assert_eq!(log.stats().next_seq, offered as Seq + 2, "all of them, and a gap for the one that came too late");
}

#[test]
fn readings_are_stored_with_the_class_of_their_tag_and_each_tag_keeps_its_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, intake, handle) = start(folder.path(), SyncPolicy::Every(Duration::from_millis(50)));
    let of = |number: i64| Reading { tag: TagId(number as u32 % 3), ..reading(number) };
    assert!(intake.offer((0..30).map(of).collect()));
    run(async {
        let mut end = handle.end();
        while *end.borrow_and_update() <= 30 {
            end.changed().await.expect("the store runs");
        }
    });
    let page = run(handle.read(1, 1 << 20)).expect("the store runs");
    let mut decoder = Decoder::new().expect("memory");
    let mut seen = Vec::new();
    for item in page.items {
        let buffer::Item::Block(block) = item else { panic!("a gap") };
        let mut readings = Vec::new();
        decoder.decode(block.meta.codec, &block.payload, &mut readings).expect("a block");
        assert!(readings.iter().all(|reading| tags().class(reading.tag) == block.class), "{:?}", block.class);
        assert!(readings.is_sorted_by_key(|reading| reading.timestamp));
        seen.push((block.class, readings.len()));
    }
    assert_eq!(seen, [(Class::Critical, 10), (Class::Normal, 10), (Class::Bulk, 10)]);
    assert!(store.stop());
}

/// Blocks of one reading each, as a device that is polled seldom leaves them; a little more than one segment.
fn small_blocks(folder: &Path, count: i64) {
    let mut log = Log::open(folder, &Options::new(["cloud"])).expect("the log opens");
    let mut encoder = super::super::encode::Encoder::new().expect("memory");
    for numbers in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let payloads: Vec<(u8, Vec<u8>)> = numbers
            .iter()
            .map(|number| {
                let mut payload = Vec::new();
                (encoder.encode(&[long(*number)], &mut payload), payload)
            })
            .collect();
        let block = |(number, (codec, payload)): (&i64, &(u8, Vec<u8>))| {
            let meta =
                buffer::Meta { count: 1, t_min_ns: *number, t_max_ns: *number, codec: *codec, flags: 0, schema: 7 };
            (meta, payload.clone())
        };
        let blocks: Vec<(buffer::Meta, Vec<u8>)> = numbers.iter().zip(&payloads).map(block).collect();
        let blocks: Vec<NewBlock<'_>> =
            blocks.iter().map(|(meta, payload)| NewBlock { meta: *meta, payload }).collect();
        log.append(Class::Normal, &blocks).expect("appended");
    }
    log.sync().expect("synced");
}

fn long(number: i64) -> Reading {
    Reading { value: Value::Text("x".repeat(200).into()), ..reading(number) }
}

#[test]
fn what_an_outage_leaves_is_put_together_into_larger_blocks_that_say_the_same() {
    const COUNT: i64 = 34_000;
    let folder = tempfile::tempdir().expect("a folder");
    small_blocks(folder.path(), COUNT);
    let (store, intake, handle) = start(folder.path(), SyncPolicy::Every(Duration::from_millis(50)));
    // What lies there counts as durable once this process has synced.
    assert!(intake.offer(vec![long(COUNT)]));
    let before = run(handle.stats()).expect("the store runs").disk_bytes;
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let after = run(handle.stats()).expect("the store runs").disk_bytes;
        if after < before / 4 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{before} bytes before, {after} now");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (mut at, mut blocks, mut numbers) = (1, 0, Vec::new());
    let mut decoder = Decoder::new().expect("memory");
    while at <= COUNT as u64 {
        let page = run(handle.read(at, 1 << 20)).expect("the store runs");
        at = page.next;
        for item in page.items {
            let buffer::Item::Block(block) = item else { panic!("a gap") };
            let mut readings = Vec::new();
            decoder.decode(block.meta.codec, &block.payload, &mut readings).expect("a block");
            let expected = block.seqs.first as i64 - 1..block.seqs.last as i64;
            assert_eq!(readings, expected.map(long).collect::<Vec<_>>());
            numbers.push(block.seqs.first);
            blocks += 1;
        }
    }
    // Those of the segment that is still written to stay as they are.
    assert!(blocks < COUNT / 5, "{blocks} blocks are left");
    assert!(numbers.is_sorted());
    assert!(store.stop());
}

#[test]
fn a_store_that_panics_is_opened_again_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let (refusing, thread, intake, handle) = start_ailing(folder.path(), SyncPolicy::Always);
    assert!(intake.offer((0..10).map(reading).collect()));
    run(values(&handle, 1, 10));
    refusing.panics.store(true, Ordering::Relaxed);
    assert!(intake.offer((10..20).map(reading).collect()));
    let (values, _) = run(values(&handle, 1, 20));
    assert_eq!(values, (0..20).collect::<Vec<_>>());
    assert!(!refusing.panics.load(Ordering::Relaxed));
    assert!(thread.stop(), "the thread ends in peace");
}
