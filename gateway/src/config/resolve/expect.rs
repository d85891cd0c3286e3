//! `expect:` of a tag: known bytes, decoded and scaled as in a poll, have to be the value beside them.

use driver_core::{Line, Scale, Value};

use crate::config::form::Context;
use crate::config::raw::RawExpect;
use crate::config::source::Spanned;

/// The longest text of bytes in hexadecimal; a tag has at most some thousand bytes.
const BYTES_MAX: usize = 2_048;

/// What is expected of a tag.
pub(super) struct Expected<'t> {
    /// The device's place on its line.
    pub(super) device: usize,
    /// The tag's place within the device.
    pub(super) tag: usize,
    pub(super) scale: Option<Scale>,
    pub(super) expect: RawExpect<'t>,
}

/// Tells every expectation that is not met.
pub(super) fn check(line: &dyn Line, expected: &[Expected<'_>], context: &mut Context<'_>) {
    for one in expected {
        let RawExpect { bytes: Some(bytes), value: Some(value) } = one.expect else { continue };
        if let Err((place, message, help)) = checked(line, one, bytes, value) {
            context.faults.error(place.span, message, help);
        }
    }
}

/// Where it is wrong, what is, and what to do.
type Wrong<'t> = (Spanned<&'t str>, String, &'static str);

fn checked<'t>(
    line: &dyn Line,
    expected: &Expected<'t>,
    bytes: Spanned<&'t str>,
    value: Spanned<&'t str>,
) -> Result<(), Wrong<'t>> {
    let raw = hex(bytes.value).ok_or((
        bytes,
        "these are no bytes in hexadecimal".to_owned(),
        "write two digits a byte, such as `43 65 02 8F`",
    ))?;
    let decoded = line.decode(expected.device, expected.tag, &raw);
    let decoded = decoded.map_err(|cause| (bytes, cause, "write the bytes as they come on the wire"))?;
    let scaled = match expected.scale {
        None => decoded,
        Some(scale) => scale.value(&decoded).unwrap_or(Value::None),
    };
    match is_same(&scaled, value.value) {
        true => Ok(()),
        false => Err((
            value,
            format!("these bytes are {scaled} at this address, and not {}", value.value),
            "check type, byte order and scale; `forebay probe` shows every combination",
        )),
    }
}

/// The bytes of pairs of digits, with spaces or without.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let is_fit = !digits.is_empty() && digits.len().is_multiple_of(2) && digits.len() <= 2 * BYTES_MAX;
    is_fit.then(|| digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// Numbers are compared as numbers of their type, all else as it is printed.
fn is_same(value: &Value, text: &str) -> bool {
    match value {
        Value::Real(number) => text.parse() == Ok(*number),
        Value::LReal(number) => text.parse() == Ok(*number),
        other => other.to_string() == text,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Kinds, Source, check};

    fn faults(tag: &str, order: &str) -> String {
        let text = format!(
            "gateway: a\ndevices:\n  press:\n    url: modbus-tcp://10.0.0.11\n    order: {order}\n    tags:\n      volts: {tag}\n"
        );
        check(Source::new("x", &text), Kinds::of_this_build())
            .err()
            .map(|report| report.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn bytes_have_to_be_the_value() {
        let good = "{ address: \"hr:0:REAL\", expect: { bytes: \"43 65 02 8F\", value: 229.01 } }";
        assert_eq!(faults(good, "ABCD"), "");
        let turned = faults(good, "CDAB");
        assert!(turned.contains("and not 229.01") && turned.contains("forebay probe"), "{turned}");
        let scaled = "{ address: \"hr:0:INT\", scale: 0.01, expect: { bytes: \"5975\", value: 229.01 } }";
        assert_eq!(faults(scaled, "ABCD"), "");
        let array = "{ address: \"hr:0:UINT[2]\", expect: { bytes: \"0001 0002\", value: \"[1, 2]\" } }";
        assert_eq!(faults(array, "ABCD"), "");
    }

    #[test]
    fn what_are_no_bytes_or_too_few_is_told() {
        let of = |bytes: &str| {
            faults(&format!("{{ address: \"hr:0:REAL\", expect: {{ bytes: \"{bytes}\", value: 1 }} }}"), "ABCD")
        };
        assert!(of("43 6").contains("no bytes in hexadecimal"), "{}", of("43 6"));
        assert!(of("4365").contains("the value takes 4 bytes, and here are 2"), "{}", of("4365"));
        let half = faults("{ address: \"hr:0:REAL\", expect: { bytes: \"43 65 02 8F\" } }", "ABCD");
        assert!(half.contains("value"), "{half}");
    }
}
