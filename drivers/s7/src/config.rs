//! The URL of an S7 line, understood: where it leads, who is called there, and how large messages may be.

mod options;
mod preset;

use std::fmt;
use std::time::Duration;

use driver_core::{EndpointUrl, Options, SpecError};

use crate::wire::{PDU_MAX, PDU_MIN};
pub use options::{OPTIONS, SCHEMES};
use preset::Preset;

/// The port of RFC 1006.
const PORT: u16 = 102;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// Jobs under way that are asked for; PLCs grant between 1 and 8 or so.
const JOBS_DEFAULT: u16 = 8;
/// Most jobs under way at once, whatever a PLC grants.
pub const JOBS_MAX: u16 = 32;
/// Our own TSAP: a programming device, to which no PLC gives a meaning on our side.
const LOCAL_TSAP: u16 = 0x0100;
const RACK_MAX: u16 = 7;
const SLOT_MAX: u16 = 31;

/// A line: what its URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S7Endpoint {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port; 102 is the protocol's.
    pub port: u16,
    /// Whether the system probes an idle connection.
    pub keep_alive: KeepAlive,
    /// Who calls.
    pub local_tsap: u16,
    /// Who is called.
    pub remote_tsap: u16,
    /// The largest message that is asked for, in bytes.
    pub pdu: u16,
    /// The largest message that is planned with until the PLC has said what it takes.
    pub pdu_planned: u16,
    /// How many jobs under way are asked for.
    pub jobs: u16,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Whether the system probes an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepAlive {
    /// It does: a PLC has few connections, and a half-open one is noticed at either end.
    #[default]
    On,
    /// It does not.
    Off,
}

impl S7Endpoint {
    /// Understands a URL. `timeout` overrides the URL's.
    ///
    /// # Errors
    /// Every wrong part of the URL.
    pub fn parse(url: &EndpointUrl, timeout: Option<Duration>) -> Result<S7Endpoint, Vec<SpecError>> {
        let mut errors = Vec::new();
        if url.host().is_empty() {
            errors.push(url.host_error("name the host, such as s7://10.0.0.13?rack=0&slot=1"));
        }
        if !matches!(url.path(), "" | "/") {
            errors.push(url.path_error("a PLC has no path here; rack and slot are options: ?rack=0&slot=1"));
        }
        let mut options = url.options();
        let preset = options.parse("plc", preset::NAMES, Preset::from_name).unwrap_or_default();
        let (local_tsap, remote_tsap) = tsaps(&mut options, preset);
        let pdu = options.parse("pdu", "a number of bytes from 64 to 960, such as 240, 480 or 960", |text| {
            text.parse().ok().filter(|pdu| (PDU_MIN..=PDU_MAX).contains(&usize::from(*pdu)))
        });
        let jobs = options.parse("in_flight", "a number from 1 to 32", |text| {
            text.parse().ok().filter(|jobs| (1..=JOBS_MAX).contains(jobs))
        });
        let keep_alive = options.parse("keep_alive", "on or off", keep_alive).unwrap_or_default();
        let own_timeout = options.duration("timeout");
        if let Err(more) = options.finish(OPTIONS) {
            errors.extend(more);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(S7Endpoint {
            host: url.host().into(),
            port: url.port().unwrap_or(PORT),
            keep_alive,
            local_tsap,
            remote_tsap,
            pdu: pdu.unwrap_or(PDU_MAX as u16),
            pdu_planned: pdu.unwrap_or(preset.pdu()),
            jobs: jobs.unwrap_or(JOBS_DEFAULT),
            timeout: timeout.or(own_timeout).unwrap_or(TIMEOUT_DEFAULT),
        })
    }
}

impl fmt::Display for S7Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Who calls and who is called.
fn tsaps(options: &mut Options<'_>, preset: Preset) -> (u16, u16) {
    let local = options.parse("local-tsap", "four hexadecimal digits, such as 01.00 or 0x0100", tsap);
    let remote = options.parse("remote-tsap", "four hexadecimal digits, such as 03.01 or 0x0301", tsap);
    let small = |max: u16| move |text: &str| text.parse().ok().filter(|number| *number <= max);
    let rack = options.parse("rack", "a rack from 0 to 7", small(RACK_MAX));
    let slot = options.parse("slot", "a slot from 0 to 31", small(SLOT_MAX));
    let kind = options.parse("as", "pg, op or basic", |text| match text {
        "pg" => Some(1),
        "op" => Some(2),
        "basic" => Some(3),
        _ => None,
    });
    let names_place = rack.is_some() || slot.is_some() || kind.is_some();
    if names_place && (remote.is_some() || preset.tsaps().is_some()) {
        let key = if rack.is_some() {
            "rack"
        } else if slot.is_some() {
            "slot"
        } else {
            "as"
        };
        options.error(key, "the remote TSAP says already who is called: give it, or `rack`, `slot` and `as`, not both");
    }
    let (own, called) = preset.tsaps().unwrap_or_else(|| {
        let place = rack.unwrap_or(0) << 5 | slot.unwrap_or(preset.slot());
        (LOCAL_TSAP, kind.unwrap_or(3) << 8 | place)
    });
    (local.unwrap_or(own), remote.unwrap_or(called))
}

/// `0x0301`, `0301`, `03.01` or `03:01`: TSAPs are written in hexadecimal everywhere.
fn tsap(text: &str) -> Option<u16> {
    let digits: String = text.trim_start_matches("0x").chars().filter(|c| !matches!(c, '.' | ':')).collect();
    u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)
}

