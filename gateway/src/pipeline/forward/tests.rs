use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use buffer::{Block, Class, Gap, GapReason, Item, Meta, SeqRange};
use bytes::Bytes;
use driver_core::{ClockState, Quality, Reading, TagId, Tense, Timestamp, Value};

use super::super::command::{self, Asked, CommandDoor, Inbound, Origin, ReplyTo, Role};
use super::super::encode::Encoder;
use super::super::schema::{Schema, SchemaBuilder};
use super::super::store::Page;
use super::*;
use crate::uplink::BoxFuture;
use crate::uplink::format::json::Json;
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{EndedBy, Event, Lane, Lasting, Message, Refusal, Token, Traffic};

mod lanes;
mod outages;
mod refusals;

const READINGS_PER_BLOCK: u64 = 10;

/// A log in memory.
#[derive(Clone)]
struct FakeLog(Arc<FakeLogState>);

struct FakeLogState {
    items: Mutex<Vec<Item>>,
    end: watch::Sender<Seq>,
    cursor: Mutex<Cursor>,
    schema: Arc<Schema>,
    reads: Mutex<Vec<Seq>>,
    /// How many reads more the disk refuses.
    refuses: Mutex<u32>,
}

impl FakeLog {
    fn new() -> FakeLog {
        let mut schema = SchemaBuilder::default();
        schema.device("press");
        schema.tag("count", "");
        FakeLog(Arc::new(FakeLogState {
            items: Mutex::default(),
            end: watch::channel(1).0,
            cursor: Mutex::new(Cursor::starting_at(1)),
            schema: Arc::new(schema.build()),
            reads: Mutex::default(),
            refuses: Mutex::default(),
        }))
    }

    /// Appends `count` blocks; the value of each reading is its seq.
    fn append(&self, count: u64) {
        (0..count).for_each(|_| self.append_block(READINGS_PER_BLOCK));
    }

    /// Appends a block of so many readings.
    fn append_block(&self, readings: u64) {
        let first = *self.0.end.borrow();
        let seqs = SeqRange::starting_at(first, readings);
        let readings: Vec<Reading> = (seqs.first..=seqs.last).map(reading).collect();
        let mut payload = Vec::new();
        let codec = Encoder::new().expect("memory").encode(&readings, &mut payload);
        let count = readings.len() as u32;
        let meta = Meta { count, t_min_ns: 0, t_max_ns: 0, codec, flags: 0, schema: 1 };
        self.push(Item::Block(Block { seqs, epoch: 3, class: Class::Normal, meta, payload: payload.into() }));
    }

    fn append_gap(&self, count: u64) {
        let seqs = SeqRange::starting_at(*self.0.end.borrow(), count);
        let reason = GapReason::DroppedOldest;
        self.push(Item::Gap(Gap { class: Class::Normal, seqs, count, time_ns: None, reason }));
    }

    fn push(&self, item: Item) {
        let end = item.seqs().last + 1;
        self.0.items.lock().expect("no panic").push(item);
        self.0.end.send_replace(end);
    }

    fn low(&self) -> Seq {
        self.0.cursor.lock().expect("no panic").low()
    }
}

fn reading(number: Seq) -> Reading {
    Reading {
        tag: TagId(0),
        value: Value::UInt(number),
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(number as i64),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    }
}

