//! Makes what was found fit our rules: names are unique, one line has one owner of its URL, and every address is one that
//! the driver understands. What does not fit is dropped and said.

use std::collections::HashSet;
use std::time::Duration;

use driver_core::{AnyDriver, DeviceSpec, EndpointUrl, GroupId, LineSpec, Place, SpecError, TagId, TagSpec};

use super::found::{Device, EVERY_MS, Found, Tag};

/// The longest name, bytes.
const NAME_BYTES_MAX: usize = 200;
/// The longest interval that a configuration may name.
const EVERY_MS_MAX: u64 = 7 * 86_400_000;
const TIMEOUT_MS_MAX: u64 = 120_000;

/// `url` is that of the command line, for the devices whose file does not say where they are.
pub(super) fn fit(found: &mut Found, url: Option<&str>) {
    let mut devices = std::mem::take(&mut found.devices);
    let mut names = HashSet::new();
    for device in &mut devices {
        device.name = unique(&plain(&device.name, "device"), &mut names);
        place(device, url, found);
        times(device);
        tag_names(device);
        addresses(device, found);
        if device.idle.is_none() && device.tags.is_empty() {
            found.left(device.place.clone(), format!("`{}` has no tag that can be read here", device.name));
        }
    }
    devices.retain(|device| !device.tags.is_empty());
    share_lines(&mut devices);
    found.devices = devices;
}

/// In one line, not too long, and not empty.
fn plain(name: &str, otherwise: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let name = name.trim();
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if name.is_empty() { otherwise.to_owned() } else { name[..end].to_owned() }
}

fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    // Of endlessly many candidates one is free.
    candidates.find(|candidate| taken.insert(candidate.clone())).unwrap_or_default()
}

fn tag_names(device: &mut Device) {
    let mut taken = HashSet::new();
    for tag in &mut device.tags {
        let address = tag.addresses.first().cloned().unwrap_or_default();
        tag.name = unique(&plain(&tag.name, &address), &mut taken);
    }
}

fn times(device: &mut Device) {
    let clamped = |every: Option<u64>| every.map(|every| every.clamp(1, EVERY_MS_MAX));
    device.every_ms = clamped(device.every_ms);
    device.timeout_ms = device.timeout_ms.map(|timeout| timeout.clamp(1, TIMEOUT_MS_MAX));
    device.tags.iter_mut().for_each(|tag| tag.every_ms = clamped(tag.every_ms));
    // What all tags say, the device says for them.
    let first = device.tags.first().and_then(|tag| tag.every_ms);
    if device.every_ms.is_none() && device.tags.iter().all(|tag| tag.every_ms == first) {
        device.every_ms = first;
    }
    let usual = device.every_ms.unwrap_or(EVERY_MS);
    for tag in &mut device.tags {
        tag.every_ms = tag.every_ms.filter(|every| *every != usual);
    }
    for tag in &mut device.tags {
        tag.scale = tag.scale.filter(|scale| scale.is_finite() && *scale != 0.0);
        tag.offset = tag.offset.filter(|offset| offset.is_finite());
        tag.unit = tag.unit.take().map(|unit| plain(&unit, "")).filter(|unit| !unit.is_empty());
    }
}

/// Gives a device a URL that its driver takes, or says why it stays a comment.
fn place(device: &mut Device, given: Option<&str>, found: &mut Found) {
    if device.idle.is_none() {
        set_url(device, given, found);
    }
    if let Some(why) = &device.idle {
        found.left(device.place.clone(), format!("`{}` is only a comment in the result: {why}", device.name));
    }
}

fn set_url(device: &mut Device, given: Option<&str>, found: &mut Found) {
    let from_file = device.url.clone();
    let url = from_file.as_deref().or(given).unwrap_or(device.stand_in).to_owned();
    if from_file.is_none() && given.is_none() {
        let message = format!(
            "`{}`: the file does not say where it is; put the right address into its URL, or give --url",
            device.name
        );
        found.look(device.place.clone(), message);
        device.comment = Some(joined(device.comment.take(), "put the right address into the URL"));
    }
    if url.contains("unit=") {
        device.unit = None;
    }
    match driver(&url) {
        Ok(_) => device.url = Some(url),
        Err(Refused::NoDriver(scheme)) => {
            device.idle = Some(format!("this build has no driver for `{scheme}`"));
            device.url = Some(url);
        }
        Err(Refused::Wrong(cause)) => {
            found.look(device.place.clone(), format!("`{}`: {url}: {cause}", device.name));
            device.comment = Some(joined(device.comment.take(), &format!("was {}", plain(&url, ""))));
            device.url = Some(device.stand_in.to_owned());
            if let Err(Refused::NoDriver(scheme)) = driver(device.stand_in) {
                device.idle = Some(format!("this build has no driver for `{scheme}`"));
            }
        }
    }
}

