//! Lines of a scripted driver, polled in virtual time.

use std::sync::{Mutex, MutexGuard};

use driver_core::{Quality, Reason};
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

use super::super::health::Health;
use super::super::process::Rule;
use super::super::tags::Tags;
use super::scripted::{Act, Done, Scripted, World, lock, no_spec, tag_of};
use super::*;
use crate::clock::test_clock::CountingClock;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A door that keeps what came, with the time of its coming.
#[derive(Default)]
struct Kept(Mutex<Vec<(Instant, Reading)>>);

impl Door for Arc<Kept> {
    fn spare(&self) -> Vec<Reading> {
        Vec::new()
    }

    fn offer(&self, readings: Vec<Reading>) -> bool {
        let now = Instant::now();
        self.0.lock().expect("no panic").extend(readings.into_iter().map(|reading| (now, reading)));
        true
    }
}

/// One line with one group a device, each polled once an interval.
struct Bench {
    world: Arc<Mutex<World>>,
    kept: Arc<Kept>,
    health: Arc<Health>,
    begun: Instant,
    lane: Option<mpsc::Sender<Write>>,
    /// Dropped, it ends the line though somebody could still write.
    end: Option<watch::Sender<()>>,
    folder: tempfile::TempDir,
}

impl Bench {
    /// Begins to poll in `tasks`.
    fn start(tasks: &LocalSet, interval: Duration, connect: Act, devices: &[Act]) -> Bench {
        let begun = Instant::now();
        let world = World::new(connect, devices);
        let kept = Arc::new(Kept::default());
        let health = Arc::new(Health::new([devices.iter().map(|_| 1)], begun.into_std()));
        let folder = tempfile::tempdir().expect("a folder");
        let tags = Arc::new(Tags::of_rules(&vec![Rule::PLAIN; devices.len()]));
        let shared = Shared {
            clock: Arc::new(CountingClock::default()),
            process: RefCell::new(Process::new(tags, Arc::default(), begun.into_std())),
            door: Box::new(kept.clone()),
            scheduling: Scheduling::Normal,
            finds: None,
            learned: LearnedFolder::within(folder.path()),
        };
        let setup = LineSetup {
            health: health.lines[0].clone(),
            name: "bus1".into(),
            spec: no_spec(),
            devices: (0..devices.len())
                .map(|device| DeviceSetup {
                    name: format!("device{device}").into(),
                    address: format!("scripted {device}").into(),
                    groups: vec![(interval, [tag_of(device)].into())],
                })
                .collect(),
            stagger: Duration::ZERO,
            make: Box::new({
                let world = world.clone();
                move || Ok(Box::new(Scripted::make(&world, begun)))
            }),
        };
        let (lane, end, way_in) = Lane::new();
        tasks.spawn_local(async move { supervise(setup, &shared, way_in).await });
        Bench { world, kept, health, begun, lane: Some(lane), end: Some(end), folder }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// When something was done.
    fn times(&self, which: Done) -> Vec<Duration> {
        self.world().done.iter().filter(|(_, done)| *done == which).map(|(at, _)| *at).collect()
    }

    /// The readings of a device that came between two times.
    fn readings(&self, device: usize, from: Duration, to: Duration) -> Vec<Quality> {
        let kept = self.kept.0.lock().expect("no panic");
        let within = kept.iter().filter(|(at, reading)| {
            reading.tag == tag_of(device) && (from..to).contains(&at.duration_since(self.begun))
        });
        within.map(|(_, reading)| reading.quality).collect()
    }

    async fn write(&self, device: usize, value: Value) -> oneshot::Receiver<Performed> {
        let (reply, outcome) = oneshot::channel();
        let until = (Instant::now() + 60 * SECOND).into_std();
        let write = Write { device, tag: tag_of(device), value, until, reply };
        self.lane.as_ref().expect("open").send(write).await.expect("the line takes writes");
        outcome
    }
}

/// Runs `scene` beside the lines that it starts.
async fn play<F: Future<Output = ()>>(scene: impl FnOnce(LocalSet) -> (LocalSet, F)) {
    let (tasks, scene) = scene(LocalSet::new());
    tasks.run_until(scene).await;
}

#[tokio::test(start_paused = true)]
async fn first_values_come_at_once_and_then_once_an_interval() {
    play(|tasks| {
        let bench = Bench::start(&tasks, 10 * SECOND, Act::Answers(MS), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(10 * MS).await;
            assert_eq!(bench.readings(0, Duration::ZERO, 10 * MS), [Quality::Good]);
            tokio::time::sleep(1000 * SECOND).await;
            assert!((100..=101).contains(&bench.times(Done::Poll(0)).len()));
            assert_eq!(bench.health.connected(), 1);
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_cannot_connect_reports_bad_at_once_and_each_interval() {
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Breaks(MS), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(10 * MS).await;
            assert_eq!(bench.readings(0, Duration::ZERO, 10 * MS), [Quality::Bad(Reason::NotConnected)]);
            tokio::time::sleep(600 * SECOND).await;
            let bad = bench.readings(0, SECOND, 601 * SECOND);
            assert!((599..=601).contains(&bad.len()), "{}", bad.len());
            let connects = bench.times(Done::Connect).len();
            assert!((20..=80).contains(&connects), "{connects} connects in ten minutes");
            bench.world().connect = Act::Answers(MS);
            tokio::time::sleep(40 * SECOND).await;
            assert_eq!(bench.readings(0, 635 * SECOND, 640 * SECOND).first(), Some(&Quality::Good));
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_hangs_does_not_keep_readings_or_writes_waiting() {
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Breaks(60 * SECOND), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(30 * SECOND).await;
            let bad = bench.readings(0, Duration::ZERO, 30 * SECOND);
            assert!((28..=30).contains(&bad.len()), "{}", bad.len());
            let outcome = bench.write(0, Value::Int(1)).await.await.expect("an answer");
            assert!(matches!(outcome, Performed::Refused(_)));
            assert!(bench.begun.elapsed() < 31 * SECOND);
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_unit_leaves_the_healthy_ones_their_cadence() {
    play(|tasks| {
        let mut devices = vec![Act::Answers(5 * MS); 10];
        devices[3] = Act::Silent(500 * MS);
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &devices);
        (tasks, async move {
            tokio::time::sleep(300 * SECOND).await;
            for device in (0..10).filter(|device| *device != 3) {
                let good = bench.readings(device, Duration::ZERO, 300 * SECOND);
                assert!(good.len() >= 285 && good.iter().all(|quality| *quality == Quality::Good), "{}", good.len());
            }
            let dead = bench.readings(3, 10 * SECOND, 300 * SECOND);
            assert!(dead.len() >= 285, "a bad reading each cycle, at once: {}", dead.len());
            assert!(dead.iter().all(|quality| *quality == Quality::Bad(Reason::Suspended)));
            assert_eq!(bench.times(Done::Poll(3)).len(), 3);
            assert!((4..=60).contains(&bench.times(Done::Touch(3)).len()), "{:?}", bench.times(Done::Touch(3)));

            bench.world().devices[3] = Act::Answers(5 * MS);
            tokio::time::sleep(120 * SECOND).await;
            let back = bench.readings(3, 365 * SECOND, 420 * SECOND);
            assert!(back.len() >= 50 && back.iter().all(|quality| *quality == Quality::Good), "{back:?}");
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nobody_answers_is_made_anew() {
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &[Act::Answers(MS), Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(10 * SECOND).await;
            bench.world().devices.fill(Act::Silent(200 * MS));
            tokio::time::sleep(60 * SECOND).await;
            assert!(bench.times(Done::Connect).len() >= 2);
            assert!(!bench.times(Done::Close).is_empty());
            bench.world().devices[1] = Act::Answers(MS);
            tokio::time::sleep(40 * SECOND).await;
            assert_eq!(bench.readings(1, 105 * SECOND, 110 * SECOND).first(), Some(&Quality::Good));
            assert_ne!(bench.readings(0, 105 * SECOND, 110 * SECOND).first(), Some(&Quality::Good));
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_without_power_keeps_reporting_each_cycle_and_comes_back_whole() {
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &[Act::Silent(500 * MS); 10]);
        (tasks, async move {
            tokio::time::sleep(200 * SECOND).await;
            for device in 0..10 {
                let dead = bench.readings(device, 50 * SECOND, 200 * SECOND);
                assert!((145..=160).contains(&dead.len()), "{}", dead.len());
                assert!(dead.iter().all(|quality| *quality == Quality::Bad(Reason::Suspended)), "{dead:?}");
            }
            bench.world().devices.fill(Act::Answers(MS));
            tokio::time::sleep(100 * SECOND).await;
            for device in 0..10 {
                let back = bench.readings(device, 290 * SECOND, 300 * SECOND);
                assert!(back.len() >= 9 && back.iter().all(|quality| *quality == Quality::Good), "{device}: {back:?}");
            }
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_always_busy_still_touches_its_dead_unit() {
    play(|tasks| {
        let devices = [Act::Answers(400 * MS), Act::Answers(400 * MS), Act::Answers(400 * MS), Act::Silent(500 * MS)];
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &devices);
        (tasks, async move {
            tokio::time::sleep(100 * SECOND).await;
            bench.world().devices[3] = Act::Answers(10 * MS);
            tokio::time::sleep(100 * SECOND).await;
            assert_eq!(bench.readings(3, 190 * SECOND, 200 * SECOND).last(), Some(&Quality::Good));
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_thirty_seconds_gives_one_poll_and_is_counted() {
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(5 * SECOND).await;
            let before = bench.times(Done::Poll(0)).len();
            tokio::time::advance(30 * SECOND).await;
            tokio::time::sleep(10 * MS).await;
            assert_eq!(bench.times(Done::Poll(0)).len(), before + 1);
            let missed = bench.health.lines[0].missed.load(std::sync::atomic::Ordering::Relaxed);
            assert!((28..=30).contains(&missed), "{missed}");
            tokio::time::sleep(10 * SECOND).await;
            assert!((10..=12).contains(&(bench.times(Done::Poll(0)).len() - before)));
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panicking_driver_is_made_anew_and_its_tags_are_bad_meanwhile() {
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(20 * SECOND).await;
            bench.world().devices[0] = Act::Panics;
            tokio::time::sleep(20 * SECOND).await;
            let made = bench.world().made;
            assert!((3..=20).contains(&made), "made {made} times");
            bench.world().devices[0] = Act::Answers(MS);
            tokio::time::sleep(60 * SECOND).await;
            let after = bench.readings(0, 80 * SECOND, 100 * SECOND);
            assert!(after.len() >= 19 && after.iter().all(|quality| *quality == Quality::Good), "{after:?}");
            let outcome = bench.write(0, Value::Int(4)).await.await.expect("an answer");
            assert_eq!(outcome, Performed::Written(Value::Int(4)));
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_line_that_panics_or_hangs_does_not_delay_another() {
    play(|tasks| {
        let hung = Bench::start(&tasks, 100 * MS, Act::Answers(MS), &[Act::Silent(30 * SECOND)]);
        let mad = Bench::start(&tasks, 100 * MS, Act::Answers(MS), &[Act::Panics]);
        let well = Bench::start(&tasks, 100 * MS, Act::Answers(MS), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(10 * SECOND).await;
            assert!((97..=101).contains(&well.times(Done::Poll(0)).len()));
            assert_eq!(hung.times(Done::Poll(0)).len(), 1);
            assert!(mad.world().made > 1);
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn writes_overtake_polls() {
    play(|tasks| {
        let busy = [Act::Answers(100 * MS); 20];
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &busy);
        (tasks, async move {
            tokio::time::sleep(3 * SECOND).await;
            let asked = bench.begun.elapsed();
            let outcome = bench.write(5, Value::Int(9)).await.await.expect("an answer");
            assert_eq!(outcome, Performed::Written(Value::Int(9)));
            assert!(bench.begun.elapsed() - asked <= 201 * MS, "{:?}", bench.begun.elapsed() - asked);
            assert_eq!(bench.times(Done::Write(5)).len(), 1);
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn writes_overtake_the_requests_of_a_poll() {
    play(|tasks| {
        let bench = Bench::start(&tasks, 60 * SECOND, Act::Answers(MS), &[Act::AnswersInParts(100, 100 * MS)]);
        (tasks, async move {
            tokio::time::sleep(3 * SECOND).await;
            let asked = bench.begun.elapsed();
            let outcome = bench.write(0, Value::Int(9)).await.await.expect("an answer");
            assert_eq!(outcome, Performed::Written(Value::Int(9)));
            assert!(bench.begun.elapsed() - asked <= 201 * MS, "{:?}", bench.begun.elapsed() - asked);
            tokio::time::sleep(10 * SECOND).await;
            assert_eq!((bench.times(Done::Poll(0)).len(), bench.times(Done::Write(0)).len()), (100, 1));
            assert_eq!(bench.readings(0, Duration::ZERO, 20 * SECOND), [Quality::Good], "one poll, one reading");
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_in_the_middle_of_which_a_write_breaks_the_connection_has_its_readings_all_the_same() {
    play(|tasks| {
        let bench = Bench::start(&tasks, 60 * SECOND, Act::Answers(MS), &[Act::AnswersInParts(100, 100 * MS)]);
        (tasks, async move {
            tokio::time::sleep(3 * SECOND).await;
            let write = bench.write(0, Value::Int(9)).await;
            bench.world().devices[0] = Act::Breaks(MS);
            assert!(matches!(write.await, Ok(Performed::Lost(_))));
            bench.world().devices[0] = Act::Answers(MS);
            let at = bench.begun.elapsed();
            tokio::time::sleep(10 * SECOND).await;
            assert_eq!(bench.times(Done::Connect).len(), 2);
            let readings = bench.readings(0, at, at + 10 * SECOND);
            assert_eq!(readings.last(), Some(&Quality::Good), "what it holds is read soon: {readings:?}");
            assert_eq!(bench.health.lines[0].silent.load(std::sync::atomic::Ordering::Relaxed), 0, "nobody was silent");
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_time_has_passed_behind_a_poll_is_not_done() {
    play(|tasks| {
        let bench = Bench::start(&tasks, 60 * SECOND, Act::Answers(MS), &[Act::Silent(90 * SECOND)]);
        (tasks, async move {
            tokio::time::sleep(SECOND).await;
            assert_eq!(bench.write(0, Value::Int(9)).await.await, Ok(Performed::TooLate));
            assert!(bench.times(Done::Write(0)).is_empty());
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_a_write_that_breaks_the_connection_is_not_known() {
    play(|tasks| {
        let bench = Bench::start(&tasks, 60 * SECOND, Act::Answers(MS), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(SECOND).await;
            bench.world().devices[0] = Act::Breaks(MS);
            assert!(matches!(bench.write(0, Value::Int(9)).await.await, Ok(Performed::Lost(_))));
            bench.world().devices[0] = Act::Answers(MS);
            let at = bench.begun.elapsed();
            tokio::time::sleep(10 * SECOND).await;
            assert_eq!(bench.readings(0, at, at + 10 * SECOND), [Quality::Good], "what it holds is read soon");
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_stopped_closes_its_connection_and_keeps_what_it_learned() {
    // It is told to end, or nobody is left who could write.
    let ends: [fn(&mut Bench); 2] = [|bench| bench.lane = None, |bench| bench.end = None];
    for end in ends {
        play(|tasks| {
            let mut bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &[Act::Answers(MS)]);
            (tasks, async move {
                tokio::time::sleep(2 * SECOND).await;
                assert!(bench.lane.is_some() && bench.end.is_some());
                end(&mut bench);
                tokio::time::sleep(SECOND).await;
                assert_eq!(bench.times(Done::Close).len(), 1);
                assert_eq!(bench.times(Done::Poll(0)).last().map(|at| *at < 3 * SECOND), Some(true));
                assert_eq!(bench.health.connected(), 0);
                let learned = LearnedFolder::within(bench.folder.path()).load("device0", "scripted 0");
                assert_eq!(learned.as_deref(), Some("hr 7 is refused"));
            })
        })
        .await;
    }
}

/// What was written to the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_closes_each_connection_is_told_of_once_and_again_when_it_answers() {
    let told = Lines::default();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Mutex::new(told.clone())).finish();
    let _logging = tracing::subscriber::set_default(log);
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Answers(MS), &[Act::Breaks(MS)]);
        (tasks, async move {
            tokio::time::sleep(120 * SECOND).await;
            assert!(bench.times(Done::Connect).len() > 5);
            bench.world().devices[0] = Act::Answers(MS);
            tokio::time::sleep(60 * SECOND).await;
        })
    })
    .await;
    let told = String::from_utf8(told.0.lock().expect("no panic").clone()).expect("text");
    let words: Vec<bool> = told.lines().map(|line| line.contains("not connected")).collect();
    assert_eq!(words, [false, true, false], "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_needs_another_remedy_than_before_is_told_of_again() {
    let told = Lines::default();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Mutex::new(told.clone())).finish();
    let _logging = tracing::subscriber::set_default(log);
    play(|tasks| {
        let bench = Bench::start(&tasks, SECOND, Act::Refuses(MS, "Switch it on"), &[Act::Answers(MS)]);
        (tasks, async move {
            tokio::time::sleep(120 * SECOND).await;
            bench.world().connect = Act::Refuses(MS, "Trust it");
            tokio::time::sleep(120 * SECOND).await;
            bench.world().connect = Act::Answers(MS);
            tokio::time::sleep(60 * SECOND).await;
        })
    })
    .await;
    let told = String::from_utf8(told.0.lock().expect("no panic").clone()).expect("text");
    let lines: Vec<&str> = told.lines().collect();
    let is = |line: &str, word: &str| line.contains(word);
    assert_eq!(lines.len(), 3, "{told}");
    assert!(is(lines[0], "Switch it on") && is(lines[1], "Trust it") && is(lines[2], "connected"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_fills_its_interval_is_not_taken_for_stuck() {
    play(|tasks| {
        let bench = Bench::start(&tasks, 300 * SECOND, Act::Answers(MS), &[Act::Answers(250 * SECOND)]);
        (tasks, async move {
            while bench.times(Done::Poll(0)).is_empty() {
                tokio::time::sleep(SECOND).await;
            }
            tokio::time::sleep(240 * SECOND).await;
            assert_eq!(bench.health.stuck(Instant::now().into_std()), None);
        })
    })
    .await;
}
