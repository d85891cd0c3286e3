//! Addresses of the network by their range.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// The largest block that is understood: what it holds is bounded where it is used.
const PREFIX_MIN: u32 = 8;

/// One address, or those from one to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Range {
    One(IpAddr),
    Block { first: u32, last: u32 },
}

impl Range {
    /// The addresses; of a block without those of the network itself and of the broadcast.
    pub(super) fn addresses(&self) -> Box<dyn Iterator<Item = IpAddr>> {
        match *self {
            Range::One(address) => Box::new(std::iter::once(address)),
            Range::Block { first, last } => Box::new((first..=last).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))),
        }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let wrong = || format!("`{text}` is no range; write 10.0.0.11, 10.0.0.0/24 or 10.0.0.10-10.0.0.50");
        if let Ok(address) = text.parse() {
            return Ok(Range::One(address));
        }
        let bits = |text: &str| text.trim().parse::<Ipv4Addr>().map(Ipv4Addr::to_bits).map_err(|_| wrong());
        if let Some((address, prefix)) = text.split_once('/') {
            let prefix =
                prefix.parse::<u32>().ok().filter(|prefix| (PREFIX_MIN..=32).contains(prefix)).ok_or_else(wrong)?;
            let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
            let network = bits(address)? & !hosts;
            return Ok(match prefix {
                31..=32 => Range::Block { first: network, last: network | hosts },
                _ => Range::Block { first: network + 1, last: (network | hosts) - 1 },
            });
        }
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let first = bits(first)?;
        // `10.0.0.10-50` means the last part.
        let last = match last.trim().parse::<u8>() {
            Ok(part) => first & !0xFF | u32::from(part),
            Err(_) => bits(last)?,
        };
        if first <= last { Ok(Range::Block { first, last }) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<String>, String> {
        text.parse::<Range>().map(|range| range.addresses().map(|address| address.to_string()).collect())
    }

    #[test]
    fn blocks_ranges_and_single_addresses() {
        assert_eq!(list("10.0.0.5"), Ok(vec!["10.0.0.5".into()]));
        assert_eq!(list("::1"), Ok(vec!["::1".into()]));
        assert_eq!(list("10.0.0.4/30"), Ok(vec!["10.0.0.5".into(), "10.0.0.6".into()]));
        assert_eq!(list("10.0.0.7/32"), Ok(vec!["10.0.0.7".into()]));
        assert_eq!(list("10.0.0.254-10.0.1.1").map(|list| list.len()), Ok(4));
        assert_eq!(list("10.0.0.10-12").map(|list| list.len()), Ok(3));
        for wrong in ["", "plant", "10.0.0.0/33", "10.0.0.0/4", "10.0.0.9-10.0.0.1", "10.0.0/24"] {
            assert!(list(wrong).is_err(), "{wrong}");
        }
    }
}
