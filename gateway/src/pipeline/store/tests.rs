use std::path::Path;

use buffer::{
    Acknowledged, Appended, BLOCK_PAYLOAD_BYTES_MAX, Class, Cursor, Error, Gap, Log, NewBlock, Options, Result,
    SyncJob, Synced,
};
use driver_core::{ClockState, Quality, SystemClock, TagId, Timestamp, Value};

use super::super::encode::Decoder;
use super::super::schema::SchemaBuilder;
use super::*;

fn reading(number: i64) -> Reading {
    Reading {
        tag: TagId(0),
        value: Value::Int(number),
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(number),
        clock: ClockState::Synchronized,
    }
}

fn start(folder: &Path, policy: SyncPolicy) -> (StoreThread, Intake, StoreHandle) {
    let log = Log::open(folder, &Options::new(["cloud"])).expect("the log opens");
    start_with(folder, Box::new(log), policy)
}

fn start_with(folder: &Path, store: Box<dyn Store>, policy: SyncPolicy) -> (StoreThread, Intake, StoreHandle) {
    let mut builder = SchemaBuilder::default();
    builder.device("press");
    builder.tag("count", "");
    let schemas = Schemas::open(&folder.join("schemas"), Arc::new(builder.build())).expect("schemas");
    StoreThread::start(store, schemas, policy, Arc::new(SystemClock)).expect("the thread starts")
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
    /// How often something was refused.
    times: AtomicU64,
}

impl Ailing {
    fn well(&self, refusing: &AtomicBool) -> Result<()> {
        if !refusing.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.refusing.times.fetch_add(1, Ordering::Relaxed);
        let source = std::io::Error::other("as the test says");
        Err(Error::Environment { doing: "write", path: "log".into(), source })
    }
}

impl Store for Ailing {
    fn identity(&self) -> Identity {
        self.log.identity()
    }

    fn append(&mut self, class: Class, blocks: &[NewBlock<'_>]) -> Result<Appended> {
        self.well(&self.refusing.appends)?;
        self.log.append(class, blocks)
    }

    fn discard(&mut self, class: Class, count: u64, time_ns: Option<(i64, i64)>) -> Result<Gap> {
        self.log.discard(class, count, time_ns)
    }

    fn unsynced_bytes(&self) -> u64 {
        self.log.unsynced_bytes()
    }

    fn begin_sync(&mut self) -> Result<Option<SyncJob>> {
        self.well(&self.refusing.syncs)?;
        self.log.begin_sync()
    }

    fn end_sync(&mut self, synced: Synced) -> Result<()> {
        self.log.end_sync(synced)
    }

    fn read(&mut self, from: Seq, bytes_max: usize, items: &mut Vec<Item>) -> Result<Seq> {
        self.log.read(from, bytes_max, items)
    }

    fn seek(&mut self, t_ns: i64) -> Result<Seq> {
        self.log.seek(t_ns)
    }

    fn declare(&mut self, uplinks: &[&str]) -> Result<()> {
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

    fn stats(&self) -> Stats {
        self.log.stats()
    }
}

fn start_ailing(folder: &Path, policy: SyncPolicy) -> (Arc<Refusing>, StoreThread, Intake, StoreHandle) {
    let refusing = Arc::new(Refusing::default());
    let log = Log::open(folder, &Options::new(["cloud"])).expect("the log opens");
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
