//! What a subscribing client sends and receives beside what a publishing one does.
//!
//! ```text
//! SUBSCRIBE   0x82 | length | identifier | properties in 5 | (filter, QoS) ...
//! SUBACK      0x90 | length | identifier | properties in 5 | code ...
//! PUBLISH     0x3F | length | topic | identifier where QoS 1 | properties in 5 | payload
//! PUBACK      0x40 | 2      | identifier
//! ```

use super::property::{Properties, read_properties};
use super::read::{Frame, Input, frame};
use super::{Incoming, Malformed, Version, read, write_length, write_text};

/// The largest message that a subscriber takes, bytes; version 5 brokers are told so.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

const PUBLISH: u8 = 3;
const SUBACK: u8 = 9;

/// The option byte of a filter: deliver with at most QoS 1 (MQTT 5, 3.8.3.1).
const AT_LEAST_ONCE: u8 = 1;

/// Option bits of version 5: the mark of a message that is to be kept comes along; what is kept already does not come.
const AS_PUBLISHED: u8 = 0x08;
const NOT_THE_KEPT_ONES: u8 = 0x20;

/// A packet for a subscriber.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivered {
    /// A message on a topic that was subscribed to.
    Message(Arrived),
    /// The answer to SUBSCRIBE.
    Suback {
        /// The identifier of the SUBSCRIBE.
        id: u16,
        /// For each filter the QoS that is granted, or a code from 0x80 on.
        codes: Vec<u8>,
        /// What the broker adds in words.
        text: String,
    },
    /// What a publishing client receives too.
    Packet(Incoming),
}

/// A message as it arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// Version 5 only: the user property `gateway`.
    pub gateway: Option<String>,
    /// What to acknowledge it by; `None` where the sender chose QoS 0.
    pub id: Option<u16>,
    /// Whether the broker had kept it, or is asked to.
    pub retained: bool,
    /// Whether it was sent before.
    pub again: bool,
    /// Version 5 only: where an answer is waited for.
    pub response_topic: Option<String>,
    /// Version 5 only: what the answer is recognised by.
    pub correlation: Option<Vec<u8>>,
    /// Version 5 only: how much longer it lives, seconds.
    pub expires_after_s: Option<u32>,
}

/// Which messages of a topic are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Wants {
    /// All, those first that the broker has kept.
    All,
    /// Those that are published from here on. Version 3.1.1 has no word for it: there the kept ones come too, marked.
    Live,
}

/// The packet at the head of `bytes` and its size; `None` until it is whole.
pub fn read_delivered(version: Version, bytes: &[u8]) -> Result<Option<(Delivered, usize)>, Malformed> {
    if !bytes.first().is_some_and(|first| matches!(first >> 4, PUBLISH | SUBACK)) {
        return Ok(read(version, bytes)?.map(|(packet, size)| (Delivered::Packet(packet), size)));
    }
    let too_large = Malformed("a message larger than 1 MiB");
    let Some(Frame { first, body, size }) = frame(bytes, MESSAGE_BYTES_MAX, too_large)? else { return Ok(None) };
    let input = Input::new(body);
    let packet = if first >> 4 == SUBACK { suback(version, input)? } else { message(version, first, input)? };
    Ok(Some((packet, size)))
}

fn suback(version: Version, mut input: Input<'_>) -> Result<Delivered, Malformed> {
    let id = input.short()?;
    let text = properties(version, &mut input)?.reason;
    Ok(Delivered::Suback { id, codes: input.rest().to_vec(), text })
}

fn message(version: Version, first: u8, mut input: Input<'_>) -> Result<Delivered, Malformed> {
    let topic = std::str::from_utf8(input.binary()?).map_err(|_| Malformed("a topic that is no UTF-8"))?.to_owned();
    let id = match first >> 1 & 3 {
        0 => None,
        1 => Some(input.short()?),
        _ => return Err(Malformed("a message of a QoS that was not asked for")),
    };
    let Properties { gateway, response_topic, correlation, expires_after_s, .. } = properties(version, &mut input)?;
    let (retained, again) = (first & 1 == 1, first & 8 == 8);
    let payload = input.rest().to_vec();
    Ok(Delivered::Message(Arrived {
        topic,
        payload,
        gateway,
        id,
        retained,
        again,
        response_topic,
        correlation,
        expires_after_s,
    }))
}

fn properties(version: Version, input: &mut Input<'_>) -> Result<Properties, Malformed> {
    if version == Version::V5 { read_properties(input) } else { Ok(Properties::default()) }
}

/// Asks for all messages on these topics (MQTT 5, 3.8).
pub(in super::super) fn write_subscribe<'a>(
    version: Version,
    id: u16,
    filters: impl Iterator<Item = (&'a str, Wants)>,
    out: &mut Vec<u8>,
) {
    let mut body = Vec::with_capacity(64);
    body.extend_from_slice(&id.to_be_bytes());
    if version == Version::V5 {
        body.push(0);
    }
    for (filter, wants) in filters {
        write_text(filter, &mut body);
        body.push(match (version, wants) {
            (Version::V5, Wants::Live) => AT_LEAST_ONCE | AS_PUBLISHED | NOT_THE_KEPT_ONES,
            _ => AT_LEAST_ONCE,
        });
    }
    out.push(0x82);
    write_length(body.len(), out);
    out.extend_from_slice(&body);
}

