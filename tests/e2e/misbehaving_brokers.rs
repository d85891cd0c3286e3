//! F6 and F28: brokers that are wrong, and what they will not take.

use std::time::Duration;

use hardware_sim::broker::Misbehaviour;
use hardware_sim::modbus::Plant;
use tests::broker::Broker;
use tests::field::Field;
use tests::oracle::{compare, holes};
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::outages::wide_device;
use crate::rig::{
    COUNTER, Counting, PLC, answers, counter, counting_device, embedded, file, nothing_is_missing, running, tcp,
};

/// A gateway that waits for the answer to its CONNECT gives up after 20 s, and then pauses before it tries again.
const ANSWERED_WITHIN: Duration = Duration::from_secs(45);
const WINDOW_MAX: u64 = 1000;
const MEMORY_GROWS_AT_MOST_KIB: u64 = 8 * 1024;

#[test]
fn closes_its_window_when_nothing_is_acknowledged_and_sends_again_marked_as_duplicate() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &url));
    let gateway = site.start();
    running(&recorder);
    let memory = gateway.resident_kib();
    broker.misbehave(Misbehaviour::NeverAcknowledge);
    wait::pass(Duration::from_secs(8));
    let grown = gateway.resident_kib().saturating_sub(memory);
    assert!(grown <= MEMORY_GROWS_AT_MOST_KIB, "memory grew by {grown} KiB");
    let open = broker.counts().unacknowledged_max;
    assert!((1..=WINDOW_MAX).contains(&open), "{open} messages were under way at once");
    broker.misbehave(Misbehaviour::None);
    broker.disconnect_all();
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    assert!(broker.counts().duplicates > 0, "what was sent again bears the duplicate flag");
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

/// Lets the broker be wrong for a while with broken connections between, then right, and expects everything.
fn survives(wrong: &Misbehaviour) {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &url));
    let mut gateway = site.start();
    running(&recorder);
    broker.misbehave(wrong.clone());
    for _ in 0..3 {
        answers(&plc.oracle, 12);
        broker.disconnect_all();
    }
    answers(&plc.oracle, 12);
    broker.misbehave(Misbehaviour::None);
    recorder.next_good_within(PLC, COUNTER, ANSWERED_WITHIN);
    plc.all_arrive(&recorder, wait::SOON);
    assert!(gateway.ended().is_none(), "the gateway lives");
    drop(gateway);
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn delivers_everything_when_acknowledgements_come_out_of_order() {
    survives(&Misbehaviour::AcknowledgeOutOfOrder);
}

#[test]
fn delivers_everything_when_unknown_ids_are_acknowledged() {
    survives(&Misbehaviour::AcknowledgeUnknown);
}

#[test]
fn delivers_everything_when_connect_is_never_answered_for_a_while() {
    survives(&Misbehaviour::NeverConnAck);
}

#[test]
fn delivers_everything_when_connect_is_refused_for_a_while() {
    survives(&Misbehaviour::RefuseConnect);
}

/// The broker forgets the recorder's session as well, so only what the broker took counts here.
#[test]
fn sends_everything_to_a_broker_that_forgets_its_session() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, url, _recorder) = embedded(&field);
    let mut observer = broker.observe("readings/#", 100_000);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &url));
    let gateway = site.start();
    broker.misbehave(Misbehaviour::ForgetSessions);
    for _ in 0..4 {
        answers(&plc.oracle, 12);
        broker.disconnect_all();
    }
    answers(&plc.oracle, 12);
    let last = plc.oracle.last();
    let mut numbers = Vec::new();
    wait::for_it("the last number is at the broker", wait::SOON, || {
        while let Some(message) = observer.try_next() {
            let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap_or_default();
            let readings = body["readings"].as_array().cloned().unwrap_or_default();
            numbers.extend(readings.iter().filter_map(|reading| reading["value"].as_u64()));
        }
        numbers.contains(&last)
    });
    drop(gateway);
    numbers.sort_unstable();
    numbers.dedup();
    let first = *numbers.first().expect("something arrived");
    assert_eq!(numbers, (first..=*numbers.last().expect("something arrived")).collect::<Vec<_>>());
}

