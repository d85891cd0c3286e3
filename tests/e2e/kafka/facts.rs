//! What the gateway's exactly once rests on: each fact about the broker, asked of a real one, new and old.

use forebay::uplink::kafka::batch::{Compression, Stamp};
use tests::kafka::{Cluster, Kafka, NEW, OLD, OLDEST};
use tests::wait;

use super::asks::{Asks, Records, now_ms};

const OUT_OF_ORDER: i16 = 45;
const INVALID_EPOCH: i16 = 47;

/// Producers whose newest record is older than this are forgotten, within a second or two.
const FORGET: &str = "producer.id.expiration.ms=3600000\nproducer.id.expiration.check.interval.ms=500\n\
    transaction.remove.expired.transaction.cleanup.interval.ms=1000\n";
const TWO_HOURS_MS: i64 = 2 * 3_600_000;

fn stamp(producer: i64, epoch: i16, sequence: i32) -> Stamp {
    Stamp { producer, epoch, sequence }
}

fn records<'a>(stamp: Stamp, values: &'a [&'a str]) -> Records<'a> {
    Records { stamp, values, time_ms: now_ms() }
}

#[test]
fn the_newest_broker_answers_as_the_producer_relies_on() {
    all_facts(NEW);
}

#[test]
fn an_old_broker_answers_as_the_producer_relies_on() {
    all_facts(OLD);
}

#[test]
fn the_oldest_broker_answers_as_the_producer_relies_on() {
    all_facts(OLDEST);
}

fn all_facts(version: &'static str) {
    let Some(kafka) = Kafka::of(&Cluster { version, settings: FORGET, ..Cluster::default() }) else { return };
    kafka.create("facts", 1, &[]);
    let mut asks = Asks::of(&kafka.bootstrap());
    a_producer_id_is_new_each_time_and_tied_to_no_connection(&mut asks, &kafka);
    the_last_five_batches_are_recognised_and_their_content_is_not_compared(&mut asks);
    a_hole_in_the_sequences_is_refused(&mut asks);
    a_higher_epoch_begins_at_zero_and_fences_the_lower(&mut asks);
    sequences_go_from_the_largest_to_zero(&mut asks);
    if version == NEW {
        // Brokers before 3.4 look only every ten minutes, whatever they are set to.
        what_is_forgotten_goes_by_the_time_of_the_records(&mut asks);
    }
    a_topic_made_anew_has_another_id_and_knows_nobody(&mut asks, &kafka);
    every_compression_is_taken(&mut asks);
}

fn a_producer_id_is_new_each_time_and_tied_to_no_connection(asks: &mut Asks, kafka: &Kafka) {
    let producer = asks.new_producer();
    assert_ne!(asks.new_producer(), producer);
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 0), &["a", "b"])).0, 0);
    let mut another = Asks::of(&kafka.bootstrap());
    assert_eq!(another.produce("facts", &records(stamp(producer, 0, 2), &["c"])).0, 0, "it goes on as if it were one");
    let state = another.producers("facts").into_iter().find(|state| state.id == producer).expect("it is remembered");
    assert_eq!((state.epoch, state.last_sequence), (0, 2));
}

fn the_last_five_batches_are_recognised_and_their_content_is_not_compared(asks: &mut Asks) {
    let producer = asks.new_producer();
    let offsets: Vec<i64> = (0..6)
        .map(|sequence| {
            let (error, offset) = asks.produce("facts", &records(stamp(producer, 0, sequence), &["x"]));
            assert_eq!(error, 0);
            offset
        })
        .collect();
    let end = asks.end("facts", 0);
    for sequence in 1..6 {
        let again = asks.produce("facts", &records(stamp(producer, 0, sequence), &["something else"]));
        assert_eq!(again, (0, offsets[sequence as usize]), "sequence {sequence}");
    }
    let (error, _) = asks.produce("facts", &records(stamp(producer, 0, 0), &["x"]));
    assert!(matches!(error, OUT_OF_ORDER | 46), "the sixth before the last is not recognised: {error}");
    assert_eq!(asks.end("facts", 0), end);
}

