//! Bosch's compensation in floating point (BST-BME280-DS002, 8.1 of its appendix; constants of 4.2.2).

/// The constants that a chip is given in the factory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Calibration {
    t: [f64; 3],
    p: [f64; 9],
    h: [f64; 6],
}

/// What the converter gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) pressure: u32,
    pub(crate) temperature: u32,
    pub(crate) humidity: u16,
}

/// What is read of a quantity that was not measured (5.4.8, 5.4.9).
const SKIPPED: u32 = 0x80000;
const SKIPPED_HUMIDITY: u16 = 0x8000;

impl Raw {
    /// The bytes from register F7h on.
    pub(crate) fn new(bytes: [u8; 8]) -> Raw {
        let twenty = |high: u8, middle: u8, low: u8| u32::from_be_bytes([0, high, middle, low]) >> 4;
        let [p0, p1, p2, t0, t1, t2, h0, h1] = bytes;
        Raw { pressure: twenty(p0, p1, p2), temperature: twenty(t0, t1, t2), humidity: u16::from_be_bytes([h0, h1]) }
    }
}

impl Calibration {
    /// The registers 88h to A1h and E1h to E7h.
    pub(crate) fn new(low: &[u8; 26], high: &[u8; 7]) -> Calibration {
        let unsigned = |at: usize| f64::from(u16::from_le_bytes([low[at], low[at + 1]]));
        let signed = |at: usize| f64::from(i16::from_le_bytes([low[at], low[at + 1]]));
        let nibble = |byte: u8, low: u8| f64::from(i16::from(byte.cast_signed()) << 4 | i16::from(low));
        Calibration {
            t: [unsigned(0), signed(2), signed(4)],
            p: std::array::from_fn(|index| if index == 0 { unsigned(6) } else { signed(6 + 2 * index) }),
            h: [
                f64::from(low[25]),
                f64::from(i16::from_le_bytes([high[0], high[1]])),
                f64::from(high[2]),
                nibble(high[3], high[4] & 0xF),
                nibble(high[5], high[4] >> 4),
                f64::from(high[6].cast_signed()),
            ],
        }
    }

    /// In °C.
    pub(crate) fn temperature(&self, raw: &Raw) -> Option<f64> {
        let degrees = self.fine(raw)? / 5120.0;
        (-40.0..=85.0).contains(&degrees).then_some(degrees)
    }

    /// In Pa.
    pub(crate) fn pressure(&self, raw: &Raw) -> Option<f64> {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = self.p;
        let mut x = self.fine(raw)? / 2.0 - 64_000.0;
        let mut y = x * x * p6 / 32_768.0;
        y += x * p5 * 2.0;
        y = y / 4.0 + p4 * 65_536.0;
        x = (p3 * x * x / 524_288.0 + p2 * x) / 524_288.0;
        x = (1.0 + x / 32_768.0) * p1;
        if x == 0.0 || raw.pressure == SKIPPED {
            return None;
        }
        let mut pressure = 1_048_576.0 - f64::from(raw.pressure);
        pressure = (pressure - y / 4096.0) * 6250.0 / x;
        let square = p9 * pressure * pressure / 2_147_483_648.0;
        pressure += (square + pressure * p8 / 32_768.0 + p7) / 16.0;
        (30_000.0..=110_000.0).contains(&pressure).then_some(pressure)
    }

    /// In percent.
    pub(crate) fn humidity(&self, raw: &Raw) -> Option<f64> {
        let [h1, h2, h3, h4, h5, h6] = self.h;
        if raw.humidity == SKIPPED_HUMIDITY {
            return None;
        }
        let x = self.fine(raw)? - 76_800.0;
        let offset = f64::from(raw.humidity) - (h4 * 64.0 + h5 / 16_384.0 * x);
        let slope = h2 / 65_536.0 * (1.0 + h6 / 67_108_864.0 * x * (1.0 + h3 / 67_108_864.0 * x));
        let humidity = offset * slope;
        Some((humidity * (1.0 - h1 * humidity / 524_288.0)).clamp(0.0, 100.0))
    }

    /// The temperature in the fine steps that the other two are corrected by.
    fn fine(&self, raw: &Raw) -> Option<f64> {
        if raw.temperature == SKIPPED {
            return None;
        }
        let [t1, t2, t3] = self.t;
        let raw = f64::from(raw.temperature);
        let coarse = (raw / 16_384.0 - t1 / 1024.0) * t2;
        let bend = raw / 131_072.0 - t1 / 8192.0;
        Some(coarse + bend * bend * t3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Bosch's data sheet BMP280 (BST-BMP280-DS001, 3.12), whose temperature and pressure are the same.
    fn example() -> Calibration {
        let mut low = [0; 26];
        let words: [u16; 12] = [
            27_504,
            26_435,
            (-1000_i16).cast_unsigned(),
            36_477,
            (-10_685_i16).cast_unsigned(),
            3024,
            2855,
            140,
            (-7_i16).cast_unsigned(),
            15_500,
            (-14_600_i16).cast_unsigned(),
            6000,
        ];
        for (at, word) in words.into_iter().enumerate() {
            low[2 * at..2 * at + 2].copy_from_slice(&word.to_le_bytes());
        }
        low[25] = 75;
        // H2 = 362, H3 = 0, H4 = 321, H5 = 50, H6 = 30: usual ones, for the shape of the packed bytes.
        Calibration::new(&low, &[0x6A, 0x01, 0x00, 0x14, 0x21, 0x03, 0x1E])
    }

    const RAW: Raw = Raw { pressure: 415_148, temperature: 519_888, humidity: 27_179 };

    #[test]
    fn the_example_of_the_data_sheet() {
        let calibration = example();
        let degrees = calibration.temperature(&RAW).expect("a temperature");
        assert!((degrees - 25.08).abs() < 0.005, "{degrees}");
        let pascals = calibration.pressure(&RAW).expect("a pressure");
        assert!((pascals - 100_653.27).abs() < 0.05, "{pascals}");
    }

    #[test]
    fn the_packed_constants_of_humidity() {
        let calibration = example();
        assert_eq!(calibration.h, [75.0, 362.0, 0.0, 321.0, 50.0, 30.0]);
        let percent = calibration.humidity(&RAW).expect("a humidity");
        assert!((0.0..=100.0).contains(&percent), "{percent}");
    }

    #[test]
    fn what_was_not_measured_is_no_value() {
        let calibration = example();
        assert_eq!(calibration.temperature(&Raw { temperature: SKIPPED, ..RAW }), None);
        assert_eq!(calibration.pressure(&Raw { pressure: SKIPPED, ..RAW }), None);
        assert_eq!(calibration.humidity(&Raw { humidity: SKIPPED_HUMIDITY, ..RAW }), None);
    }
}