#[test]
fn a_message_that_the_broker_refuses_is_put_aside_and_the_rest_flows() {
    let field = Field::new();
    let plant = Plant::new();
    let oracle = counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let (broker, url, recorder) = embedded(&field);
    broker.misbehave(Misbehaviour::RefuseTopic("readings/test/line/poison".to_owned()));
    let poison = format!("  poison:\n    url: {}\n    every: 1s\n    tags: {{ c: \"co:0\" }}\n", tcp(address));
    let devices = format!("{}{poison}", counting_device(PLC, &tcp(address)));
    let site = Site::new(&file(&devices, &format!("{url}?version=5")));
    let gateway = site.start();
    running(&recorder);
    answers(&oracle, 60);
    recorder.until_counter(PLC, COUNTER, oracle.last(), wait::SOON);
    drop(gateway);
    assert!(broker.counts().publishes_refused > 0, "the poison was offered");
    compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER).must_be_perfect();
}

/// What a broker refuses for now is offered again until it is taken: a quota is not a matter of the message.
#[test]
fn a_quota_that_is_exceeded_for_a_while_costs_nothing() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &format!("{url}?version=5")));
    let gateway = site.start();
    running(&recorder);
    broker.misbehave(Misbehaviour::ExceedQuota("readings/#".to_owned()));
    // More often than what is refused for good is offered, with 5 s between.
    wait::for_it("it is refused", wait::SOON, || broker.counts().publishes_refused > 0);
    wait::pass(Duration::from_secs(16));
    broker.misbehave(Misbehaviour::None);
    plc.all_arrive(&recorder, wait::SOON * 2);
    wait::for_it("what was refused has arrived", wait::SOON, || holes(&recorder.readings()).is_empty());
    assert!(gateway.log().contains("a quota of the broker is exceeded"), "{}", gateway.log());
    drop(gateway);
    assert!(!site.buffer().join("quarantine/cloud.jsonl").exists(), "nothing was set aside");
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

/// In version 5 the broker says how much it takes: nothing larger is sent, and no connection ends.
#[test]
fn batches_larger_than_the_broker_takes_are_halved_unsent_where_it_says_so() {
    let Some(broker) = Broker::with(|_| "allow_anonymous true\nmax_packet_size 2000\n".to_owned()) else { return };
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let recorder = Subscriber::start(broker.address());
    let uplink = format!("{}?version=5", broker.url("mqtt"));
    let site = Site::new(&file(&wide_device(&tcp(plc.address)), &uplink));
    let gateway = site.start();
    running(&recorder);
    answers(&plc.oracle, 30);
    plc.all_arrive(&recorder, wait::SOON);
    assert_eq!(gateway.log().matches("the connection is lost").count(), 0, "{}", gateway.log());
    drop(gateway);
    assert!(!broker.log().contains("oversize packet"), "nothing too large was sent");
    assert!(!site.buffer().join("quarantine/cloud.jsonl").exists(), "nothing was set aside");
    let readings = recorder.readings();
    nothing_is_missing(&readings);
    plc.verdict(&readings).must_be_perfect();
}

#[test]
fn text_that_is_no_utf_8_becomes_a_reading_and_stops_nothing() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    plc.plant.write_holding(1, 10, &[0xC3FF, 0xFE41, 0x0000, 0xED00]);
    let (_broker, url, recorder) = embedded(&field);
    let device = format!("{}      text: \"hr:10:STRING(8)\"\n", counting_device(PLC, &tcp(plc.address)));
    let site = Site::new(&file(&device, &url));
    let gateway = site.start();
    running(&recorder);
    let text = wait::until("a reading of the text", wait::SOON, || recorder.last(PLC, "text"));
    assert!(!text.is_good() || text.value().is_string(), "{:?}", text.body);
    answers(&plc.oracle, 10);
    plc.all_arrive(&recorder, wait::SOON);
    drop(gateway);
    plc.verdict(&recorder.readings()).must_be_perfect();
}
