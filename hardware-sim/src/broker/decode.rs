//! Packets from bytes (MQTT 3.1.1 and 5, chapters 2 and 3). Pure.
//!
//! ```text
//! kind and flags (1) | length of what follows (1..=4) | fields of the kind
//! ```

use super::packet::{Connect, Packet, Publish, Qos, Version};
use super::property::Properties;
use super::reader::{Malformed, Reader};

/// The first packet of the bytes with its length, or none while it is not whole. A CONNECT says its version itself.
pub(super) fn decode(bytes: &[u8], version: Version, max: usize) -> Result<Option<(Packet, usize)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let Ok(first) = reader.byte() else { return Ok(None) };
    let length = match reader.variable() {
        Ok(length) => length as usize,
        Err(_) if bytes.len() < 5 => return Ok(None),
        Err(error) => return Err(error),
    };
    let header = 1 + variable_len(length);
    if header + length > max {
        return Err(Malformed::TooLarge);
    }
    let Ok(body) = reader.bytes(length) else { return Ok(None) };
    let packet = packet(first >> 4, first & 0x0F, Reader::new(body), version)?;
    Ok(Some((packet, header + length)))
}

fn packet(kind: u8, flags: u8, mut reader: Reader<'_>, version: Version) -> Result<Packet, Malformed> {
    let reader = &mut reader;
    if !matches!((kind, flags), (3, _) | (6 | 8 | 10, 2) | (1 | 2 | 4 | 5 | 7 | 9 | 11 | 12 | 13 | 14, 0)) {
        return Err(Malformed::Packet);
    }
    let packet = match kind {
        1 => Packet::Connect(connect(reader)?),
        2 => Packet::ConnAck {
            session_present: reader.byte()? & 1 == 1,
            reason: reader.byte()?,
            properties: properties(reader, version)?,
        },
        3 => Packet::Publish(publish(flags, reader, version)?),
        4 => acknowledgement(reader, version).map(|(id, reason)| Packet::PubAck { id, reason })?,
        5 => acknowledgement(reader, version).map(|(id, reason)| Packet::PubRec { id, reason })?,
        6 => acknowledgement(reader, version).map(|(id, reason)| Packet::PubRel { id, reason })?,
        7 => acknowledgement(reader, version).map(|(id, reason)| Packet::PubComp { id, reason })?,
        8 => subscribe(reader, version)?,
        9 => answered(reader, version).map(|(id, reasons)| Packet::SubAck { id, reasons })?,
        10 => unsubscribe(reader, version)?,
        11 => answered(reader, version).map(|(id, reasons)| Packet::UnsubAck { id, reasons })?,
        12 => Packet::PingReq,
        13 => Packet::PingResp,
        _ => Packet::Disconnect { reason: optional_reason(reader, version)? },
    };
    if reader.is_empty() { Ok(packet) } else { Err(Malformed::Packet) }
}

fn connect(reader: &mut Reader<'_>) -> Result<Connect, Malformed> {
    let version = match (reader.text()?.as_str(), reader.byte()?) {
        ("MQTT", 4) => Version::V311,
        ("MQTT", 5) => Version::V5,
        _ => return Err(Malformed::Version),
    };
    let flags = reader.byte()?;
    let keep_alive_s = reader.two()?;
    let own = properties(reader, version)?;
    let client_id = reader.text()?;
    let will = if flags & 0x04 == 0 { None } else { Some(will(flags, reader, version)?) };
    let user = if flags & 0x80 == 0 { None } else { Some(reader.text()?) };
    let password = if flags & 0x40 == 0 { None } else { Some(reader.binary()?.to_vec()) };
    let clean = flags & 0x02 != 0;
    Ok(Connect { version, client_id, clean, keep_alive_s, will, user, password, properties: own })
}

fn will(flags: u8, reader: &mut Reader<'_>, version: Version) -> Result<Publish, Malformed> {
    let properties = properties(reader, version)?;
    let topic = reader.text()?;
    let payload = reader.binary()?.to_vec();
    let qos = Qos::from_bits((flags >> 3) & 3).ok_or(Malformed::Packet)?;
    Ok(Publish { topic, payload, qos, retain: flags & 0x20 != 0, duplicate: false, id: None, properties })
}

