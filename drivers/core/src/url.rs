//! A device's URL: `scheme:[//host[:port]][/path][?key=value&…]`, with the place of each part for error messages. Where an
//! uplink's servers are many, `//host[:port],host[:port]`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use crate::{Place, SpecError, nearest};

/// The longest time that an option may name.
const OPTION_DURATION_MAX: Duration = Duration::from_secs(86_400);

/// Where a host stands in the text, and its port where one is named.
type Host = (Range<usize>, Option<u16>);

/// The parts of a device's URL. The path of a serial port is `/dev/ttyUSB0` or `usb:VID:PID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    text: Box<str>,
    scheme: Range<usize>,
    host: Range<usize>,
    port: Option<u16>,
    /// The hosts behind the first, with their ports.
    others: Vec<Host>,
    path: Range<usize>,
    options: Vec<(Range<usize>, Range<usize>)>,
}

impl EndpointUrl {
    /// The scheme, such as `modbus-tcp`.
    pub fn scheme(&self) -> &str {
        &self.text[self.scheme.clone()]
    }

    /// Host name or address, an IPv6 address without its brackets; empty when there is none. The first of several.
    pub fn host(&self) -> &str {
        self.bare(&self.host)
    }

    /// The port, where the URL names one; that of the first of several hosts.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// All hosts with the ports that the URL names; at least one, which may be empty.
    pub fn hosts(&self) -> Vec<(&str, Option<u16>)> {
        let others = self.others.iter().map(|(host, port)| (self.bare(host), *port));
        std::iter::once((self.host(), self.port)).chain(others).collect()
    }

    /// The error of a URL that names several hosts where only one can be.
    pub fn more_than_one_host(&self) -> Option<SpecError> {
        let (host, _) = self.others.first()?;
        Some(SpecError { place: Place::Url(host.clone()), message: "only one host can stand here".into() })
    }

    fn bare(&self, host: &Range<usize>) -> &str {
        self.text[host.clone()].trim_start_matches('[').trim_end_matches(']')
    }

    /// What stands between host and `?`, such as `/dev/ttyUSB0` or `usb:0403:6001`; empty when there is none.
    pub fn path(&self) -> &str {
        &self.text[self.path.clone()]
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The options of the query, to be asked for one by one; what is not asked for is unknown.
    pub fn options(&self) -> Options<'_> {
        Options { url: self, taken: vec![false; self.options.len()], errors: Vec::new() }
    }

    /// The same place without the query.
    pub fn without_options(&self) -> EndpointUrl {
        let text = self.text.split('?').next().unwrap_or_default().into();
        EndpointUrl { text, options: Vec::new(), ..self.clone() }
    }

    /// An error about the host.
    pub fn host_error(&self, message: impl Into<String>) -> SpecError {
        SpecError { place: Place::Url(self.host.clone()), message: message.into() }
    }

