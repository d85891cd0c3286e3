//! Platinum resistance thermometers: IEC 60751, 4.2 (Callendar–Van Dusen).

const A: f64 = 3.9083e-3;
const B: f64 = -5.775e-7;
const C: f64 = -4.183e-12;
/// The standard's range, in °C.
const MIN: f64 = -200.0;
const MAX: f64 = 850.0;

/// The temperature at which a thermometer of `r0` ohms at 0 °C has this resistance; `None` outside the standard's range.
pub(crate) fn celsius(ohms: f64, r0: f64) -> Option<f64> {
    let ratio = ohms / r0;
    let root = A * A - 4.0 * B * (1.0 - ratio);
    if !root.is_finite() || root < 0.0 {
        return None;
    }
    let above = (-A + root.sqrt()) / (2.0 * B);
    let degrees = if ratio >= 1.0 { above } else { below(ratio, above) };
    // A resistance is given to a hundredth of an ohm in the standard's tables.
    (MIN - 0.1..=MAX + 0.1).contains(&degrees).then_some(degrees)
}

/// Newton's method from the root of the formula for above zero, which lies within 3 K.
fn below(ratio: f64, start: f64) -> f64 {
    let mut t = start;
    for _ in 0..8 {
        let value = 1.0 + A * t + B * t * t + C * (t - 100.0) * t * t * t - ratio;
        let slope = A + 2.0 * B * t + C * (4.0 * t - 300.0) * t * t;
        t -= value / slope;
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the standard's table 1, Pt100.
    #[test]
    fn the_table_of_the_standard() {
        for (ohms, degrees) in [
            (18.52, -200.0),
            (60.26, -100.0),
            (80.31, -50.0),
            (100.0, 0.0),
            (138.51, 100.0),
            (280.98, 500.0),
            (390.48, 850.0),
        ] {
            let found = celsius(ohms, 100.0).expect("within the range");
            assert!((found - degrees).abs() < 0.02, "{ohms}: {found}");
            let ten = celsius(ohms * 10.0, 1000.0).expect("within the range");
            assert!((ten - degrees).abs() < 0.02, "Pt1000 {ohms}: {ten}");
        }
        for ohms in [0.0, 10.0, 395.0, 1e9, f64::NAN] {
            assert_eq!(celsius(ohms, 100.0), None, "{ohms}");
        }
    }
}
