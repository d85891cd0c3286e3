use buffer::SeqRange;
use bytes::Bytes;

use super::*;

fn message(seq: u64) -> Message {
    Message {
        token: Token { lane: Lane::Live, seq, part: 0 },
        topic: "a/b".into(),
        key: None,
        payload: Bytes::from_static(b"{}"),
        time: None,
        content_type: "application/json".into(),
        epoch: 7,
        seqs: SeqRange { first: seq, last: seq },
        readings: 1,
    }
}

fn session(qos: Qos) -> Session {
    let mut session = Session::new(qos, 1_024, "uuid", keeping(Retain::Pass));
    session.connected(Version::V311, Limits::default());
    session
}

/// The first byte (with QoS and DUP) and the identifier of what is sent.
fn sent(session: &mut Session, seq: u64) -> (u8, u16) {
    let mut out = Vec::new();
    session.publish(&message(seq), 0, &mut out);
    (out[0], u16::from_be_bytes([out[7], out[8]]))
}

fn events(session: &mut Session) -> Vec<Event> {
    let mut events = Vec::new();
    session.take_events(&mut events);
    events
}

#[test]
fn a_message_is_acknowledged_by_its_identifier_in_any_order() {
    let mut session = session(Qos::AtLeastOnce);
    let ids: Vec<u16> = (1..=3).map(|seq| sent(&mut session, seq).1).collect();
    assert_eq!(session.acknowledged(ids[2], 0, ""), Acknowledgement::Message);
    assert_eq!(session.acknowledged(ids[0], 0x10, ""), Acknowledgement::Message);
    let tokens = [3, 1].map(|seq| Event::Acknowledged(Token { lane: Lane::Live, seq, part: 0 }));
    assert_eq!(events(&mut session), tokens);
}

#[test]
fn what_an_edge_node_publishes_goes_with_qos_0_and_is_not_retained() {
    let mut session = session(Qos::AtLeastOnce);
    let frame = |kind: &str| Frame { topic: format!("spBv1.0/g/{kind}/n").into(), payload: Bytes::new() };
    let mut out = Vec::new();
    session.publish_frame(&frame("NDATA"), &mut out);
    assert_eq!(out[0], 0x30, "PUBLISH, no DUP, QoS 0, no RETAIN");
    out.clear();
    session.publish_as(&message(1), &[frame("DBIRTH"), frame("NDATA")], &mut out);
    assert_eq!((out[0], out[2 + usize::from(out[1])]), (0x30, 0x30));
}

#[test]
fn an_identifier_that_nobody_used_is_counted_and_changes_nothing() {
    let mut session = session(Qos::AtLeastOnce);
    let (_, id) = sent(&mut session, 1);
    assert_eq!(session.acknowledged(id + 1, 0, ""), Acknowledgement::Unknown(1));
    assert_eq!(session.acknowledged(id, 0, ""), Acknowledgement::Message);
    assert_eq!(session.acknowledged(id, 0, ""), Acknowledgement::Unknown(2));
    assert_eq!(events(&mut session).len(), 1);
}

#[test]
fn what_did_not_come_back_is_sent_again_under_its_identifier_as_a_repeat() {
    let mut session = session(Qos::AtLeastOnce);
    let first = sent(&mut session, 1);
    assert_eq!(first.0, 0x32);
    session.connected(Version::V311, Limits::default());
    assert_eq!(session.room(), 1_024);
    assert_eq!(session.acknowledged(first.1, 0, ""), Acknowledgement::Unknown(1));
    assert_eq!(sent(&mut session, 1), (0x3a, first.1));
    let second = sent(&mut session, 2);
    assert!(second.0 == 0x32 && second.1 != first.1);
    session.connected(Version::V311, Limits::default());
    session.connected(Version::V311, Limits::default());
    assert_eq!(sent(&mut session, 1), (0x3a, first.1));
    assert_eq!(sent(&mut session, 2), (0x3a, second.1));
}

#[test]
fn an_own_message_may_take_an_identifier_of_an_earlier_connection() {
    let mut session = session(Qos::AtLeastOnce);
    let (_, id) = sent(&mut session, 1);
    session.connected(Version::V311, Limits::default());
    session.last_id = id - 1;
    let mut out = Vec::new();
    session.publish_own("a/$state", b"{}", Retain::Keep, &mut out);
    let again = sent(&mut session, 1);
    assert!(again.0 == 0x3a && again.1 != id);
    assert_eq!(session.acknowledged(id, 0, ""), Acknowledgement::Own);
    assert_eq!(session.acknowledged(again.1, 0, ""), Acknowledgement::Message);
}

