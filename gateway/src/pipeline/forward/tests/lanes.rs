//! What is new goes first, the backlog follows, and nothing is lost in whichever order.

use proptest::prelude::*;

use super::super::replay::{Job, JobState, Range, What};
use super::super::retry;
use super::*;

/// So many blocks are a backlog.
const BACKLOG: u64 = 1_000;

/// The lane and the seqs of each message, as it came.
type Notes = Arc<Mutex<Vec<(Lane, SeqRange)>>>;

/// A far side that notes what comes.
fn noting() -> (Arc<Mutex<FarSide>>, Notes) {
    let notes = Notes::default();
    let noted = notes.clone();
    let far = FarSide::new(move |message| {
        noted.lock().expect("no panic").push((message.lane(), message.seqs));
        Answer::Acknowledge
    });
    (far, notes)
}

fn firsts(notes: &[(Lane, SeqRange)], lane: Lane) -> Vec<Seq> {
    notes.iter().filter(|(of, _)| *of == lane).map(|(_, seqs)| seqs.first).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_new_overtakes_a_backlog_which_is_marked_as_history() {
    let log = FakeLog::new();
    log.append(BACKLOG);
    let (far, notes) = noting();
    let bench = Bench::start(log, far);
    bench.until(|| bench.counters.connected.load(Ordering::Relaxed)).await;
    bench.log.append(1);
    bench.drained().await;
    bench.assert_complete();
    let notes = notes.lock().expect("no panic").clone();
    let (live, history) = (firsts(&notes, Lane::Live), firsts(&notes, Lane::History));
    assert_eq!(live, [10 * BACKLOG + 1]);
    assert_eq!(history, (0..BACKLOG).map(|block| 10 * block + 1).collect::<Vec<Seq>>(), "oldest first, each once");
    let place = notes.iter().position(|(lane, _)| *lane == Lane::Live).expect("it came");
    assert!(place < 700, "the new block came after {place} of the backlog");
    assert!(text_of(&bench, Lane::History, 1).contains("\"lane\":\"history\""));
    assert!(!text_of(&bench, Lane::Live, 10 * BACKLOG + 1).contains("lane"));
}

fn text_of(bench: &Bench, lane: Lane, seq: Seq) -> String {
    let far = bench.far.lock().expect("no panic");
    let (message, _) = &far.received[&Token { lane, seq, part: 0 }];
    String::from_utf8(message.payload.to_vec()).expect("UTF-8")
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_backlog_stays_history_after_a_restart() {
    let log = FakeLog::new();
    log.append(BACKLOG);
    let far = FarSide::new(|message| match message.lane() {
        Lane::History if message.seqs.first > 9_000 => Answer::Silence,
        _ => Answer::Acknowledge,
    });
    let bench = Bench::start(log.clone(), far);
    bench.until(|| bench.counters.connected.load(Ordering::Relaxed)).await;
    log.append(1);
    bench.until(|| log.low() > 9_000).await;
    let folder = bench.end().await;
    let (far, notes) = noting();
    let bench = Bench::over(folder, Drain::LiveFirst, log, far);
    bench.log.append(1);
    bench.drained().await;
    let notes = notes.lock().expect("no panic").clone();
    assert_eq!(firsts(&notes, Lane::Live), [10 * BACKLOG + 11], "what was live before is not overtaken");
    assert_eq!(firsts(&notes, Lane::History), (900..BACKLOG).map(|block| 10 * block + 1).collect::<Vec<Seq>>());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_needs_the_order_gets_it() {
    let log = FakeLog::new();
    log.append(BACKLOG);
    let (far, notes) = noting();
    let bench = Bench::draining(Drain::OldestFirst, log, far);
    bench.until(|| bench.counters.connected.load(Ordering::Relaxed)).await;
    bench.log.append(50);
    bench.drained().await;
    bench.assert_complete();
    let live = firsts(&notes.lock().expect("no panic"), Lane::Live);
    assert!(live.is_sorted() && live.len() as u64 == BACKLOG + 50);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_told_of_the_last_block_also_where_its_end_was_seen_after_its_answer() {
    // With one of these lengths the last message fills a burst: the end of its block is seen in the next one only.
    for blocks in 22..=40 {
        let log = FakeLog::new();
        (0..blocks).for_each(|_| log.append_block(100));
        // Most of the last burst is on its way when the connection ends.
        let silent_from = 100 * (blocks - 15);
        let far = FarSide::new(move |message| match message.seqs.first > silent_from {
            true => Answer::Silence,
            false => Answer::Acknowledge,
        });
        far.lock().expect("no panic").up_for = Some(Duration::from_secs(30));
        let bench = Bench::start(log, far);
        bench.until(|| bench.counters.losses.load(Ordering::Relaxed) == 1).await;
        {
            let mut far = bench.far.lock().expect("no panic");
            (far.up_for, far.judge) = (None, Box::new(|_: &Message| Answer::Acknowledge));
        }
        bench.drained().await;
        bench.assert_complete();
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_a_backlog_may_go_first() {
    let log = FakeLog::new();
    log.append(5 * BACKLOG);
    let (far, notes) = noting();
    let bench = Bench::draining(Drain::NewestFirst, log, far);
    bench.drained().await;
    bench.assert_complete();
    let history = firsts(&notes.lock().expect("no panic"), Lane::History);
    assert_eq!(history.len() as u64, 5 * BACKLOG + 3, "blocks on an edge between two chunks come in parts");
    assert!(history[0] > 30_000 && history[history.len() - 1] < 20_000, "{:?}", &history[..3]);
}

#[tokio::test(start_paused = true)]
async fn a_far_side_with_room_for_one_message_gets_live_and_history() {
    let log = FakeLog::new();
    log.append(BACKLOG / 2);
    let far = always(Answer::Acknowledge);
    far.lock().expect("no panic").room = 1;
    let bench = Bench::start(log, far);
    bench.until(|| bench.counters.connected.load(Ordering::Relaxed)).await;
    for _ in 0..50 {
        bench.log.append(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.drained().await;
    bench.assert_complete();
}

#[tokio::test(start_paused = true)]
async fn a_month_of_short_outages_keeps_what_the_cursor_can_hold() {
    let far = always(Answer::Acknowledge);
    far.lock().expect("no panic").up_for = Some(Duration::from_millis(300));
    let bench = Bench::start(FakeLog::new(), far.clone());
    for _ in 0..60 {
        bench.log.append(300);
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    far.lock().expect("no panic").up_for = None;
    bench.drained().await;
    bench.assert_complete();
}

fn job(from_ns: i64, to_ns: i64, tag: &str) -> Job {
    Job::asked("cloud", What::Range(Range { from_ns, to_ns: Some(to_ns), tags: vec![tag.into()] }))
}

#[tokio::test]
async fn a_range_is_sent_once_more_with_its_identities_and_its_job() {
    let log = FakeLog::new();
    log.append(100);
    let bench = Bench::start(log, always(Answer::Acknowledge));
    bench.drained().await;
    let jobs = Jobs::beside(bench.folder.path());
    let other = jobs.add(job(1, 2_000, "mixer.*")).expect("added");
    let number = jobs.add(job(205, 395, "press.c*")).expect("added");
    let is_done = |number| jobs.get(number).expect("readable").is_some_and(|job| job.state == JobState::Done);
    bench.until(|| is_done(other) && is_done(number)).await;
    let done = jobs.get(number).expect("readable").expect("a job");
    assert_eq!(done.sent, 190);
    assert_eq!(jobs.get(other).expect("readable").map(|job| job.sent), Some(0));
    let far = bench.far.lock().expect("no panic");
    let again: Vec<&Arc<Message>> =
        far.received.values().map(|(message, _)| message).filter(|m| m.lane() != Lane::Live).collect();
    assert!(again.iter().all(|message| message.lane() == Lane::Replay(number)));
    let seqs = |message: &Message| {
        let json: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
        assert_eq!((&json["lane"], &json["job"], &json["epoch"]), (&"replay".into(), &number.into(), &3.into()));
        let readings = json["readings"].as_array().expect("readings").clone();
        readings.iter().map(|reading| reading["seq"].as_u64().expect("a seq")).collect::<Vec<Seq>>()
    };
    let sent: Vec<Seq> = again.iter().flat_map(|message| seqs(message)).collect();
    assert_eq!(sent, (205..395).collect::<Vec<Seq>>());
    assert_eq!(bench.log.low(), 1_001, "a replay moves no cursor");
}

#[tokio::test]
async fn a_replay_goes_on_after_a_restart_where_it_stood() {
    let log = FakeLog::new();
    log.append(100);
    log.acknowledge(vec![SeqRange { first: 1, last: 1_000 }]);
    let bench = Bench::start(log, always(Answer::Acknowledge));
    let jobs = Jobs::beside(bench.folder.path());
    let begun = Job { state: JobState::Running, next: Some(901), end: Some(1_001), sent: 900, ..job(1, 5_000, "*") };
    let number = jobs.add(begun).expect("added");
    bench.until(|| jobs.get(number).expect("readable").is_some_and(|job| job.state == JobState::Done)).await;
    assert_eq!(jobs.get(number).expect("readable").map(|job| job.sent), Some(1_000));
    assert_eq!(bench.far.lock().expect("no panic").received.len(), 10);
}

/// What lies in quarantine, by its payload.
fn in_quarantine(bench: &Bench) -> Vec<String> {
    let messages = Quarantine::beside(bench.folder.path(), "cloud").messages().expect("readable");
    let payload = |kept: quarantine::Kept| String::from_utf8(kept.payload().expect("whole")).expect("UTF-8");
    messages.map(|kept| payload(kept.expect("readable"))).collect()
}

#[tokio::test]
async fn what_lies_in_quarantine_is_offered_once_more_and_leaves_it_when_the_far_side_has_it() {
    let log = FakeLog::new();
    log.append(3);
    let far = FarSide::new(|message| match &*message.payload {
        b"poison" => Answer::Refuse(Lasting::ForThisMessage),
        _ => Answer::Acknowledge,
    });
    let bench = Bench::start(log, far.clone());
    bench.drained().await;
    let quarantine = Quarantine::beside(bench.folder.path(), "cloud");
    for (seq, payload) in [(5, "first"), (6, "poison"), (7, "third")] {
        let message = Message {
            token: Token { lane: Lane::Live, seq, part: 0 },
            topic: "plant/press".into(),
            key: Some(Bytes::from_static(b"press")),
            payload: Bytes::from_static(payload.as_bytes()),
            time: Some(Timestamp(seq as i64)),
            content_type: "application/json".into(),
            epoch: 2,
            seqs: SeqRange { first: seq, last: seq },
            readings: 1,
        };
        quarantine.keep(&message, "too odd").expect("kept");
    }
    let jobs = Jobs::beside(bench.folder.path());
    let done = async |numbers: &[u64]| {
        let numbers = numbers.iter().copied().collect();
        let number = retry::ask(bench.folder.path(), "cloud", &numbers).expect("asked");
        bench.until(|| jobs.get(number).expect("readable").is_some_and(|job| job.state == JobState::Done)).await;
        let job = jobs.get(number).expect("readable").expect("a job");
        (job.sent, job.refused)
    };
    assert_eq!(done(&[3]).await, (1, 0));
    assert_eq!(in_quarantine(&bench), ["first", "poison"]);
    assert!(retry::ask(bench.folder.path(), "cloud", &[3].into()).is_err(), "there is none of this number any more");
    tokio::time::pause();
    assert_eq!(done(&[]).await, (1, 1));
    assert_eq!(in_quarantine(&bench), ["poison"], "it stays, and stands there once");
    let far = far.lock().expect("no panic");
    let again: Vec<&Arc<Message>> =
        far.received.values().map(|(message, _)| message).filter(|m| m.epoch == 2).collect();
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|message| message.key.as_deref() == Some(b"press") && message.lane().job().is_some()));
    assert_eq!(bench.log.low(), 31, "it moves no cursor");
}

fn drains() -> impl Strategy<Value = Drain> {
    prop_oneof![Just(Drain::LiveFirst), Just(Drain::OldestFirst), Just(Drain::NewestFirst)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The task is dropped at any moment, which is what a kill does to it; the log keeps what it was told.
    #[test]
    fn nothing_is_lost_over_kills_outages_and_acknowledgements_in_any_order(
        drain in drains(),
        lives in proptest::collection::vec((0_u64..800, 1_u64..4_000, 0_usize..40, 20_u64..3_000), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("one");
        runtime.block_on(async {
            let log = FakeLog::new();
            let far = always(Answer::Acknowledge);
            for (blocks, runs_ms, reversed_by, up_ms) in lives {
                log.append(blocks);
                {
                    let mut far = far.lock().expect("no panic");
                    (far.reversed_by, far.up_for) = (reversed_by, Some(Duration::from_millis(up_ms)));
                }
                let bench = Bench::draining(drain, log.clone(), far.clone());
                for _ in 0..4 {
                    tokio::time::sleep(Duration::from_millis(runs_ms / 4)).await;
                    log.append(blocks / 8);
                }
                bench.task.abort();
            }
            {
                let mut far = far.lock().expect("no panic");
                (far.reversed_by, far.up_for) = (0, None);
            }
            let bench = Bench::draining(drain, log, far);
            bench.drained().await;
            let mut seqs = bench.far.lock().expect("no panic").seqs();
            seqs.sort_unstable();
            seqs.dedup();
            assert_eq!(seqs, (1..*bench.log.0.end.borrow()).collect::<Vec<Seq>>());
        });
    }
}
