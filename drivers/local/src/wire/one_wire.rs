//! What the kernel says of a 1-wire thermometer: the file `w1_slave`, two lines, with the check sum's verdict in the first.

use driver_core::{Reason, Value};

use super::{Fault, Sample};

/// What a DS18B20 holds after power-on, before its first conversion, in thousandths of a degree.
const POWER_ON: i32 = 85_000;

/// The temperature, in °C. One that is exactly what the chip holds before its first conversion is no measurement.
pub(crate) fn parse(text: &str) -> Sample {
    let is_whole = text.lines().next().is_some_and(|line| line.trim_end().ends_with("YES"));
    if !is_whole {
        return Err(Fault::of(Reason::ProtocolError));
    }
    let milli = text.rsplit_once("t=").and_then(|(_, digits)| digits.trim().parse::<i32>().ok());
    match milli {
        Some(POWER_ON) => Err(Fault::of(Reason::SensorFailure)),
        Some(milli) => Ok(Value::LReal(f64::from(milli) / 1000.0)),
        None => Err(Fault::of(Reason::NotDecodable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel's documentation of w1_therm shows it.
    #[test]
    fn a_temperature_counts_only_with_its_check_sum() {
        let good = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n";
        assert_eq!(parse(good), Ok(Value::LReal(23.125)));
        assert_eq!(parse(&good.replace("t=23125", "t=-1250")), Ok(Value::LReal(-1.25)));
        assert_eq!(parse(&good.replace("YES", "NO")), Err(Fault::of(Reason::ProtocolError)));
        assert_eq!(parse(&good.replace("t=23125", "t=85000")), Err(Fault::of(Reason::SensorFailure)));
        assert_eq!(parse(&good.replace("t=23125", "")), Err(Fault::of(Reason::NotDecodable)));
        assert_eq!(parse(""), Err(Fault::of(Reason::ProtocolError)));
    }
}