fn keep_alive(text: &str) -> Option<KeepAlive> {
    match text {
        "on" => Some(KeepAlive::On),
        "off" => Some(KeepAlive::Off),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<S7Endpoint, Vec<SpecError>> {
        S7Endpoint::parse(&text.parse().expect("a URL"), None)
    }

    #[test]
    fn rack_and_slot_name_who_is_called() {
        let tsaps = |text: &str| parse(text).map(|endpoint| (endpoint.local_tsap, endpoint.remote_tsap)).expect(text);
        assert_eq!(tsaps("s7://plc"), (0x0100, 0x0301));
        assert_eq!(tsaps("s7://plc?rack=1&slot=3&as=op"), (0x0100, 0x0223));
        assert_eq!(tsaps("s7://plc?plc=s7-300"), (0x0100, 0x0302));
        assert_eq!(tsaps("s7://plc?plc=s7-400&slot=4&as=pg"), (0x0100, 0x0104));
        assert_eq!(tsaps("s7://plc?plc=logo"), (0x0100, 0x0200));
        assert_eq!(tsaps("s7://plc?plc=s7-200"), (0x4D57, 0x4D57));
        assert_eq!(tsaps("s7://plc?plc=logo&remote-tsap=20.00&local-tsap=0x1000"), (0x1000, 0x2000));
        assert_eq!(tsaps("s7://plc?remote-tsap=0102"), (0x0100, 0x0102));
    }

    #[test]
    fn what_is_not_said_has_a_default_that_works() {
        let endpoint = parse("s7://10.0.0.13").expect("an endpoint");
        assert_eq!(endpoint.to_string(), "10.0.0.13:102");
        assert_eq!(
            (endpoint.pdu, endpoint.pdu_planned, endpoint.jobs, endpoint.timeout.as_millis()),
            (960, 240, 8, 1000)
        );
        let endpoint = parse("s7://[::1]:1102?plc=s7-1500&in_flight=2&timeout=300ms&keep_alive=off").expect("one");
        assert_eq!(endpoint.to_string(), "[::1]:1102");
        assert_eq!((endpoint.pdu_planned, endpoint.jobs, endpoint.timeout.as_millis()), (960, 2, 300));
        assert_eq!(endpoint.keep_alive, KeepAlive::Off);
        assert_eq!(parse("s7://h?pdu=480").map(|endpoint| (endpoint.pdu, endpoint.pdu_planned)), Ok((480, 480)));
    }

    #[test]
    fn every_wrong_part_is_reported() {
        let errors = parse("s7://?slot=32&pdu=2000&plc=s7-1600&sloot=1").expect_err("five errors");
        assert_eq!(errors.len(), 5, "{errors:?}");
        for (text, expected) in [
            ("s7://plc/1", "no path"),
            ("s7://plc?rack=9", "a rack from 0 to 7"),
            ("s7://plc?slot=1&remote-tsap=0301", "not both"),
            ("s7://plc?plc=logo&slot=1", "not both"),
            ("s7://plc?local-tsap=301", "four hexadecimal digits"),
            ("s7://plc?in_flight=0", "from 1 to 32"),
            ("s7://plc?sloot=1", "slot"),
            ("s7://plc?plc=1500", "s7-1500"),
        ] {
            let errors = parse(text).expect_err(text);
            assert!(errors.iter().any(|error| error.message.contains(expected)), "{text}: {errors:?}");
        }
    }
}