    /// An error about the path.
    pub fn path_error(&self, message: impl Into<String>) -> SpecError {
        SpecError { place: Place::Url(self.path.clone()), message: message.into() }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for EndpointUrl {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<EndpointUrl, SpecError> {
        let error =
            |range: Range<usize>, message: &str| SpecError { place: Place::Url(range), message: message.into() };
        let question = text.find('?').unwrap_or(text.len());
        let colon = text[..question].find(':').filter(|at| is_scheme(&text[..*at])).ok_or_else(|| {
            error(0..question, "a device is a URL with its protocol, such as modbus-tcp://10.0.0.11?unit=1")
        })?;
        let after = colon + 1;
        let (mut hosts, path) = if text[after..question].starts_with("//") {
            let start = after + 2;
            let end = text[start..question].find('/').map_or(question, |at| start + at);
            if let Some(at) = text[start..end].find('@') {
                return Err(error(
                    start..start + at + 1,
                    "a URL holds no user and password: they would be printed with it. Give them as keys beside `url`",
                ));
            }
            (split_hosts(text, start..end)?, end..question)
        } else {
            (vec![(after..after, None)], after..question)
        };
        let (host, port) = hosts.remove(0);
        let options = split_options(text, question);
        Ok(EndpointUrl { text: text.into(), scheme: 0..colon, host, port, others: hosts, path, options })
    }
}

/// Whether this can be a scheme (RFC 3986, 3.1); `10.0.0.11` in `10.0.0.11:502` cannot.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// At least one host.
fn split_hosts(text: &str, authority: Range<usize>) -> Result<Vec<Host>, SpecError> {
    let mut hosts = Vec::new();
    let mut start = authority.start;
    for part in text[authority.clone()].split(',') {
        let range = start..start + part.len();
        start = range.end + 1;
        let (host, port) = split_port(text, range.clone())?;
        check_address(text, host.clone())?;
        if host.is_empty() && range.len() < authority.len() {
            return Err(SpecError { place: Place::Url(range), message: "a host is missing beside the comma".into() });
        }
        hosts.push((host, port));
    }
    Ok(hosts)
}

fn split_port(text: &str, authority: Range<usize>) -> Result<Host, SpecError> {
    let part = &text[authority.clone()];
    if part.parse::<Ipv6Addr>().is_ok() {
        let message = "an IPv6 address stands in brackets, such as [::1] or [::1]:502".into();
        return Err(SpecError { place: Place::Url(authority), message });
    }
    let host_end = part.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = part[host_end..].find(':').map(|at| host_end + at) else {
        return Ok((authority, None));
    };
    let digits = authority.start + colon + 1..authority.end;
    match text[digits.clone()].parse() {
        Ok(port) if port > 0 => Ok((authority.start..authority.start + colon, Some(port))),
        _ => Err(SpecError { place: Place::Url(digits), message: "a port is a number from 1 to 65535".into() }),
    }
}

/// A host of digits and dots alone is an IPv4 address or a slip of the pen: the system would understand `10.0.11` as
/// 10.0.0.11, and look for a name for `10.0.0.311`.
fn check_address(text: &str, host: Range<usize>) -> Result<(), SpecError> {
    let written = &text[host.clone()];
    let is_numeric = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_numeric && written.parse::<Ipv4Addr>().is_err() {
        let message =
            "an IPv4 address is four numbers from 0 to 255, without zeros before them, such as 10.0.0.11".into();
        return Err(SpecError { place: Place::Url(host), message });
    }
    Ok(())
}

fn split_options(text: &str, question: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let mut options = Vec::new();
    let mut at = question + 1;
    while at < text.len() {
        let end = text[at..].find('&').map_or(text.len(), |offset| at + offset);
        let equals = text[at..end].find('=').map_or(end, |offset| at + offset);
        options.push((at..equals, (equals + 1).min(end)..end));
        at = end + 1;
    }
    options
}

/// The query of a URL, asked for key by key; errors are gathered, not thrown.
pub struct Options<'a> {
    url: &'a EndpointUrl,
    taken: Vec<bool>,
    errors: Vec<SpecError>,
}

impl<'a> Options<'a> {
    /// The text of an option, if it is there.
    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        self.range(key).map(|range| &self.url.text[range])
    }

