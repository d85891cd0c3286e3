//! Packets to bytes (MQTT 3.1.1 and 5, chapters 2 and 3). Pure; the tests stand with the way back.

use super::packet::{Connect, Packet, Publish, Version};
use super::property::Value;

/// Appends a packet. Texts and binaries are cut at 65,535 bytes, which nothing that was decoded exceeds.
pub(super) fn encode(packet: &Packet, version: Version, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    let first = match packet {
        Packet::Connect(connect) => {
            put_connect(connect, &mut body);
            0x10
        }
        Packet::ConnAck { session_present, reason, properties } => {
            body.extend([u8::from(*session_present), *reason]);
            put_properties(properties, version, &mut body);
            0x20
        }
        Packet::Publish(publish) => {
            put_publish(publish, version, &mut body);
            0x30 | u8::from(publish.duplicate) << 3 | publish.qos.bits() << 1 | u8::from(publish.retain)
        }
        Packet::PubAck { id, reason } => put_acknowledgement(0x40, *id, *reason, version, &mut body),
        Packet::PubRec { id, reason } => put_acknowledgement(0x50, *id, *reason, version, &mut body),
        Packet::PubRel { id, reason } => put_acknowledgement(0x62, *id, *reason, version, &mut body),
        Packet::PubComp { id, reason } => put_acknowledgement(0x70, *id, *reason, version, &mut body),
        Packet::Subscribe { id, filters } => {
            put_id(*id, version, &mut body);
            for (filter, qos) in filters {
                put_binary(filter.as_bytes(), &mut body);
                body.push(qos.bits());
            }
            0x82
        }
        Packet::SubAck { id, reasons } => {
            put_id(*id, version, &mut body);
            body.extend(reasons);
            0x90
        }
        Packet::Unsubscribe { id, filters } => {
            put_id(*id, version, &mut body);
            filters.iter().for_each(|filter| put_binary(filter.as_bytes(), &mut body));
            0xA2
        }
        Packet::UnsubAck { id, reasons } => {
            put_id(*id, version, &mut body);
            body.extend(reasons);
            0xB0
        }
        Packet::PingReq => 0xC0,
        Packet::PingResp => 0xD0,
        Packet::Disconnect { reason } => {
            if version == Version::V5 && *reason != 0 {
                body.push(*reason);
            }
            0xE0
        }
    };
    out.push(first);
    put_variable(body.len() as u32, out);
    out.append(&mut body);
}

fn put_connect(connect: &Connect, out: &mut Vec<u8>) {
    put_binary(b"MQTT", out);
    out.push(if connect.version == Version::V5 { 5 } else { 4 });
    let will = connect.will.as_ref().map_or(0, |will| 0x04 | will.qos.bits() << 3 | u8::from(will.retain) << 5);
    let login = u8::from(connect.user.is_some()) << 7 | u8::from(connect.password.is_some()) << 6;
    out.push(login | will | u8::from(connect.clean) << 1);
    out.extend(connect.keep_alive_s.to_be_bytes());
    put_properties(&connect.properties, connect.version, out);
    put_binary(connect.client_id.as_bytes(), out);
    if let Some(will) = &connect.will {
        put_properties(&will.properties, connect.version, out);
        put_binary(will.topic.as_bytes(), out);
        put_binary(&will.payload, out);
    }
    connect.user.iter().for_each(|user| put_binary(user.as_bytes(), out));
    connect.password.iter().for_each(|password| put_binary(password, out));
}

fn put_publish(publish: &Publish, version: Version, out: &mut Vec<u8>) {
    put_binary(publish.topic.as_bytes(), out);
    out.extend(publish.id.into_iter().flat_map(u16::to_be_bytes));
    put_properties(&publish.properties, version, out);
    out.extend(&publish.payload);
}

fn put_acknowledgement(first: u8, id: u16, reason: u8, version: Version, out: &mut Vec<u8>) -> u8 {
    out.extend(id.to_be_bytes());
    if version == Version::V5 && reason != 0 {
        out.push(reason);
    }
    first
}

fn put_id(id: u16, version: Version, out: &mut Vec<u8>) {
    out.extend(id.to_be_bytes());
    put_properties(&[], version, out);
}

fn put_properties(properties: &[(u8, Value)], version: Version, out: &mut Vec<u8>) {
    if version == Version::V311 {
        return;
    }
    let mut body = Vec::new();
    for (id, value) in properties {
        body.push(*id);
        match value {
            Value::Byte(number) => body.push(*number),
            Value::Two(number) => body.extend(number.to_be_bytes()),
            Value::Four(number) => body.extend(number.to_be_bytes()),
            Value::Variable(number) => put_variable(*number, &mut body),
            Value::Text(text) => put_binary(text.as_bytes(), &mut body),
            Value::Binary(bytes) => put_binary(bytes, &mut body),
            Value::Pair(name, value) => {
                put_binary(name.as_bytes(), &mut body);
                put_binary(value.as_bytes(), &mut body);
            }
        }
    }
    put_variable(body.len() as u32, out);
    out.append(&mut body);
}

fn put_binary(bytes: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(len.to_be_bytes());
    out.extend(bytes.iter().take(usize::from(len)));
}

fn put_variable(mut number: u32, out: &mut Vec<u8>) {
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
