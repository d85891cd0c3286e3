//! What the gateway takes, and whether it stays so.

use std::fmt;
use std::time::Duration;

/// What a life takes until all its parts have been used once.
const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// Memory may grow by so much between the first and the last third of a life, beside the tenth of what it was: what waits
/// for an uplink that is away is held in part.
const GROWS_KIB_MAX: u64 = 2_048;

/// Descriptors come and go with connections.
const GROWS_DESCRIPTORS_MAX: usize = 6;

/// Samples of the last life of the gateway.
#[derive(Default)]
pub(crate) struct Sizes {
    samples: Vec<(Duration, u64, usize)>,
}

impl Sizes {
    /// Another process.
    pub(crate) fn begins(&mut self) {
        self.samples.clear();
    }

    pub(crate) fn add(&mut self, at: Duration, resident_kib: u64, descriptors: usize) {
        self.samples.push((at, resident_kib, descriptors));
    }

    /// The first third of what was measured after it had settled, beside the last.
    pub(crate) fn flat(&self) -> Flat {
        let begun = self.samples.first().map_or(Duration::ZERO, |(at, ..)| *at);
        let settled: Vec<_> = self.samples.iter().filter(|(at, ..)| *at >= begun + SETTLES_WITHIN).collect();
        let third = settled.len() / 3;
        let part = |part: &[&(Duration, u64, usize)]| Part {
            kib: median(part.iter().map(|(_, kib, _)| *kib).collect()),
            descriptors: part.iter().map(|(.., descriptors)| *descriptors).max().unwrap_or(0),
        };
        Flat { samples: settled.len(), first: part(&settled[..third]), last: part(&settled[settled.len() - third..]) }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.samples.last() {
            Some((_, kib, descriptors)) => write!(f, "{kib} KiB, {descriptors} descriptors"),
            None => f.write_str("nothing measured"),
        }
    }
}

/// How the last third of a life compares with the first.
pub(crate) struct Flat {
    samples: usize,
    first: Part,
    last: Part,
}

struct Part {
    /// The median of resident memory.
    kib: u64,
    /// The most descriptors.
    descriptors: usize,
}

impl Flat {
    /// Nothing was measured, nothing is proven.
    pub(crate) fn is_flat(&self) -> bool {
        let memory = self.last.kib <= self.first.kib + self.first.kib / 10 + GROWS_KIB_MAX;
        self.samples >= 3 && memory && self.last.descriptors <= self.first.descriptors + GROWS_DESCRIPTORS_MAX
    }
}

impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flat { samples, first, last } = self;
        write!(f, "{samples} samples, first third {} KiB and {} descriptors", first.kib, first.descriptors)?;
        write!(f, ", last third {} KiB and {}: flat: {}", last.kib, last.descriptors, self.is_flat())
    }
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}