impl Backlog for FakeLog {
    fn cursor(&self) -> BoxFuture<'_, Result<Option<Cursor>, StoreClosed>> {
        Box::pin(async { Ok(Some(self.0.cursor.lock().expect("no panic").clone())) })
    }

    fn read(&self, from: Seq, bytes_max: usize) -> BoxFuture<'_, Result<Page, StoreClosed>> {
        self.0.reads.lock().expect("no panic").push(from);
        let items = self.0.items.lock().expect("no panic");
        let mut page = Page { items: Vec::new(), next: from };
        let mut refuses = self.0.refuses.lock().expect("no panic");
        if *refuses > 0 {
            *refuses -= 1;
            return Box::pin(async { Ok(page) });
        }
        let mut bytes = 0;
        for item in items.iter().filter(|item| item.seqs().last >= from) {
            bytes += match item {
                Item::Block(block) => block.payload.len(),
                Item::Gap(_) => 0,
            };
            page.next = item.seqs().last + 1;
            page.items.push(item.clone());
            if bytes >= bytes_max {
                break;
            }
        }
        Box::pin(async { Ok(page) })
    }

    fn seek(&self, t_ns: i64) -> BoxFuture<'_, Result<Seq, StoreClosed>> {
        // The time of each reading is its seq.
        let end = *self.0.end.borrow();
        Box::pin(async move { Ok((t_ns.max(1) as Seq).min(end)) })
    }

    fn schema(&self, _: u32) -> BoxFuture<'_, Result<Option<Arc<Schema>>, StoreClosed>> {
        Box::pin(async { Ok(Some(self.0.schema.clone())) })
    }

    fn end(&self) -> watch::Receiver<Seq> {
        self.0.end.subscribe()
    }

    fn acknowledge(&self, seqs: Vec<SeqRange>) {
        let mut cursor = self.0.cursor.lock().expect("no panic");
        for range in seqs {
            assert_eq!(cursor.acknowledge(range), None, "more ranges than a cursor keeps");
        }
    }
}

/// What the far side does with a message.
#[derive(Debug, Clone)]
enum Answer {
    Acknowledge,
    Refuse(Lasting),
    Silence,
    /// Closes the connection.
    Close,
}

type Judge = Box<dyn FnMut(&Message) -> Answer + Send>;

/// A far side in memory: what reached it, and what it does next.
struct FarSide {
    judge: Judge,
    /// How long a connection lasts; `None`: until something ends it.
    up_for: Option<Duration>,
    refuses_connections: bool,
    /// Acknowledges in the reverse order, once so many have come.
    reversed_by: usize,
    /// Acknowledges what was never sent, too.
    babbles: bool,
    room: usize,
    /// The application behind it is away until then.
    away_until: Option<Instant>,
    received: BTreeMap<Token, (Arc<Message>, u32)>,
    connects: Vec<Instant>,
    outstanding_max: usize,
    /// Commands that it sends with the next connection, and the places of those that were answered.
    asks: Vec<Inbound>,
    answered: Vec<u64>,
}

impl FarSide {
    fn new(judge: impl FnMut(&Message) -> Answer + Send + 'static) -> Arc<Mutex<FarSide>> {
        Arc::new(Mutex::new(FarSide {
            judge: Box::new(judge),
            up_for: None,
            refuses_connections: false,
            reversed_by: 0,
            babbles: false,
            room: 10_000,
            away_until: None,
            received: BTreeMap::new(),
            connects: Vec::new(),
            outstanding_max: 0,
            asks: Vec::new(),
            answered: Vec::new(),
        }))
    }

    /// The seqs of all readings that were delivered, in the order of the log.
    fn seqs(&self) -> Vec<Seq> {
        let mut seqs = Vec::new();
        let mut messages: Vec<&Arc<Message>> = self.received.values().map(|(message, _)| message).collect();
        messages.sort_by_key(|message| (message.token.seq, message.token.part));
        for message in messages {
            let json: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
            match json["readings"].as_array() {
                Some(readings) => {
                    for reading in readings {
                        assert_eq!(reading["seq"], reading["value"], "a value of another reading");
                        seqs.push(reading["seq"].as_u64().expect("a seq"));
                    }
                }
                None => seqs.extend(message.seqs.first..=message.seqs.last),
            }
        }
        seqs
    }
}

/// What was declared as lost.
fn gaps(far: &Mutex<FarSide>) -> Vec<serde_json::Value> {
    let far = far.lock().expect("no panic");
    let messages = far.received.values().filter(|(message, _)| message.readings == 0);
    let gap = |payload: &Bytes| serde_json::from_slice::<serde_json::Value>(payload).expect("JSON")["gap"].take();
    messages.map(|(message, _)| gap(&message.payload)).collect()
}

