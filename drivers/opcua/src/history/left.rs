//! What a run of the gateway leaves for the next one, so that what was missed in between is known.
//!
//! ```text
//! heard 1764342000000000000 1764341000000000000     the newest time that was told, and which run says so
//! at 1764341900000000000 ns=2;s=Tank.Level          of a run that ended in good order: the newest time of each tag
//! ```

use std::collections::HashMap;
use std::fmt::Write as _;

use driver_core::Timestamp;

/// What another run has left.
#[derive(Debug, PartialEq)]
pub(crate) struct Left<'t> {
    newest: Timestamp,
    /// By the tags' addresses; empty where the run was cut off.
    of_tags: HashMap<&'t str, Timestamp>,
}

impl<'t> Left<'t> {
    /// Understands what was left; `None` for what is none, and for what this run has written itself: by now it has told more.
    pub(crate) fn parse(text: &'t str, run: Timestamp) -> Option<Left<'t>> {
        let (head, tags) = text.split_once('\n')?;
        let (newest, by) = head.strip_prefix("heard ")?.split_once(' ')?;
        let newest = Timestamp(newest.parse().ok()?);
        if by.parse() == Ok(run.0) {
            return None;
        }
        let tag = |line: &'t str| {
            let (at, address) = line.strip_prefix("at ")?.split_once(' ')?;
            Some((address, Timestamp(at.parse().ok()?)))
        };
        Some(Left { newest, of_tags: tags.lines().filter_map(tag).collect() })
    }

    /// Up to when a tag was told. Of a run that was cut off, all that is known is up to when anything was.
    pub(crate) fn told(&self, address: &str) -> Option<Timestamp> {
        if self.of_tags.is_empty() { Some(self.newest) } else { self.of_tags.get(address).copied() }
    }
}

/// What this run leaves.
pub(crate) fn text(newest: Timestamp, run: Timestamp, of_tags: impl Iterator<Item = (String, Timestamp)>) -> String {
    let mut text = format!("heard {} {}\n", newest.0, run.0);
    for (address, at) in of_tags.filter(|(address, _)| !address.contains('\n')) {
        writeln!(text, "at {} {address}", at.0).expect("a string takes all that is written to it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_leaves_is_known_to_the_next_one() {
        let (run, next) = (Timestamp(1), Timestamp(2));
        let tags = [("ns=2;s=a b".to_owned(), Timestamp(70)), ("ns=2;s=two\nlines".to_owned(), Timestamp(80))];
        let whole = text(Timestamp(90), run, tags.into_iter());
        let left = Left::parse(&whole, next).expect("it was left");
        assert_eq!((left.told("ns=2;s=a b"), left.told("ns=2;s=new")), (Some(Timestamp(70)), None));
        assert_eq!(Left::parse(&whole, run), None, "its own");
        let cut_off = text(Timestamp(90), run, std::iter::empty());
        assert_eq!(Left::parse(&cut_off, next).expect("it was left").told("ns=2;s=new"), Some(Timestamp(90)));
        for wrong in ["", "heard", "heard 90 1", "heard x 1\n", "refused hr 7\n"] {
            assert_eq!(Left::parse(wrong, next), None, "{wrong}");
        }
    }
}