fn publish(flags: u8, reader: &mut Reader<'_>, version: Version) -> Result<Publish, Malformed> {
    let qos = Qos::from_bits((flags >> 1) & 3).ok_or(Malformed::Packet)?;
    let topic = reader.text()?;
    let id = if qos == Qos::Zero { None } else { Some(packet_id(reader)?) };
    let properties = properties(reader, version)?;
    let payload = reader.rest().to_vec();
    Ok(Publish { topic, payload, qos, retain: flags & 1 != 0, duplicate: flags & 8 != 0, id, properties })
}

fn acknowledgement(reader: &mut Reader<'_>, version: Version) -> Result<(u16, u8), Malformed> {
    Ok((packet_id(reader)?, optional_reason(reader, version)?))
}

fn subscribe(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Malformed> {
    let id = packet_id(reader)?;
    properties(reader, version)?;
    let mut filters = Vec::new();
    while !reader.is_empty() {
        let filter = reader.text()?;
        filters.push((filter, Qos::from_bits(reader.byte()? & 3).ok_or(Malformed::Packet)?));
    }
    if filters.is_empty() { Err(Malformed::Packet) } else { Ok(Packet::Subscribe { id, filters }) }
}

fn unsubscribe(reader: &mut Reader<'_>, version: Version) -> Result<Packet, Malformed> {
    let id = packet_id(reader)?;
    properties(reader, version)?;
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(reader.text()?);
    }
    if filters.is_empty() { Err(Malformed::Packet) } else { Ok(Packet::Unsubscribe { id, filters }) }
}

fn answered(reader: &mut Reader<'_>, version: Version) -> Result<(u16, Vec<u8>), Malformed> {
    let id = packet_id(reader)?;
    properties(reader, version)?;
    Ok((id, reader.rest().to_vec()))
}

fn packet_id(reader: &mut Reader<'_>) -> Result<u16, Malformed> {
    match reader.two()? {
        0 => Err(Malformed::Packet),
        id => Ok(id),
    }
}

/// In MQTT 5 a reason of zero and empty properties may be left out.
fn optional_reason(reader: &mut Reader<'_>, version: Version) -> Result<u8, Malformed> {
    if version == Version::V311 || reader.is_empty() {
        return Ok(0);
    }
    let reason = reader.byte()?;
    if !reader.is_empty() {
        reader.properties()?;
    }
    Ok(reason)
}

fn properties(reader: &mut Reader<'_>, version: Version) -> Result<Properties, Malformed> {
    if version == Version::V5 { reader.properties() } else { Ok(Vec::new()) }
}

