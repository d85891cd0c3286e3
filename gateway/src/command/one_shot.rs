//! A line for one command: a URL and some addresses, without a configuration file.

use std::future::Future;
use std::time::Duration;

use driver_core::{DeviceSpec, EndpointUrl, GroupId, Line, LineSpec, Place, SpecError, TagId, TagSpec, nearest};

use super::Exit;

/// What a command does with its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are polled, in group 0.
    Read,
    /// They are in no group: what can only be written, such as a broadcast, may be among them.
    Write,
}

/// The line that leads to these addresses. What is wrong with them is printed.
pub(super) fn line(url: &str, addresses: &[String], purpose: Purpose) -> Result<Box<dyn Line>, Exit> {
    let found: Result<Box<dyn Line>, Vec<SpecError>> =
        url.parse::<EndpointUrl>().map_err(|error| vec![error]).and_then(|parsed| {
            let driver = drivers::by_scheme(parsed.scheme()).ok_or_else(|| vec![no_driver(parsed.scheme())])?;
            let tags = addresses.iter().zip(0..);
            let tags = tags.map(|(address, id)| TagSpec { id: TagId(id), address, group: GroupId(0) });
            let groups = if purpose == Purpose::Read { vec![Duration::from_secs(1)] } else { Vec::new() };
            let device = DeviceSpec { groups, tags: tags.collect(), ..DeviceSpec::default() };
            driver.line(&LineSpec { url: parsed, timeout: None, devices: vec![device] })
        });
    found.map_err(|errors| {
        errors.iter().for_each(|error| eprint!("{}", pointed(url, addresses, error)));
        Exit::Configuration
    })
}

fn no_driver(scheme: &str) -> SpecError {
    let known: Vec<&str> = drivers::all().iter().flat_map(|driver| driver.info().schemes).copied().collect();
    let lower = scheme.to_ascii_lowercase();
    let near = nearest(scheme, known.iter().copied()).or(known.iter().copied().find(|name| name.starts_with(&lower)));
    let near = near.map(|near| format!("; did you mean `{near}`")).unwrap_or_default();
    let end = if near.is_empty() { "; drivers" } else { "? Drivers" };
    let message = format!("this build has no driver for `{scheme}`{near}{end} here: {}", known.join(", "));
    SpecError { place: Place::Url(0..scheme.len()), message }
}

/// The text that is wrong, with a caret under the wrong part and the reason behind it.
fn pointed(url: &str, addresses: &[String], error: &SpecError) -> String {
    let (text, range) = match &error.place {
        Place::Url(range) => (url, range.clone()),
        Place::Device(_) | Place::Pattern(..) => (url, 0..url.len()),
        Place::Address(_, tag, range) => (addresses.get(*tag).map_or(url, String::as_str), range.clone()),
    };
    let before = text.get(..range.start).unwrap_or(text).chars().count();
    let marked = text.get(range).unwrap_or_default().chars().count().max(1);
    format!("  {text}\n  {}{} {}\n", " ".repeat(before), "^".repeat(marked), error.message)
}

/// Runs a command's only task on this thread.
pub(super) fn block_on<T>(task: impl Future<Output = T>) -> Result<T, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        eprintln!("cannot start: {cause}");
        Exit::Failure
    })?;
    Ok(runtime.block_on(task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_all_devices_at_once_can_be_written_and_not_read() {
        let url = "modbus-rtu:///dev/ttyUSB0?unit=0";
        assert!(line(url, &["hr:0".into()], Purpose::Write).is_ok());
        assert_eq!(line(url, &["hr:0".into()], Purpose::Read).err(), Some(Exit::Configuration));
    }

    #[test]
    fn a_scheme_that_is_nearly_right_is_told() {
        assert!(no_driver("modbus").message.contains("did you mean `modbus-tcp`?"));
        assert!(no_driver("MODBUS-TPC").message.contains("did you mean `modbus-tcp`?"));
        assert!(!no_driver("plc1").message.contains("did you mean"));
    }

    #[test]
    fn the_wrong_part_is_marked() {
        let error = SpecError { place: Place::Address(0, 1, 5..8), message: "no such type".into() };
        let text = pointed("modbus-tcp://h", &["hr:0".into(), "hr:0:FOO".into()], &error);
        assert_eq!(text, "  hr:0:FOO\n       ^^^ no such type\n");
    }
}
