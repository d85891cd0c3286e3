//! What happens while the far side is away, silent or full.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_loses_nothing_and_reads_nothing_meanwhile() {
    let far = always(Answer::Acknowledge);
    far.lock().expect("no panic").refuses_connections = true;
    let bench = Bench::start(FakeLog::new(), far.clone());
    for _ in 0..360 {
        bench.log.append(5);
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(bench.log.low(), 1);
    assert!(bench.log.0.reads.lock().expect("no panic").is_empty(), "it reads while there is no connection");
    far.lock().expect("no panic").refuses_connections = false;
    bench.drained().await;
    bench.assert_complete();
}

/// As a primary host of Sparkplug that is offline, while its broker is there.
#[tokio::test(start_paused = true)]
async fn an_application_that_is_away_for_an_hour_gets_everything_and_its_broker_is_not_left() {
    let far = always(Answer::Acknowledge);
    let back = Instant::now() + Duration::from_secs(3_600);
    far.lock().expect("no panic").away_until = Some(back);
    let bench = Bench::start(FakeLog::new(), far.clone());
    for _ in 0..360 {
        bench.log.append(1);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(
            far.lock().expect("no panic").received.is_empty() || Instant::now() >= back,
            "nothing while it is away"
        );
    }
    bench.drained().await;
    bench.assert_complete();
    assert_eq!(far.lock().expect("no panic").connects.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_far_side_that_flaps_each_second_is_called_at_most_once_a_second_and_gets_everything() {
    let far = always(Answer::Acknowledge);
    far.lock().expect("no panic").up_for = Some(Duration::from_secs(1));
    let bench = Bench::start(FakeLog::new(), far.clone());
    let start = Instant::now();
    for _ in 0..600 {
        bench.log.append(1);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let connects = far.lock().expect("no panic").connects.len() as u64;
    assert!((20..=start.elapsed().as_secs()).contains(&connects), "{connects} connects");
    bench.drained().await;
    bench.assert_complete();
}

#[tokio::test(start_paused = true)]
async fn a_far_side_that_never_acknowledges_closes_the_window_and_is_called_anew() {
    let far = always(Answer::Silence);
    let log = FakeLog::new();
    log.append(3_000);
    let bench = Bench::start(log, far.clone());
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bench.log.low(), 1);
    {
        let far = far.lock().expect("no panic");
        assert!(far.outstanding_max <= window::MESSAGES_MAX, "{} outstanding", far.outstanding_max);
        assert!((5..=11).contains(&far.connects.len()), "{} connects", far.connects.len());
    }
    let reads = bench.log.0.reads.lock().expect("no panic").len();
    assert!(reads <= 64, "{reads} reads, though the window is closed");
    far.lock().expect("no panic").judge = Box::new(|_| Answer::Acknowledge);
    bench.drained().await;
    bench.assert_complete();
}

#[tokio::test(start_paused = true)]
async fn a_far_side_that_never_has_room_is_called_anew() {
    let (log, far) = (FakeLog::new(), always(Answer::Acknowledge));
    far.lock().expect("no panic").room = 0;
    log.append(2);
    let bench = Bench::start(log, far);
    bench.until(|| bench.far.lock().expect("no panic").connects.len() == 2).await;
    bench.far.lock().expect("no panic").room = 10_000;
    bench.drained().await;
    bench.assert_complete();
    bench.end().await;
}
