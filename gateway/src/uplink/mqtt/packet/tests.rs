use proptest::prelude::*;

use super::*;

const CONNACK_V5: &[u8] = &[0x20, 18, 1, 0, 15, 0x21, 0, 20, 0x27, 0, 1, 0, 0, 0x24, 1, 0x13, 0, 30, 0x25, 0];

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn publish<'a>(payload: &'a [u8], delivery: Delivery, user_properties: &'a [(&'a str, &'a str)]) -> Publish<'a> {
    Publish {
        topic: "a/b",
        payload,
        retain: Retain::Pass,
        delivery,
        content_type: "",
        alias: None,
        expires_s: None,
        correlation: None,
        user_properties,
    }
}

#[test]
fn a_connect_is_written_as_the_standard_draws_it() {
    let will = Will { topic: "w", payload: b"off", qos: Qos::AtLeastOnce, retain: Retain::Keep };
    let connect = Connect {
        client_id: "id",
        keep_alive_s: 30,
        session: Session::GoesOn,
        session_expiry_s: 3600,
        packet_bytes_max: 65_536,
        user: Some("me"),
        password: Some(b"pw"),
        will: Some(will),
    };
    let v311 = b"\x10\x1e\x00\x04MQTT\x04\xec\x00\x1e\x00\x02id\x00\x01w\x00\x03off\x00\x02me\x00\x02pw";
    assert_eq!(written(|out| write_connect(Version::V311, &connect, out)), v311);
    let v5 = b"\x10\x2a\x00\x04MQTT\x05\xec\x00\x1e\x0a\x11\x00\x00\x0e\x10\x27\x00\x01\x00\x00\x00\x02id\x00\x00\x01w\x00\x03off\x00\x02me\x00\x02pw";
    assert_eq!(written(|out| write_connect(Version::V5, &connect, out)), v5);
    let anew = Connect { session: Session::Anew, ..connect };
    assert_eq!(written(|out| write_connect(Version::V311, &anew, out))[9], 0xee, "clean start is set");
}

#[test]
fn a_publish_bears_its_qos_its_repeat_and_its_properties() {
    let cases: [(Version, Publish<'_>, &[u8]); 5] = [
        (Version::V311, publish(b"x", Delivery::AtMostOnce, &[]), b"\x30\x06\x00\x03a/bx"),
        (Version::V311, publish(b"x", Delivery::First(258), &[]), b"\x32\x08\x00\x03a/b\x01\x02x"),
        (Version::V5, publish(b"x", Delivery::Again(1), &[]), b"\x3a\x09\x00\x03a/b\x00\x01\x00x"),
        (
            Version::V5,
            Publish { retain: Retain::Keep, content_type: "t", ..publish(b"x", Delivery::First(1), &[("k", "v")]) },
            b"\x33\x14\x00\x03a/b\x00\x01\x0b\x03\x00\x01t\x26\x00\x01k\x00\x01vx",
        ),
        (
            Version::V5,
            Publish { correlation: Some(b"\x00\xff"), ..publish(b"x", Delivery::First(1), &[]) },
            b"\x32\x0e\x00\x03a/b\x00\x01\x05\x09\x00\x02\x00\xffx",
        ),
    ];
    for (version, publish, expected) in cases {
        assert_eq!(written(|out| write_publish(version, &publish, out)), expected);
        assert_eq!(publish_size(version, &publish), expected.len());
    }
}

#[test]
fn what_brokers_send_is_understood() {
    let limits = Limits {
        receive_max: 20,
        packet_bytes_max: 65_536,
        takes_qos_1: true,
        retains: false,
        keep_alive_s: Some(30),
        topic_alias_max: 0,
    };
    let cases: [(Version, &[u8], Incoming); 8] = [
        (Version::V5, CONNACK_V5, Incoming::Connack { session_present: true, code: 0, text: String::new(), limits }),
        (
            Version::V311,
            &[0x20, 2, 0, 5],
            Incoming::Connack { session_present: false, code: 5, text: String::new(), limits: Limits::default() },
        ),
        (
            Version::V5,
            &[0x20, 2, 0, 1],
            Incoming::Connack { session_present: false, code: 1, text: String::new(), limits: Limits::default() },
        ),
        (Version::V311, &[0x40, 2, 1, 2], Incoming::Puback { id: 258, code: 0, text: String::new() }),
        (Version::V5, &[0x40, 3, 0, 9, 0x87], Incoming::Puback { id: 9, code: 0x87, text: String::new() }),
        (
            Version::V5,
            b"\x40\x09\x00\x09\x99\x05\x1f\x00\x02no",
            Incoming::Puback { id: 9, code: 0x99, text: "no".into() },
        ),
        (Version::V5, &[0xe0, 2, 0x8e, 0], Incoming::Disconnect { code: 0x8e, text: String::new() }),
        (Version::V311, &[0xd0, 0], Incoming::Pong),
    ];
    for (version, bytes, expected) in cases {
        assert_eq!(read(version, bytes), Ok(Some((expected, bytes.len()))), "{bytes:02x?}");
        for cut in 0..bytes.len() {
            assert_eq!(read(version, &bytes[..cut]), Ok(None), "{bytes:02x?} cut at {cut}");
        }
    }
}

#[test]
fn what_is_no_mqtt_is_refused() {
    let cases: [&[u8]; 8] = [
        &[0x20, 0xff, 0xff, 0xff, 0xff],
        &[0x20, 0xff, 0xff, 0xff, 0x7f],
        &[0x20, 2, 2, 0],
        &[0x20, 1, 0],
        &[0x40, 1, 0],
        &[0xd0, 1, 0],
        &[0x40, 6, 0, 1, 0, 2, 0x7f, 0],
        &[0x20, 6, 0, 0, 3, 0x21, 0, 0],
    ];
    for bytes in cases {
        let outcome = read(Version::V5, bytes);
        assert!(matches!(outcome, Err(Malformed(_))), "{bytes:02x?}: {outcome:?}");
    }
}

proptest! {
    #[test]
    fn garbage_never_panics_and_is_never_longer_than_it_is(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for version in [Version::V311, Version::V5] {
            if let Ok(Some((_, size))) = read(version, &bytes) {
                prop_assert!(size <= bytes.len());
            }
        }
    }

    #[test]
    fn two_packets_at_once_are_two_packets(id: u16, code in 0x80_u8..) {
        let mut bytes = vec![0x40, 3];
        bytes.extend(id.to_be_bytes());
        bytes.push(code);
        let one = bytes.len();
        bytes.extend(CONNACK_V5);
        let first = read(Version::V5, &bytes);
        prop_assert_eq!(first, Ok(Some((Incoming::Puback { id, code, text: String::new() }, one))));
        let second = matches!(read(Version::V5, &bytes[one..]), Ok(Some((Incoming::Connack { .. }, 20))));
        prop_assert!(second);
    }

    #[test]
    fn sizes_are_told_before_they_are_written(payload in 0_usize..70_000, names in proptest::collection::vec("[a-z]{0,200}", 0..4)) {
        let payload = vec![b'x'; payload];
        let properties: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        for version in [Version::V311, Version::V5] {
            let publish = publish(&payload, Delivery::First(1), &properties);
            prop_assert_eq!(publish_size(version, &publish), written(|out| write_publish(version, &publish, out)).len());
        }
    }
}