struct FakePublisher {
    far: Arc<Mutex<FarSide>>,
    until: Option<Instant>,
    events: Vec<Event>,
    outstanding: usize,
    held: VecDeque<Token>,
}

impl Publisher for FakePublisher {
    fn endpoint(&self) -> &str {
        "fake://far"
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        let mut far = self.far.lock().expect("no panic");
        far.connects.push(Instant::now());
        self.events.clear();
        self.held.clear();
        self.outstanding = 0;
        self.events.extend(far.asks.drain(..).map(|asked| Event::Command(asked.into())));
        self.until = Some(Instant::now() + far.up_for.unwrap_or(Duration::from_secs(1 << 30)));
        let refused = far.refuses_connections.then(|| {
            self.until = None;
            ConnectError { endpoint: "fake://far".into(), cause: "down".into(), advice: "Wait" }
        });
        Box::pin(async move { refused.map_or(Ok(()), Err) })
    }

    fn room(&self) -> usize {
        if self.until.is_some() && !self.waits() { self.far.lock().expect("no panic").room } else { 0 }
    }

    fn waits(&self) -> bool {
        self.far.lock().expect("no panic").away_until.is_some_and(|until| until > Instant::now())
    }

    fn send(&mut self, message: &Arc<Message>) {
        let mut far = self.far.lock().expect("no panic");
        self.outstanding += 1;
        far.outstanding_max = far.outstanding_max.max(self.outstanding);
        match (far.judge)(message) {
            Answer::Silence => return,
            Answer::Close => {
                let loss = Loss { reason: "closed".into(), by: EndedBy::FarSide };
                return self.events.push(Event::Lost(loss));
            }
            Answer::Refuse(lasting) => {
                let refusal = Refusal { reason: "not wanted".into(), lasting };
                self.events.push(Event::Refused(message.token, refusal));
            }
            Answer::Acknowledge => {
                let times = far.received.get(&message.token).map_or(0, |(_, times)| *times);
                far.received.insert(message.token, (message.clone(), times + 1));
                self.held.push_front(message.token);
                if self.held.len() > far.reversed_by {
                    self.events.extend(self.held.drain(..).map(Event::Acknowledged));
                }
            }
        }
        self.outstanding -= 1;
        if far.babbles {
            self.events.push(Event::Acknowledged(Token { lane: Lane::Live, seq: u64::MAX, part: 9 }));
            self.events.push(Event::Acknowledged(message.token));
        }
    }