fn a_hole_in_the_sequences_is_refused(asks: &mut Asks) {
    let producer = asks.new_producer();
    // Without state any sequence is taken.
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 40), &["x"])).0, 0);
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 42), &["x"])).0, OUT_OF_ORDER);
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 41), &["x"])).0, 0);
}

fn a_higher_epoch_begins_at_zero_and_fences_the_lower(asks: &mut Asks) {
    let producer = asks.new_producer();
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 0), &["x"])).0, 0);
    let (error, _) = asks.produce("facts", &records(stamp(producer, 1, 1), &["x"]));
    assert_eq!(error, OUT_OF_ORDER, "a raised epoch begins at sequence 0");
    assert_eq!(asks.produce("facts", &records(stamp(producer, 1, 0), &["x"])).0, 0, "raised by the client itself");
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 1), &["x"])).0, INVALID_EPOCH);
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 0), &["x"])).0, INVALID_EPOCH, "a repeat, too");
    // Where nothing is remembered, an epoch of any height fences those below as well.
    let unknown = asks.new_producer();
    assert_eq!(asks.produce("facts", &records(stamp(unknown, 3, 0), &["x"])).0, 0);
    assert_eq!(asks.produce("facts", &records(stamp(unknown, 2, 0), &["x"])).0, INVALID_EPOCH);
}

fn sequences_go_from_the_largest_to_zero(asks: &mut Asks) {
    let producer = asks.new_producer();
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, i32::MAX - 1), &["x", "x", "x"])).0, 0);
    assert_eq!(asks.produce("facts", &records(stamp(producer, 0, 1), &["x"])).0, 0);
}

fn what_is_forgotten_goes_by_the_time_of_the_records(asks: &mut Asks) {
    let (old, new) = (asks.new_producer(), asks.new_producer());
    let long_ago = Records { stamp: stamp(old, 0, 0), values: &["x"], time_ms: now_ms() - TWO_HOURS_MS };
    assert_eq!(asks.produce("facts", &long_ago).0, 0);
    assert_eq!(asks.produce("facts", &records(stamp(new, 0, 0), &["x"])).0, 0);
    wait::for_it("the old one is forgotten", wait::SOON, || {
        asks.producers("facts").iter().all(|state| state.id != old)
    });
    assert!(asks.producers("facts").iter().any(|state| state.id == new), "the new one is not");
    let end = asks.end("facts", 0);
    assert_eq!(asks.produce("facts", &long_ago).0, 0);
    assert_eq!(asks.end("facts", 0), end + 1, "what is forgotten is taken twice");
}

fn a_topic_made_anew_has_another_id_and_knows_nobody(asks: &mut Asks, kafka: &Kafka) {
    kafka.create("anew", 1, &[]);
    let producer = asks.new_producer();
    assert_eq!(asks.produce("anew", &records(stamp(producer, 0, 7), &["x"])).0, 0);
    let before = asks.topic_id("anew");
    kafka.delete("anew");
    wait::for_it("the topic is gone", wait::SOON, || asks.topic_id("anew") != before);
    kafka.create("anew", 1, &[]);
    wait::for_it(
        "it has another id",
        wait::SOON,
        || !matches!(asks.topic_id("anew"), id if id == before || id == [0; 16]),
    );
    assert_eq!(asks.producers("anew"), []);
    assert_eq!(asks.produce("anew", &records(stamp(producer, 0, 7), &["x"])), (0, 0));
}

fn every_compression_is_taken(asks: &mut Asks) {
    let long = "many of the same ".repeat(5_000);
    for compression in Compression::ALL {
        let producer = asks.new_producer();
        let batch = Records { stamp: stamp(producer, 0, 0), values: &[&long, "and a short one"], time_ms: now_ms() };
        assert_eq!(asks.produce_in("facts", &batch, compression).0, 0, "{compression:?}");
    }
    let read = asks.records("facts", 0);
    let long_ones = read.iter().filter(|record| record.value.as_deref() == Some(long.as_bytes())).count();
    assert_eq!(long_ones, Compression::ALL.len(), "and comes back");
}