    /// An option that `parse` understands; where it does not, the error says that `expected` is what should stand there.
    pub fn parse<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let range = self.range(key)?;
        let parsed = parse(&self.url.text[range.clone()]);
        if parsed.is_none() {
            let message = format!("`{key}` is `{}`; expected {expected}", &self.url.text[range.clone()]);
            self.errors.push(SpecError { place: Place::Url(range), message });
        }
        parsed
    }

    /// An option that is a time with its unit, such as `500ms` or `1.5s`; zero is refused.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        self.parse(key, "a time with its unit, such as 500ms or 2s", parse_duration)
    }

    /// Whether an option is there.
    pub fn has(&mut self, key: &str) -> bool {
        self.range(key).is_some()
    }

    /// An error of the caller's about an option that was understood, such as two that contradict each other.
    pub fn error(&mut self, key: &str, message: impl Into<String>) {
        let range = self.range(key).unwrap_or(0..self.url.text.len());
        self.errors.push(SpecError { place: Place::Url(range), message: message.into() });
    }

    /// All errors, with one for each option that was never asked for.
    pub fn finish(mut self, known: &[(&str, &str)]) -> Result<(), Vec<SpecError>> {
        for (index, (key, _)) in self.url.options.iter().enumerate() {
            if !self.taken[index] {
                let message = untaken(&self.url.text[key.clone()], known);
                self.errors.push(SpecError { place: Place::Url(key.clone()), message });
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    fn range(&mut self, key: &str) -> Option<Range<usize>> {
        let index = self.url.options.iter().position(|(name, _)| &self.url.text[name.clone()] == key)?;
        self.taken[index] = true;
        Some(self.url.options[index].1.clone())
    }
}

/// What is wrong with an option that nobody asked for.
fn untaken(key: &str, known: &[(&str, &str)]) -> String {
    let names = || known.iter().map(|(name, _)| *name);
    if names().any(|name| name == key) {
        return format!("the option `{key}` stands here for the second time: keep one of the two");
    }
    let known = names().collect::<Vec<_>>().join(", ");
    match nearest(key, names()) {
        Some(near) => format!("unknown option `{key}`; did you mean `{near}`? Known here: {known}"),
        None => format!("unknown option `{key}`; known here: {known}"),
    }
}

/// A time above zero, up to a day, in `us`, `ms`, `s` or `min`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|character: char| character.is_ascii_alphabetic())?;
    let seconds = match &text[unit_at..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        _ => return None,
    };
    let number: f64 = text[..unit_at].trim_end().parse().ok()?;
    let duration = Duration::try_from_secs_f64(number * seconds).ok()?;
    (!duration.is_zero() && duration <= OPTION_DURATION_MAX).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url: EndpointUrl = "modbus-tcp://10.0.0.11:1502?unit=3&timeout=2s".parse().expect("a URL");
        assert_eq!((url.scheme(), url.host(), url.port(), url.path()), ("modbus-tcp", "10.0.0.11", Some(1502), ""));
        let url: EndpointUrl = "modbus-rtu:///dev/ttyUSB0?baud=19200".parse().expect("a URL");
        assert_eq!((url.host(), url.port(), url.path()), ("", None, "/dev/ttyUSB0"));
        let url: EndpointUrl = "modbus-rtu:usb:0403:6001".parse().expect("a URL");
        assert_eq!((url.host(), url.path()), ("", "usb:0403:6001"));
        let url: EndpointUrl = "modbus-tcp://[::1]:502".parse().expect("a URL");
        assert_eq!((url.host(), url.port()), ("::1", Some(502)));
    }

    #[test]
    fn several_hosts_are_told_apart_and_are_an_error_where_one_is_wanted() {
        let url: EndpointUrl = "kafka://k1:9092,[::1],10.0.0.3:9094/x?y=1,2".parse().expect("a URL");
        assert_eq!(url.hosts(), [("k1", Some(9092)), ("::1", None), ("10.0.0.3", Some(9094))]);
        assert_eq!((url.host(), url.port(), url.path()), ("k1", Some(9092), "/x"));
        assert_eq!(url.more_than_one_host().map(|error| error.place), Some(Place::Url(16..21)));
        let alone: EndpointUrl = "kafka://k1".parse().expect("a URL");
        assert_eq!((alone.hosts(), alone.more_than_one_host()), (vec![("k1", None)], None));
        for text in ["kafka://k1,", "kafka://,k1", "kafka://k1,,k2", "kafka://k1,k2:x", "kafka://k1,:9092"] {
            assert!(text.parse::<EndpointUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let refused = |text: &str| text.parse::<EndpointUrl>().expect_err(text);
        assert_eq!(refused("10.0.0.11").place, Place::Url(0..9));
        assert!(refused("10.0.0.11:502").message.contains("a device is a URL"));
        assert!(refused("?unit=1:2").message.contains("a device is a URL"));
        assert_eq!(refused("modbus-tcp://10.0.0.311:502").place, Place::Url(13..23));
        assert!(refused("modbus-tcp://10.0.11").message.contains("four numbers"));
        assert!(refused("modbus-tcp://010.0.0.11").message.contains("without zeros"));
        assert!(refused("modbus-tcp://fe80::1").message.contains("in brackets"));
        assert_eq!(refused("modbus-tcp://h:99999").place, Place::Url(15..20));
        assert!(refused("modbus-tcp://me:secret@h").message.contains("no user and password"));
    }

    #[test]
    fn options_that_nobody_asked_for_are_unknown() {
        let url: EndpointUrl = "modbus-tcp://h?unit=x&unti=3".parse().expect("a URL");
        let mut options = url.options();
        assert_eq!(options.parse("unit", "a number", |text| text.parse::<u8>().ok()), None);
        let errors = options.finish(&[("unit", "the unit")]).expect_err("two errors");
        assert_eq!(errors.len(), 2);
        assert!(errors[0].message.contains("expected a number"), "{errors:?}");
        assert!(errors[1].message.contains("unknown option `unti`; did you mean `unit`?"), "{errors:?}");
    }

    #[test]
    fn an_option_that_stands_twice_is_not_called_unknown() {
        let url: EndpointUrl = "modbus-tcp://h?unit=1&unit=2".parse().expect("a URL");
        let mut options = url.options();
        assert_eq!(options.text("unit"), Some("1"));
        let errors = options.finish(&[("unit", "the unit")]).expect_err("one error");
        assert!(errors[0].message.contains("second time"), "{errors:?}");
    }

    #[test]
    fn times_carry_their_unit() {
        let cases =
            [("500ms", Some(500_000)), ("1.5s", Some(1_500_000)), ("20us", Some(20)), ("1min", Some(60_000_000))];
        for (text, micros) in cases {
            assert_eq!(parse_duration(text).map(|time| time.as_micros()), micros, "{text}");
        }
        for text in ["", "5", "ms", "-1s", "0s", "1h", "1e99s", "NaNs", "é"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            if let Ok(url) = text.parse::<EndpointUrl>() {
                assert_eq!(url.as_str(), text);
                assert!(text.starts_with(url.scheme()));
            }
        }
    }
}
