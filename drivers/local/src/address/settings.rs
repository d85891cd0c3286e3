//! What stands behind the question mark of an address.

use std::ops::Range;
use std::time::Duration;

use driver_core::{AddressError, nearest};

/// Full scales of the ADS1115 by its code of the amplifier, in volts (SBAS444, table of the Config register).
const RANGES: [(&str, f64); 6] =
    [("6.144", 6.144), ("4.096", 4.096), ("2.048", 2.048), ("1.024", 1.024), ("0.512", 0.512), ("0.256", 0.256)];
const DEBOUNCE_MAX: Duration = Duration::from_secs(1);

/// How an address is measured; each has the default of its chip's usual wiring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Resistor of an input.
    pub pull: Pull,
    /// Whether a low level means true.
    pub is_active_low: bool,
    /// How long a line has to rest before an edge counts.
    pub debounce: Duration,
    /// ADS1115: code of the amplifier.
    pub range: u8,
    /// INA219, INA226: the shunt, in ohms.
    pub shunt: Option<f64>,
    /// MCP3008: the reference, in volts.
    pub vref: f64,
    /// MAX31865: resistance of the thermometer at 0 °C, in ohms.
    pub rtd: f64,
    /// MAX31865: the reference resistor, in ohms.
    pub reference: f64,
    /// MAX31865: wires to the thermometer.
    pub wires: u8,
    /// MAX31865: mains frequency that is filtered out, in Hz.
    pub mains: u8,
}

/// A resistor that holds an input while nothing drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    /// As the board has it.
    #[default]
    AsIs,
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// None.
    Off,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            pull: Pull::AsIs,
            is_active_low: false,
            debounce: Duration::ZERO,
            range: 1,
            shunt: None,
            vref: 3.3,
            rtd: 100.0,
            reference: 430.0,
            wires: 2,
            mains: 50,
        }
    }
}

impl Settings {
    /// The full scale of the ADS1115, in volts.
    pub fn full_scale(&self) -> f64 {
        RANGES.get(usize::from(self.range)).map_or(4.096, |(_, volts)| *volts)
    }

    /// Understands `name=value&…`, which begins at byte `at` of the address.
    pub(super) fn parse(query: Option<&str>, at: usize, allowed: &[&str]) -> Result<Settings, AddressError> {
        let mut settings = Settings::default();
        let Some(query) = query else { return Ok(settings) };
        let mut from = at;
        for part in query.split('&') {
            let range = from..from + part.len();
            from = range.end + 1;
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !allowed.contains(&name) {
                return Err(unknown(name, range, allowed));
            }
            let expected = settings.set(name, value);
            if let Some(expected) = expected {
                return Err(AddressError::new(range, format!("`{name}` is {expected}")));
            }
        }
        Ok(settings)
    }

    /// Sets one; what was expected instead when the value is none.
    fn set(&mut self, name: &str, value: &str) -> Option<&'static str> {
        let positive = || value.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        match name {
            "pull" => set(&mut self.pull, pull(value), "up, down or off"),
            "active" => set(&mut self.is_active_low, level(value), "high or low"),
            "debounce" => set(&mut self.debounce, debounce(value), "a time up to 1000ms, such as 5ms or 500us"),
            "range" => set(&mut self.range, range(value), "6.144, 4.096, 2.048, 1.024, 0.512 or 0.256 volts"),
            "shunt" => set(&mut self.shunt, positive().map(Some), "a resistance in ohms, such as 0.1"),
            "vref" => set(&mut self.vref, positive(), "a voltage, such as 3.3"),
            "rtd" => set(&mut self.rtd, positive(), "the resistance at 0 °C in ohms, such as 100 or 1000"),
            "reference" => set(&mut self.reference, positive(), "a resistance in ohms, such as 430"),
            "wires" => set(&mut self.wires, value.parse().ok().filter(|n| (2..=4).contains(n)), "2, 3 or 4"),
            _ => set(&mut self.mains, value.parse().ok().filter(|n| [50, 60].contains(n)), "50 or 60"),
        }
    }
}

fn set<T>(target: &mut T, value: Option<T>, expected: &'static str) -> Option<&'static str> {
    match value {
        Some(value) => {
            *target = value;
            None
        }
        None => Some(expected),
    }
}

/// The settings as they stand in the canonical address.
pub(super) fn text(query: Option<&str>) -> String {
    query.map(|query| format!("?{query}")).unwrap_or_default()
}

fn unknown(name: &str, range: Range<usize>, allowed: &[&str]) -> AddressError {
    let message = match (nearest(name, allowed.iter().copied()), allowed) {
        (Some(near), _) => format!("there is no setting `{name}` here; did you mean {near}?"),
        (None, []) => "nothing can be set here".into(),
        (None, _) => format!("there is no setting `{name}` here; there is {}", allowed.join(", ")),
    };
    AddressError::new(range, message)
}

fn pull(text: &str) -> Option<Pull> {
    match text {
        "up" => Some(Pull::Up),
        "down" => Some(Pull::Down),
        "off" => Some(Pull::Off),
        _ => None,
    }
}

fn level(text: &str) -> Option<bool> {
    match text {
        "low" => Some(true),
        "high" => Some(false),
        _ => None,
    }
}

fn debounce(text: &str) -> Option<Duration> {
    let millis = text.strip_suffix("ms").map(|digits| (digits, 1000));
    let (digits, micros) = millis.or_else(|| text.strip_suffix("us").map(|digits| (digits, 1)))?;
    let time = Duration::from_micros(digits.parse::<u64>().ok()?.checked_mul(micros)?);
    (time <= DEBOUNCE_MAX).then_some(time)
}

fn range(text: &str) -> Option<u8> {
    RANGES.iter().position(|(name, _)| *name == text).and_then(|code| u8::try_from(code).ok())
}
