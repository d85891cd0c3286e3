//! Packets in words, for the log: a line a packet, with its bytes.

use driver_core::Way;

use super::{Kind, Message, Tpdu, tpkt};

/// The longest packet that is shown whole, bytes.
const SHOWN_MAX: usize = 300;

/// What passed, a line a packet; what is no whole packet is shown as bytes.
pub(crate) fn text(way: Way, bytes: &[u8]) -> String {
    let arrow = match way {
        Way::Out => "->",
        Way::In => "<-",
    };
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Ok(Some(len)) = tpkt::packet_len(rest)
        && let Some(packet) = rest.get(..len).filter(|packet| packet.len() > tpkt::HEADER)
    {
        lines.push(format!("{arrow} {} [{}]", packet_text(packet), hex(packet)));
        rest = &rest[len..];
    }
    if !rest.is_empty() {
        lines.push(format!("{arrow} part of a packet [{}]", hex(rest)));
    }
    lines.join("\n")
}

fn packet_text(packet: &[u8]) -> String {
    match Tpdu::decode(&packet[tpkt::HEADER..]) {
        Ok(Tpdu::Confirm { .. }) => "the call is taken".into(),
        Ok(Tpdu::Disconnect { reason }) => format!("the far side leaves, reason {reason:?}"),
        Ok(Tpdu::Error { .. }) => "the far side rejects a packet".into(),
        Ok(Tpdu::Data { .. }) => message_text(packet.get(tpkt::HEADER + 3..).unwrap_or_default()),
        Err(_) => match packet.get(tpkt::HEADER + 1) {
            Some(0xE0) => "call".into(),
            Some(0x80) => "leave".into(),
            _ => "a packet".into(),
        },
    }
}

fn message_text(bytes: &[u8]) -> String {
    let Ok(message) = Message::decode(bytes) else {
        // A job is never decoded by us: only its head is looked at.
        let reference = bytes.get(4..6).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]));
        return match (bytes.get(1), bytes.get(10)) {
            (Some(1), Some(function)) => format!("job #{reference}, {}", name(*function)),
            _ => "a message".into(),
        };
    };
    let kind = match message.kind {
        Kind::Job => "job",
        Kind::Ack | Kind::AckData => "answer",
        Kind::Userdata => "about the PLC",
    };
    let what = message.parameter.first().map_or_else(String::new, |function| format!(", {}", name(*function)));
    match message.error {
        Some(error) => format!("{kind} #{}{what}: refused, {error:?}", message.reference),
        None => format!("{kind} #{}{what}", message.reference),
    }
}

fn name(function: u8) -> String {
    match function {
        0x04 => "read".into(),
        0x05 => "write".into(),
        0xF0 => "agree on messages".into(),
        0x00 => "question".into(),
        other => format!("function {other:02X}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02X}")).collect();
    let more = if bytes.len() > SHOWN_MAX { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect()
    }

    #[test]
    fn packets_are_told_in_words_one_by_one() {
        let call = bytes("03 00 00 16 11 E0 00 00 00 01 00 C0 01 0A C1 02 01 00 C2 02 03 01");
        assert!(text(Way::Out, &call).starts_with("-> call ["));
        let setup = "03 00 00 1B 02 F0 80 32 03 00 00 00 01 00 08 00 00 00 00 F0 00 00 01 00 01 00 F0";
        let told = text(Way::In, &bytes(&format!("{setup} 03 00")));
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("<- answer #1, agree on messages ["), "{told}");
        assert_eq!(lines[1], "<- part of a packet [03 00]");
        let read = "03 00 00 1F 02 F0 80 32 01 00 00 00 02 00 0E 00 00 04 01 12 0A 10 02 00 04 00 01 84 00 00 00";
        assert!(text(Way::Out, &bytes(read)).starts_with("-> job #2, read ["));
    }

    #[test]
    fn anything_is_told() {
        for len in 0..40 {
            for byte in [0, 3, 0x32, 0xFF] {
                text(Way::In, &vec![byte; len]);
                let mut packet = vec![3, 0, 0, len as u8];
                packet.resize(len.max(4), byte);
                text(Way::Out, &packet);
            }
        }
    }
}
