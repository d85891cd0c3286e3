//! What was found where the patterns of devices point: the tags that stand in no file.
//!
//! A device is looked through while it is polled; what was found goes into the configuration as if it had been written
//! there. It lies on disk too, so that a restart begins with it, whether or not the device answers. What is found no more
//! stays until the next start: its readings are bad, with the reason, and not silent.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use driver_core::{EndpointUrl, FoundTag};

use super::learned::LearnedFolder;
use crate::config::Config;

/// All that was found, by device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    by_device: BTreeMap<Box<str>, (Box<str>, Vec<FoundTag>)>,
}

/// What one look through a device came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The device's name.
    pub device: Box<str>,
    /// Where it was looked for; see [`origin`].
    pub origin: Box<str>,
    /// All that is there.
    pub tags: Vec<FoundTag>,
}

/// What findings hold for: other patterns, or another address, find other tags.
pub fn origin<'p>(url: &EndpointUrl, patterns: impl Iterator<Item = &'p str>) -> Box<str> {
    let bare = url.as_str().split('?').next().unwrap_or_default();
    patterns.fold(bare.to_owned(), |origin, pattern| origin + " " + pattern).into()
}

impl Findings {
    /// What was found in earlier lives for the devices of this configuration.
    pub fn load(config: &Config) -> Findings {
        let folder = folder_in(&config.buffer.path);
        let mut findings = Findings::default();
        for line in &config.lines {
            for device in line.spec.devices.iter().filter(|device| !device.browse.is_empty()) {
                let origin = origin(&line.spec.url, device.browse.iter().map(|pattern| &**pattern));
                let tags = folder.load(&device.name, &origin).map(|text| from_text(&text)).unwrap_or_default();
                findings.add(Found { device: device.name.clone(), origin, tags });
            }
        }
        findings
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.by_device.values().all(|(_, tags)| tags.is_empty())
    }

    /// What was found in a device for this origin.
    pub fn of(&self, device: &str, origin: &str) -> &[FoundTag] {
        match self.by_device.get(device) {
            Some((known, tags)) if **known == *origin => tags,
            _ => &[],
        }
    }

    /// Adds what a look came to. A tag that was found before and is not there any more stays.
    pub fn add(&mut self, found: Found) {
        let Found { device, origin, tags } = found;
        let (_, known) = match self.by_device.entry(device).or_insert_with(|| (origin.clone(), Vec::new())) {
            (of, known) if *of != origin => {
                known.clear();
                *of = origin;
                (of, known)
            }
            (of, known) => (of, known),
        };
        let places: HashMap<Box<str>, usize> =
            known.iter().enumerate().map(|(at, tag)| (tag.name.clone(), at)).collect();
        for tag in tags {
            match places.get(&tag.name) {
                Some(at) => known[*at] = tag,
                None => known.push(tag),
            }
        }
    }
}

/// The folder of what was found, within the buffer's.
pub fn folder_in(buffer: &Path) -> LearnedFolder {
    LearnedFolder::named("found", buffer)
}

/// Keeps what a look came to for the next start; waits for the disk.
///
/// # Errors
/// It cannot be written.
pub fn keep(folder: &LearnedFolder, found: &Found) -> io::Result<()> {
    let text = to_text(&found.tags);
    if folder.load(&found.device, &found.origin).as_deref() == Some(&*text) {
        return Ok(());
    }
    folder.save(&found.device, &found.origin, &text)
}

/// A line a tag: name, tab, address. Neither holds a control character.
fn to_text(tags: &[FoundTag]) -> String {
    tags.iter().fold(String::new(), |mut text, tag| {
        writeln!(text, "{}\t{}", tag.name, tag.address).expect("a string takes all that is written to it");
        text
    })
}

fn from_text(text: &str) -> Vec<FoundTag> {
    let parts = text.lines().filter_map(|line| line.split_once('\t'));
    parts.map(|(name, address)| FoundTag { name: name.into(), address: address.into() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Vec<FoundTag> {
        pairs.iter().map(|(name, address)| FoundTag { name: (*name).into(), address: (*address).into() }).collect()
    }

    fn found(origin: &str, pairs: &[(&str, &str)]) -> Found {
        Found { device: "line7".into(), origin: origin.into(), tags: tags(pairs) }
    }

    #[test]
    fn what_is_found_no_more_stays_and_what_moved_is_where_it_was_found_last() {
        let mut findings = Findings::default();
        findings.add(found("o", &[("a", "ns=2;s=a"), ("b", "ns=2;s=b")]));
        findings.add(found("o", &[("b", "ns=3;s=b"), ("c", "ns=2;s=c")]));
        let expected = tags(&[("a", "ns=2;s=a"), ("b", "ns=3;s=b"), ("c", "ns=2;s=c")]);
        assert_eq!(findings.of("line7", "o"), expected);
        assert!(findings.of("line7", "other").is_empty() && findings.of("line8", "o").is_empty());
        findings.add(found("other", &[("d", "ns=2;s=d")]));
        assert_eq!(findings.of("line7", "other"), tags(&[("d", "ns=2;s=d")]));
        assert!(findings.of("line7", "o").is_empty());
    }

    #[test]
    fn what_was_found_is_there_at_the_next_start() {
        let buffer = tempfile::tempdir().expect("a folder");
        let folder = folder_in(buffer.path());
        let one = found("opc.tcp://h /Objects/*", &[("a b", "nsu=urn:x;s=a\u{e4}"), ("c", "/Objects/2:c")]);
        keep(&folder, &one).expect("is kept");
        let text = folder.load("line7", &one.origin).expect("it is there");
        assert_eq!(from_text(&text), one.tags);
        assert_eq!(folder.load("line7", "another origin"), None);
    }
}