fn joined(before: Option<String>, more: &str) -> String {
    before.map(|before| format!("{before}; {more}")).unwrap_or_else(|| more.to_owned())
}

/// Why a URL cannot be used.
enum Refused {
    NoDriver(String),
    Wrong(String),
}

fn driver(url: &str) -> Result<(&'static dyn AnyDriver, EndpointUrl), Refused> {
    let wrong =
        |errors: &[SpecError]| Refused::Wrong(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    let parsed: EndpointUrl = url.parse().map_err(|error| wrong(&[error]))?;
    let driver = drivers::by_scheme(parsed.scheme()).ok_or_else(|| Refused::NoDriver(parsed.scheme().to_owned()))?;
    driver.check_url(&parsed, None).map_err(|errors| wrong(&errors))?;
    Ok((driver, parsed))
}

/// Takes the first way to write each address that the driver understands; drops what has none.
fn addresses(device: &mut Device, found: &mut Found) {
    let url = device.url.clone().unwrap_or_default();
    let Ok((driver, url)) = driver(&url) else { return };
    let tags: Vec<&Tag> = device.tags.iter().filter(|tag| !tag.addresses.is_empty()).collect();
    let mut choice = vec![0; tags.len()];
    let mut dropped: Vec<Option<String>> = vec![None; tags.len()];
    let rounds = tags.iter().map(|tag| tag.addresses.len()).max().unwrap_or_default();
    for _ in 0..=rounds {
        let open: Vec<usize> = (0..tags.len()).filter(|index| dropped[*index].is_none()).collect();
        let chosen = open.iter().map(|index| tags[*index].addresses[choice[*index]].as_str());
        let Err(errors) = driver.line(&line(&url, device.unit, chosen)) else { break };
        for SpecError { place, message } in errors {
            match place {
                Place::Address(_, tag, _) => {
                    let index = open[tag];
                    if choice[index] + 1 < tags[index].addresses.len() {
                        choice[index] += 1;
                    } else {
                        dropped[index] = Some(message);
                    }
                }
                Place::Device(_) | Place::Pattern(..) | Place::Url(_) => {
                    found.look(device.place.clone(), format!("`{}`: {message}", device.name))
                }
            }
        }
    }
    let mut kept = Vec::with_capacity(tags.len());
    for ((tag, choice), dropped) in tags.into_iter().zip(choice).zip(dropped) {
        match dropped {
            None => kept.push(Tag { addresses: vec![tag.addresses[choice].clone()], ..tag.clone() }),
            Some(cause) => {
                let written = tag.addresses.last().map_or("", String::as_str);
                found.left(tag.place.clone(), format!("`{}` ({written}): {cause}", tag.name));
            }
        }
    }
    device.tags = kept;
}

/// A line of one device with these addresses.
fn line<'a>(url: &EndpointUrl, unit: Option<u16>, addresses: impl Iterator<Item = &'a str>) -> LineSpec {
    let tag = |(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) };
    LineSpec {
        url: url.clone(),
        timeout: None,
        devices: vec![DeviceSpec {
            unit,
            groups: vec![Duration::from_secs(1)],
            tags: (0..).zip(addresses).map(tag).collect(),
            ..DeviceSpec::default()
        }],
    }
}

/// Of several devices behind one URL the first has it, the others are `on` it.
fn share_lines(devices: &mut [Device]) {
    for index in 1..devices.len() {
        let (before, rest) = devices.split_at_mut(index);
        let device = &mut rest[0];
        if device.unit.is_none() || device.idle.is_some() {
            continue;
        }
        let owner = before.iter().find(|other| other.on.is_none() && other.idle.is_none() && other.url == device.url);
        if let Some(owner) = owner {
            device.on = Some(owner.name.clone());
            device.timeout_ms = None;
        }
    }
}
