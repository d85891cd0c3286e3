//! What the far side will not take: what is set aside, what is halved, what is offered again.

use super::*;

#[tokio::test(start_paused = true)]
async fn of_a_refused_message_the_reading_that_is_not_wanted_alone_is_set_aside_and_declared() {
    let far = FarSide::new(|message| match message.readings > 0 && message.seqs.contains(25) {
        true => Answer::Refuse(Lasting::ForThisMessage),
        false => Answer::Acknowledge,
    });
    let log = FakeLog::new();
    log.append(20);
    let bench = Bench::start(log, far.clone());
    bench.drained().await;
    bench.assert_complete();
    let gap = gaps(&far).pop().expect("a gap in its place");
    assert_eq!((&gap["first"], &gap["last"], &gap["count"]), (&25.into(), &25.into(), &1.into()));
    assert_eq!((&gap["reason"], &gap["from"]), (&"quarantined".into(), &gap["to"]));
    let kept = std::fs::read_to_string(bench.folder.path().join("quarantine/cloud.jsonl")).expect("a quarantine");
    assert_eq!(kept.lines().count(), 1);
    assert!(kept.contains("\"reason\":\"not wanted\"") && kept.contains("\"first\":25,\"last\":25"), "{kept}");
    assert_eq!(bench.counters.set_aside.load(Ordering::Relaxed), 1);
    // Ten readings: three offers of the whole, and one of each part that holds it.
    assert!((6..=7).contains(&bench.counters.refused.load(Ordering::Relaxed)));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_never_taken_is_set_aside_by_the_message() {
    let far = FarSide::new(|message| match message.topic.contains('$') {
        true => Answer::Acknowledge,
        false => Answer::Refuse(Lasting::ForThisMessage),
    });
    let log = FakeLog::new();
    log.append(3);
    let bench = Bench::start(log, far);
    bench.drained().await;
    assert_eq!(bench.counters.set_aside.load(Ordering::Relaxed), 3);
    assert_eq!(bench.counters.refused.load(Ordering::Relaxed), 3 * u64::from(window::TRIES_MAX));
    let declared: Vec<_> = gaps(&bench.far).iter().map(|gap| (gap["first"].clone(), gap["count"].clone())).collect();
    assert_eq!(declared, [(1.into(), 10.into()), (11.into(), 10.into()), (21.into(), 10.into())]);
}

#[tokio::test(start_paused = true)]
async fn a_far_side_that_takes_no_gaps_either_gets_the_rest_and_the_quarantine_each_reading_once() {
    let far = FarSide::new(|message| match message.topic.contains('$') || message.seqs.contains(25) {
        true => Answer::Refuse(Lasting::ForThisMessage),
        false => Answer::Acknowledge,
    });
    let log = FakeLog::new();
    log.append(20);
    let bench = Bench::start(log, far.clone());
    bench.drained().await;
    let mut seqs = far.lock().expect("no panic").seqs();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=24).chain(26..=200).collect::<Vec<Seq>>());
    let kept = std::fs::read_to_string(bench.folder.path().join("quarantine/cloud.jsonl")).expect("a quarantine");
    assert_eq!((kept.lines().count(), bench.counters.set_aside.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn of_a_message_at_which_the_far_side_closes_one_reading_is_set_aside() {
    let far = FarSide::new(|message| match message.readings > 0 && message.seqs.contains(25) {
        true => Answer::Close,
        false => Answer::Acknowledge,
    });
    let log = FakeLog::new();
    log.append(20);
    let bench = Bench::start(log, far.clone());
    bench.drained().await;
    bench.assert_complete();
    assert_eq!(gaps(&far).len(), 1);
    assert_eq!(bench.counters.set_aside.load(Ordering::Relaxed), 1);
}

/// A far side of MQTT 3.1.1 cannot say how much it takes.
#[tokio::test(start_paused = true)]
async fn batches_at_which_the_far_side_closes_are_halved_soon_and_the_rest_flows() {
    const READINGS_MAX: u64 = 30;
    let far = FarSide::new(|message| match message.seqs.count() > READINGS_MAX {
        true => Answer::Close,
        false => Answer::Acknowledge,
    });
    let log = FakeLog::new();
    for _ in 0..20 {
        log.append_block(100);
        log.append_block(1);
    }
    let start = Instant::now();
    let bench = Bench::start(log, far.clone());
    let is_single = |message: &Message| message.seqs.count() == 1;
    bench.until(|| far.lock().expect("no panic").received.values().any(|(message, _)| is_single(message))).await;
    // Three ends, after which it waits for up to 2, 4 and 8 s, one of the batch alone, and one of a half.
    assert!(start.elapsed() < Duration::from_secs(19), "the rest waited for {:?}", start.elapsed());
    bench.drained().await;
    assert!(start.elapsed() < Duration::from_secs(25), "all of it took {:?}", start.elapsed());
    bench.assert_complete();
    assert_eq!(bench.counters.set_aside.load(Ordering::Relaxed), 0);
    assert!(far.lock().expect("no panic").connects.len() <= 6);
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_is_exceeded_for_an_hour_costs_no_message() {
    let until = Instant::now() + Duration::from_secs(3_000);
    let far = FarSide::new(move |_| match Instant::now() < until {
        true => Answer::Refuse(Lasting::ForNow),
        false => Answer::Acknowledge,
    });
    let log = FakeLog::new();
    log.append(20);
    let bench = Bench::start(log, far);
    bench.drained().await;
    bench.assert_complete();
    assert_eq!(bench.counters.set_aside.load(Ordering::Relaxed), 0);
}