fn variable_len(number: usize) -> usize {
    match number {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::broker::encode::encode;
    use crate::broker::property::Value;

    const MAX: usize = 1 << 20;

    fn qos() -> impl Strategy<Value = Qos> {
        prop_oneof![Just(Qos::Zero), Just(Qos::One), Just(Qos::Two)]
    }

    fn version() -> impl Strategy<Value = Version> {
        prop_oneof![Just(Version::V311), Just(Version::V5)]
    }

    fn some_properties(version: Version) -> impl Strategy<Value = Properties> {
        let one = prop_oneof![
            any::<u8>().prop_map(|n| (0x01, Value::Byte(n))),
            any::<u16>().prop_map(|n| (0x23, Value::Two(n))),
            any::<u32>().prop_map(|n| (0x11, Value::Four(n))),
            (0u32..1 << 28).prop_map(|n| (0x0B, Value::Variable(n))),
            "\\PC{0,9}".prop_map(|text| (0x03, Value::Text(text))),
            vec(any::<u8>(), 0..9).prop_map(|bytes| (0x09, Value::Binary(bytes))),
            ("[a-z]{0,5}", "[a-z]{0,200}").prop_map(|(name, value)| (0x26, Value::Pair(name, value))),
        ];
        vec(one, if version == Version::V5 { 0..4 } else { 0..1 })
            .prop_map(move |list| if version == Version::V5 { list } else { Vec::new() })
    }

    fn publish(version: Version) -> impl Strategy<Value = Publish> {
        let parts = (
            "[a-z/]{0,20}",
            vec(any::<u8>(), 0..300),
            qos(),
            any::<bool>(),
            any::<bool>(),
            1u16..,
            some_properties(version),
        );
        parts.prop_map(|(topic, payload, qos, retain, duplicate, id, properties)| {
            let id = (qos != Qos::Zero).then_some(id);
            Publish { topic, payload, qos, retain, duplicate, id, properties }
        })
    }

    fn connect(version: Version) -> impl Strategy<Value = Connect> {
        let will = publish(version).prop_map(|will| Publish { id: None, duplicate: false, ..will });
        let login = (option::of("\\PC{0,9}"), option::of(vec(any::<u8>(), 0..9)));
        let parts = ("[a-z]{0,9}", any::<bool>(), any::<u16>(), option::of(will), login, some_properties(version));
        parts.prop_map(move |(client_id, clean, keep_alive_s, will, (user, password), properties)| Connect {
            version,
            client_id,
            clean,
            keep_alive_s,
            will,
            user,
            password,
            properties,
        })
    }

    fn any_packet(version: Version) -> impl Strategy<Value = Packet> {
        let reason = if version == Version::V5 { 0..255u8 } else { 0..1u8 };
        let acknowledgement = (1u16.., reason);
        let reasons = (1u16.., vec(any::<u8>(), 0..5));
        prop_oneof![
            connect(version).prop_map(Packet::Connect),
            (any::<bool>(), any::<u8>(), some_properties(version)).prop_map(|(session_present, reason, properties)| {
                Packet::ConnAck { session_present, reason, properties }
            }),
            publish(version).prop_map(Packet::Publish),
            acknowledgement.clone().prop_map(|(id, reason)| Packet::PubAck { id, reason }),
            acknowledgement.clone().prop_map(|(id, reason)| Packet::PubRec { id, reason }),
            acknowledgement.clone().prop_map(|(id, reason)| Packet::PubRel { id, reason }),
            acknowledgement.clone().prop_map(|(id, reason)| Packet::PubComp { id, reason }),
            acknowledgement.prop_map(|(_, reason)| Packet::Disconnect { reason }),
            (1u16.., vec(("\\PC{0,9}", qos()), 1..4)).prop_map(|(id, filters)| Packet::Subscribe { id, filters }),
            (1u16.., vec("\\PC{0,9}", 1..4)).prop_map(|(id, filters)| Packet::Unsubscribe { id, filters }),
            reasons.clone().prop_map(|(id, reasons)| Packet::SubAck { id, reasons }),
            reasons.prop_map(|(id, reasons)| Packet::UnsubAck { id, reasons }),
            Just(Packet::PingReq),
            Just(Packet::PingResp),
        ]
    }

    fn versioned() -> impl Strategy<Value = (Version, Packet)> {
        version().prop_flat_map(|version| (Just(version), any_packet(version)))
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was_and_waits_while_it_is_cut((version, packet) in versioned()) {
            let mut bytes = Vec::new();
            encode(&packet, version, &mut bytes);
            let len = bytes.len();
            for cut in 0..len {
                prop_assert_eq!(decode(&bytes[..cut], version, MAX), Ok(None));
            }
            encode(&Packet::PingReq, version, &mut bytes);
            prop_assert_eq!(decode(&bytes, version, MAX), Ok(Some((packet, len))));
        }

        #[test]
        fn garbage_is_refused_without_a_panic(bytes in vec(any::<u8>(), 0..60), version in version()) {
            if let Ok(Some((_, len))) = decode(&bytes, version, MAX) {
                prop_assert!(len <= bytes.len());
            }
        }

        #[test]
        fn a_damaged_packet_is_no_panic((version, packet) in versioned(), at in any::<usize>(), with in any::<u8>()) {
            let mut bytes = Vec::new();
            encode(&packet, version, &mut bytes);
            let at = at % bytes.len();
            bytes[at] ^= with;
            if let Ok(Some((_, len))) = decode(&bytes, version, MAX) {
                prop_assert!(len <= bytes.len());
            }
        }
    }

    #[test]
    fn too_large_is_told_from_the_header_alone() {
        assert_eq!(decode(&[0x30, 0xFF, 0xFF, 0x7F], Version::V5, 1000), Err(Malformed::TooLarge));
        assert_eq!(decode(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], Version::V5, 1000), Err(Malformed::Packet));
    }

    #[test]
    fn an_old_protocol_is_told_apart() {
        let bytes = [0x10, 12, 0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, 2, 0, 60];
        assert_eq!(decode(&bytes, Version::V311, MAX), Err(Malformed::Version));
    }
}
