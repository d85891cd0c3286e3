//! Frames in words, for the log: a line a frame, with its bytes.

use driver_core::Way;

use super::{Exception, function};

const MBAP: usize = 7;
/// The longest frame that is shown whole, bytes.
const SHOWN_MAX: usize = 300;

/// What passed, a line a frame; what is no whole frame is shown as bytes.
pub(crate) fn text(scheme: &str, way: Way, bytes: &[u8]) -> String {
    let is_serial = !matches!(scheme, "modbus-tcp" | "modbus-tls");
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(frame) = first(rest, is_serial) {
        lines.push(frame_text(way, frame, is_serial));
        rest = &rest[frame.len()..];
    }
    if !rest.is_empty() {
        lines.push(format!("{} part of a frame [{}]", arrow(way), hex(rest)));
    }
    lines.join("\n")
}

fn arrow(way: Way) -> &'static str {
    match way {
        Way::Out => "->",
        Way::In => "<-",
    }
}

/// The first whole frame. On a serial line what came together is one.
fn first(bytes: &[u8], is_serial: bool) -> Option<&[u8]> {
    if is_serial {
        return (bytes.len() >= 4 && !bytes.starts_with(b":")).then_some(bytes);
    }
    let len = usize::from(u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?])) + 6;
    bytes.get(..len).filter(|frame| frame.len() > MBAP)
}

fn frame_text(way: Way, frame: &[u8], is_serial: bool) -> String {
    let (head, unit, pdu) = match is_serial {
        true => (String::new(), frame[0], &frame[1..frame.len() - 2]),
        false => (format!("#{} ", u16::from_be_bytes([frame[0], frame[1]])), frame[6], &frame[MBAP..]),
    };
    format!("{} {head}unit {unit} {} [{}]", arrow(way), pdu_text(way, pdu), hex(frame))
}

fn pdu_text(way: Way, pdu: &[u8]) -> String {
    let Some((&code, data)) = pdu.split_first() else { return "nothing".into() };
    if code & function::EXCEPTION_BIT != 0 {
        let exception = data.first().map(|code| Exception::from_code(*code).to_string()).unwrap_or_default();
        return format!("{} refused: {exception}", name(code & !function::EXCEPTION_BIT));
    }
    let word = |at: usize| data.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    match (way, word(0), word(2)) {
        (Way::Out, Some(start), Some(count)) if code <= function::READ_INPUT_REGISTERS => {
            format!("{} {start}..{}", name(code), u32::from(start) + u32::from(count))
        }
        (_, Some(start), Some(value)) if matches!(code, function::WRITE_COIL | function::WRITE_REGISTER) => {
            format!("{} {start} = {value}", name(code))
        }
        (_, Some(start), Some(count)) if matches!(code, function::WRITE_COILS | function::WRITE_REGISTERS) => {
            format!("{} {start}..{}", name(code), u32::from(start) + u32::from(count))
        }
        (Way::In, ..) if code <= function::READ_INPUT_REGISTERS => {
            format!("{} answered, {} bytes", name(code), data.first().copied().unwrap_or_default())
        }
        _ => name(code),
    }
}

fn name(code: u8) -> String {
    let name = match code {
        function::READ_COILS => "read coils",
        function::READ_DISCRETE_INPUTS => "read discrete inputs",
        function::READ_HOLDING_REGISTERS => "read holding registers",
        function::READ_INPUT_REGISTERS => "read input registers",
        function::WRITE_COIL => "write coil",
        function::WRITE_REGISTER => "write register",
        function::WRITE_COILS => "write coils",
        function::WRITE_REGISTERS => "write registers",
        function::READ_FILE_RECORDS => "read file records",
        function::WRITE_FILE_RECORDS => "write file records",
        function::MASK_WRITE_REGISTER => "mask write register",
        function::READ_WRITE_REGISTERS => "read and write registers",
        function::ENCAPSULATED => "read device identification",
        other => return format!("function {other}"),
    };
    name.into()
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02X}")).collect();
    let more = if bytes.len() > SHOWN_MAX { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_in_words_one_by_one() {
        let request = [0, 1, 0, 0, 0, 6, 1, 3, 0, 10, 0, 2];
        assert_eq!(
            text("modbus-tcp", Way::Out, &request),
            "-> #1 unit 1 read holding registers 10..12 [00 01 00 00 00 06 01 03 00 0A 00 02]"
        );
        let two = [0, 1, 0, 0, 0, 3, 1, 0x83, 2, 0, 2, 0, 0, 0, 5, 1, 3, 2, 0, 7, 0xFF];
        let told = text("modbus-tcp", Way::In, &two);
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("<- #1 unit 1 read holding registers refused: "), "{told}");
        assert!(lines[1].starts_with("<- #2 unit 1 read holding registers answered, 2 bytes"), "{told}");
        assert_eq!(lines[2], "<- part of a frame [FF]");
        let rtu = [1, 3, 0, 0, 0, 2, 0xC4, 0x0B];
        assert!(text("modbus-rtu", Way::Out, &rtu).starts_with("-> unit 1 read holding registers 0..2 ["));
    }

    #[test]
    fn anything_is_told() {
        for len in 0..40 {
            for byte in [0, 1, 0x2B, 0x83, 0xFF] {
                for scheme in ["modbus-tcp", "modbus-rtu", "modbus-ascii"] {
                    text(scheme, Way::In, &vec![byte; len]);
                    text(scheme, Way::Out, &vec![byte; len]);
                }
            }
        }
    }
}