#[test]
fn the_window_is_the_smaller_of_ours_and_the_brokers() {
    let mut session = Session::new(Qos::AtLeastOnce, 8, "uuid", keeping(Retain::Pass));
    session.connected(Version::V5, Limits { receive_max: 3, ..Limits::default() });
    for room in [3, 2, 1] {
        assert_eq!(session.room(), room);
        sent(&mut session, 10 - room as u64);
    }
    assert_eq!(session.room(), 0);
    session.connected(Version::V5, Limits::default());
    assert_eq!(session.room(), 8);
}

#[test]
fn identifiers_are_never_zero_and_never_used_twice() {
    let mut session = session(Qos::AtLeastOnce);
    session.window_max = usize::MAX;
    session.last_id = u16::MAX - 2;
    let mut ids: Vec<u16> = (0..1_000).map(|seq| sent(&mut session, seq).1).collect();
    assert!(!ids.contains(&0));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_000);
}

#[test]
fn a_message_larger_than_the_broker_takes_is_refused_without_being_sent() {
    let mut session = session(Qos::AtLeastOnce);
    session.connected(Version::V5, Limits { packet_bytes_max: 60, ..Limits::default() });
    let mut out = Vec::new();
    session.publish(&message(1), 0, &mut out);
    assert!(out.is_empty());
    assert_eq!(session.room(), 1_024);
    let refused = events(&mut session);
    assert!(matches!(&refused[..], [Event::Refused(_, Refusal { lasting: Lasting::ForThisSize, .. })]), "{refused:?}");
}

#[test]
fn a_refusal_names_its_topic() {
    let mut session = session(Qos::AtLeastOnce);
    let (_, id) = sent(&mut session, 1);
    session.acknowledged(id, 0x87, "no");
    let refused = events(&mut session);
    assert!(matches!(&refused[..], [Event::Refused(_, refusal)] if refusal.reason.contains("a/b")), "{refused:?}");
}

#[test]
fn without_acknowledgements_a_message_counts_as_delivered_when_it_is_out() {
    let mut session = session(Qos::AtMostOnce);
    let mut out = Vec::new();
    session.publish(&message(1), 0, &mut out);
    let first = out.len() as u64;
    session.publish(&message(2), first, &mut out);
    assert_eq!(out[0], 0x30);
    session.left(first - 1);
    assert!(!session.has_events());
    session.left(first);
    assert_eq!(events(&mut session), [Event::Acknowledged(Token { lane: Lane::Live, seq: 1, part: 0 })]);
    session.left(out.len() as u64);
    assert_eq!(events(&mut session), [Event::Acknowledged(Token { lane: Lane::Live, seq: 2, part: 0 })]);
}

fn keeping(retain: Retain) -> Keeping {
    Keeping { retain, passing: "acme/$gap".into(), expires_s: None }
}

/// What a message of that lane becomes on the wire: its flags, its topic.
fn published(session: &mut Session, lane: Lane, topic: &str) -> (u8, String) {
    let mut out = Vec::new();
    let token = Token { lane, seq: 1, part: 0 };
    session.publish(&Message { token, topic: topic.into(), ..message(1) }, 0, &mut out);
    let Ok(Some((crate::uplink::mqtt::packet::Delivered::Message(arrived), _))) =
        crate::uplink::mqtt::packet::read_delivered(Version::V5, &out)
    else {
        panic!("a message: {out:02x?}")
    };
    (out[0], arrived.topic)
}

#[test]
fn the_first_topics_get_a_number_and_are_not_written_again() {
    let mut session = Session::new(Qos::AtMostOnce, 10, "uuid", keeping(Retain::Pass));
    session.connected(Version::V5, Limits { topic_alias_max: 1, ..Limits::default() });
    let topics = ["a", "b", "a", "b"].map(|topic| published(&mut session, Lane::Live, topic).1);
    assert_eq!(topics, ["a", "b", "", "b"]);
    session.connected(Version::V5, Limits { topic_alias_max: 1, ..Limits::default() });
    assert_eq!(published(&mut session, Lane::Live, "a").1, "a");
}

#[test]
fn only_live_values_are_kept_by_the_broker() {
    let mut session = Session::new(Qos::AtMostOnce, 10, "uuid", keeping(Retain::Keep));
    session.connected(Version::V5, Limits::default());
    let flags = |session: &mut Session, lane, topic| published(session, lane, topic).0;
    assert_eq!(flags(&mut session, Lane::Live, "a"), 0x31);
    assert_eq!(flags(&mut session, Lane::History, "a"), 0x30);
    assert_eq!(flags(&mut session, Lane::Live, "acme/$gap"), 0x30);
    session.connected(Version::V5, Limits { retains: false, ..Limits::default() });
    assert_eq!(flags(&mut session, Lane::Live, "a"), 0x30);
}