/// Tells that a message has arrived (MQTT 5, 3.4).
pub(in super::super) fn write_puback(id: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x40, 2]);
    out.extend_from_slice(&id.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Delivery, Publish, Retain, write_publish};
    use super::*;

    fn versions() -> impl Strategy<Value = Version> {
        prop_oneof![Just(Version::V311), Just(Version::V5)]
    }

    /// A message as a broker passes it on: as it was published.
    fn passed_on(
        version: Version,
        topic: &str,
        payload: &[u8],
        gateway: &str,
        id: Option<u16>,
    ) -> (Vec<u8>, Delivered) {
        let user_properties = [("seq", "1-2"), ("gateway", gateway)];
        let delivery = id.map_or(Delivery::AtMostOnce, Delivery::First);
        let retain = Retain::Pass;
        let content_type = "application/json";
        let user_properties = &user_properties;
        let (alias, expires_s, correlation) = (None, None, None);
        let publish =
            Publish { topic, payload, retain, delivery, alias, expires_s, content_type, correlation, user_properties };
        let mut bytes = Vec::new();
        write_publish(version, &publish, &mut bytes);
        let gateway = (version == Version::V5).then(|| gateway.to_owned());
        let message = Arrived { topic: topic.into(), payload: payload.into(), gateway, id, ..Arrived::default() };
        (bytes, Delivered::Message(message))
    }

    #[test]
    fn a_subscription_and_an_acknowledgement_are_written_as_the_standard_draws_them() {
        let cases: [(Version, &[u8]); 2] = [
            (Version::V311, b"\x82\x0c\x00\x01\x00\x03a/#\x01\x00\x01b\x01"),
            (Version::V5, b"\x82\x0d\x00\x01\x00\x00\x03a/#\x01\x00\x01b\x29"),
        ];
        for (version, expected) in cases {
            let mut out = Vec::new();
            write_subscribe(version, 1, [("a/#", Wants::All), ("b", Wants::Live)].into_iter(), &mut out);
            assert_eq!(out, expected);
        }
        let mut out = Vec::new();
        write_puback(258, &mut out);
        assert_eq!(out, [0x40, 2, 1, 2]);
    }

    #[test]
    fn what_a_subscriber_receives_is_understood_and_waited_for() {
        let suback = |text: &str| Delivered::Suback { id: 1, codes: vec![1, 0x87], text: text.into() };
        let cases: [(Version, &[u8], Delivered); 3] = [
            (Version::V311, &[0x90, 4, 0, 1, 1, 0x87], suback("")),
            (Version::V5, b"\x90\x0a\x00\x01\x05\x1f\x00\x02no\x01\x87", suback("no")),
            (Version::V5, &[0xd0, 0], Delivered::Packet(Incoming::Pong)),
        ];
        for (version, bytes, expected) in cases {
            assert_eq!(read_delivered(version, bytes), Ok(Some((expected, bytes.len()))), "{bytes:02x?}");
            for cut in 0..bytes.len() {
                assert_eq!(read_delivered(version, &bytes[..cut]), Ok(None), "{bytes:02x?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases: [&[u8]; 5] = [
            &[0x30, 0xff, 0xff, 0xff, 0x7f],
            &[0x32, 3, 0, 1, b'a'],
            &[0x34, 6, 0, 1, b'a', 0, 1, 0],
            &[0x30, 4, 0, 1, 0xff, 0],
            &[0x90, 1, 0],
        ];
        for bytes in cases {
            assert!(read_delivered(Version::V5, bytes).is_err(), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn a_message_is_read_as_it_was_published_wherever_it_is_cut(
            version in versions(), topic in "[a-z/$]{1,20}", payload in proptest::collection::vec(any::<u8>(), 0..300),
            gateway in "[0-9a-f-]{0,36}", id in proptest::option::of(1_u16..), cut: proptest::sample::Index,
        ) {
            let (bytes, message) = passed_on(version, &topic, &payload, &gateway, id);
            prop_assert_eq!(read_delivered(version, &bytes[..cut.index(bytes.len())]), Ok(None));
            let size = bytes.len();
            let two = [bytes.as_slice(), &bytes].concat();
            prop_assert_eq!(read_delivered(version, &two), Ok(Some((message, size))));
        }

        #[test]
        fn garbage_never_panics_and_is_never_longer_than_it_is(
            version in versions(), first in prop_oneof![Just(0x30_u8), Just(0x32), Just(0x90), any::<u8>()],
            rest in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let bytes = [&[first], rest.as_slice()].concat();
            if let Ok(Some((_, size))) = read_delivered(version, &bytes) {
                prop_assert!(size <= bytes.len());
            }
        }
    }
}