    fn events<'a>(&'a mut self, events: &'a mut Vec<Event>) -> BoxFuture<'a, ()> {
        Box::pin(async {
            let Some(until) = self.until else { return };
            let away_until = self.far.lock().expect("no panic").away_until.filter(|away| *away > Instant::now());
            if let Some(away_until) = away_until {
                return sleep_until(away_until).await;
            }
            if self.events.is_empty() {
                sleep_until(until).await;
                self.events.push(Event::Lost(Loss { reason: "cut".into(), by: EndedBy::Network }));
            }
            if self.events.iter().any(|event| matches!(event, Event::Lost(_))) {
                self.until = None;
            }
            events.append(&mut self.events);
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.until = None;
        Box::pin(async {})
    }

    fn answer(&mut self, to: ReplyTo, answer: &command::Answer) {
        assert_eq!(answer.outcome.name(), "refused");
        self.far.lock().expect("no panic").answered.push(to.place);
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

struct Bench {
    log: FakeLog,
    far: Arc<Mutex<FarSide>>,
    counters: Arc<Counters>,
    folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Bench {
    fn start(log: FakeLog, far: Arc<Mutex<FarSide>>) -> Bench {
        Bench::draining(Drain::LiveFirst, log, far)
    }

    fn draining(drain: Drain, log: FakeLog, far: Arc<Mutex<FarSide>>) -> Bench {
        Bench::over(tempfile::tempdir().expect("a folder"), drain, log, far)
    }

    /// Over the folder of a life before.
    fn over(folder: tempfile::TempDir, drain: Drain, log: FakeLog, far: Arc<Mutex<FarSide>>) -> Bench {
        let topic = Template::parse("{device}", "plant", Rules::Mqtt).expect("a template");
        let format = Box::new(Json::new("plant", topic, Rules::Mqtt));
        let publisher =
            FakePublisher { far: far.clone(), until: None, events: Vec::new(), outstanding: 0, held: VecDeque::new() };
        let counters = Arc::new(Counters::default());
        let setup = Setup {
            name: "cloud".into(),
            way: Way { format, publisher: Box::new(publisher) },
            drain,
            quarantine: Quarantine::beside(folder.path(), "cloud"),
            leap: Leap::beside(folder.path(), "cloud"),
            jobs: Jobs::beside(folder.path()),
            redate: Arc::default(),
            counters: counters.clone(),
            desk: Desk::new().0,
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(setup, log.clone(), stopped));
        Bench { log, far, counters, folder, stop, task }
    }

    /// Waits in paused time until the log's cursor has come to its end.
    async fn drained(&self) {
        self.until(|| self.log.low() == *self.log.0.end.borrow()).await;
    }

    async fn until(&self, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(3_600);
        while !done() {
            assert!(Instant::now() < deadline, "not within an hour; the cursor stands at {}", self.log.low());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it; its folder stays.
    async fn end(self) -> tempfile::TempDir {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic");
        self.folder
    }

    /// Whether every reading came, in whichever order and lane.
    fn assert_complete(&self) {
        let expected: Vec<Seq> = (1..*self.log.0.end.borrow()).collect();
        assert_eq!(self.far.lock().expect("no panic").seqs(), expected);
    }
}

fn always(answer: Answer) -> Arc<Mutex<FarSide>> {
    FarSide::new(move |_| answer.clone())
}

#[tokio::test(start_paused = true)]
async fn everything_reaches_the_far_side_and_the_cursor_follows() {
    let log = FakeLog::new();
    log.append(50);
    log.append_gap(7);
    let bench = Bench::start(log, always(Answer::Acknowledge));
    bench.drained().await;
    bench.log.append(50);
    bench.drained().await;
    bench.assert_complete();
    let far = bench.far.clone();
    let counters = bench.counters.clone();
    bench.end().await;
    assert!(far.lock().expect("no panic").received.values().all(|(_, times)| *times == 1));
    assert_eq!(counters.delivered_records.load(Ordering::Relaxed), 1_007);
    assert_eq!(counters.lag_records.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_published_with_its_range_and_reason() {
    let log = FakeLog::new();
    log.append_gap(7);
    let bench = Bench::start(log, always(Answer::Acknowledge));
    bench.drained().await;
    let far = bench.far.lock().expect("no panic");
    let (message, _) = far.received.values().next().expect("a message");
    assert_eq!(&*message.topic, "plant/$gap");
    assert!(std::str::from_utf8(&message.payload).expect("UTF-8").contains("\"reason\":\"dropped-oldest\""));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_is_read_again_though_nothing_new_is_stored() {
    let (log, far) = (FakeLog::new(), always(Answer::Acknowledge));
    *log.0.refuses.lock().expect("no panic") = 5;
    log.append(3);
    let bench = Bench::start(log, far);
    bench.drained().await;
    bench.assert_complete();
    assert!(bench.log.0.reads.lock().expect("no panic").len() <= 8, "at most once a second");
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_out_of_order_and_for_unknown_messages_do_no_harm() {
    let far = always(Answer::Acknowledge);
    {
        let mut far = far.lock().expect("no panic");
        (far.reversed_by, far.babbles) = (200, true);
    }
    let log = FakeLog::new();
    log.append(804);
    let bench = Bench::start(log, far.clone());
    bench.drained().await;
    bench.assert_complete();
    assert!(bench.counters.unknown.load(Ordering::Relaxed) >= 804);
    bench.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_before_a_restart_is_not_sent_again() {
    let log = FakeLog::new();
    log.append(10);
    log.acknowledge(vec![SeqRange { first: 1, last: 30 }, SeqRange { first: 51, last: 60 }]);
    let bench = Bench::start(log, always(Answer::Acknowledge));
    bench.drained().await;
    let seqs = bench.far.lock().expect("no panic").seqs();
    assert_eq!(seqs, (31..=50).chain(61..=100).collect::<Vec<Seq>>());
}

#[tokio::test(start_paused = true)]
async fn a_block_that_cannot_be_decoded_is_reported_as_lost_and_the_rest_flows() {
    let log = FakeLog::new();
    log.append(3);
    if let Item::Block(block) = &mut log.0.items.lock().expect("no panic")[1] {
        block.payload = Bytes::from_static(b"garbage");
    }
    let bench = Bench::start(log, always(Answer::Acknowledge));
    bench.drained().await;
    let far = bench.far.lock().expect("no panic");
    let (gap, _) = &far.received[&Token { lane: Lane::Live, seq: 11, part: 0 }];
    assert!(std::str::from_utf8(&gap.payload).expect("UTF-8").contains("\"reason\":\"undecodable\""));
    assert_eq!(far.received.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_block_no_longer_holds_is_told_behind_what_it_holds() {
    let log = FakeLog::new();
    log.append(3);
    log.acknowledge(vec![SeqRange { first: 11, last: 12 }]);
    if let Item::Block(block) = &mut log.0.items.lock().expect("no panic")[1] {
        let places = [0, 3, 9];
        let held: Vec<Reading> = places.iter().map(|place| reading(11 + u64::from(*place))).collect();
        let mut payload = Vec::new();
        block.meta.codec = Encoder::new().expect("memory").encode_thinned(&held, &places, &mut payload);
        block.payload = payload.into();
    }
    let bench = Bench::start(log.clone(), always(Answer::Acknowledge));
    bench.drained().await;
    assert_eq!(log.low(), 31);
    let far = bench.far.lock().expect("no panic");
    let of_block =
        far.received.range(Token { lane: Lane::Live, seq: 11, part: 0 }..Token { lane: Lane::Live, seq: 21, part: 0 });
    let texts: Vec<&str> = of_block.map(|(_, (made, _))| std::str::from_utf8(&made.payload).expect("UTF-8")).collect();
    let [readings @ .., gap] = &texts[..] else { panic!("nothing came") };
    let seqs = |text: &str| [11, 14, 20].map(|seq| text.contains(&format!("\"seq\":{seq}")));
    let seen =
        readings.iter().map(|text| seqs(text)).fold([false; 3], |all, one| [0, 1, 2].map(|at| all[at] || one[at]));
    assert_eq!(seen, [true; 3], "{readings:?}");
    assert!(!readings.concat().contains("\"seq\":13"), "{readings:?}");
    for part in ["\"reason\":\"downsampled\"", "\"first\":11", "\"last\":20", "\"count\":7"] {
        assert!(gap.contains(part), "{gap}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_tells_the_log_what_has_arrived() {
    let log = FakeLog::new();
    log.append(5);
    let bench = Bench::start(log.clone(), always(Answer::Acknowledge));
    bench.until(|| bench.far.lock().expect("no panic").received.len() == 5).await;
    bench.end().await;
    assert_eq!(log.low(), 51);
}

#[tokio::test(start_paused = true)]
async fn commands_are_answered_to_the_far_side_that_sent_them() {
    let far = FarSide::new(|_| Answer::Acknowledge);
    let origin = Origin { door: CommandDoor::Mqtt, from: "cloud".into(), who: "".into(), role: Role::Operator };
    far.lock().expect("no panic").asks = (1..=3)
        .map(|place| Inbound {
            asked: Asked::Unreadable { origin: origin.clone(), key: None, why: "no JSON".into() },
            to: ReplyTo { place, ..ReplyTo::default() },
        })
        .collect();
    let bench = Bench::start(FakeLog::new(), far);
    bench.until(|| bench.far.lock().expect("no panic").answered.len() == 3).await;
    assert_eq!(bench.far.lock().expect("no panic").answered, [1, 2, 3]);
    bench.end().await;
}
