//! From which seq on the blocks of the log bear which schema, so that schemas that no block bears any more can go. No I/O.
//!
//! ```text
//! forebay-schema-uses 1
//! 1a2b3c4d<TAB>0              this schema names the blocks from seq 0 on,
//! 99887766<TAB>51200          this one those from 51200 on
//! ```
//!
//! A clock would not do instead: gateways begin in 1970.

use std::fmt::Write as _;

const HEAD: &str = "forebay-schema-uses 1\n";

/// The schemas that blocks may bear, in the order in which they were begun with.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Uses(Vec<Use>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Use {
    schema: u32,
    first_seq: u64,
}

impl Uses {
    /// What a file says; nothing where it is damaged, which only keeps schemas longer.
    pub(super) fn parse(text: &str) -> Uses {
        let one = |line: &str| {
            let (schema, first_seq) = line.split_once('\t')?;
            Some(Use { schema: u32::from_str_radix(schema, 16).ok()?, first_seq: first_seq.parse().ok()? })
        };
        let all = text.strip_prefix(HEAD).and_then(|body| body.lines().map(one).collect());
        Uses(all.unwrap_or_default())
    }

    pub(super) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for Use { schema, first_seq } in &self.0 {
            writeln!(text, "{schema:08x}\t{first_seq}").expect("a String takes everything");
        }
        text
    }

    /// Blocks bear this schema from here on; `found` are the schemas that are there. One of them that is not known was in
    /// use some time before.
    pub(super) fn begin(&mut self, schema: u32, next_seq: u64, found: &[u32]) {
        for other in found.iter().filter(|other| **other != schema) {
            if !self.bears(*other) {
                self.0.push(Use { schema: *other, first_seq: next_seq });
            }
        }
        if self.0.last().is_none_or(|last| last.schema != schema) {
            self.0.push(Use { schema, first_seq: next_seq });
        }
    }

    /// The log begins with `first_seq`: what ended before it is over.
    pub(super) fn forget(&mut self, first_seq: u64) {
        if let Some(oldest) = self.0.iter().rposition(|one| one.first_seq <= first_seq) {
            self.0.drain(..oldest);
        }
    }

    /// Whether a block may bear this schema.
    pub(super) fn bears(&self, schema: u32) -> bool {
        self.0.iter().any(|one| one.schema == schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [u32; 4] = [1, 2, 3, 9];

    /// Those of `ALL` that a log from `first_seq` on may bear.
    fn borne(uses: &Uses, first_seq: u64) -> Vec<u32> {
        let mut uses = uses.clone();
        uses.forget(first_seq);
        ALL.into_iter().filter(|schema| uses.bears(*schema)).collect()
    }

    #[test]
    fn a_schema_is_over_when_the_log_begins_behind_its_blocks() {
        let mut uses = Uses::default();
        // 9 is from before anything was noted.
        for (schema, next_seq) in [(1, 100), (2, 200), (2, 250), (1, 300), (3, 400)] {
            uses.begin(schema, next_seq, &[9]);
        }
        assert_eq!(Uses::parse(&uses.text()), uses);
        assert_eq!(borne(&uses, 99), ALL);
        assert_eq!(borne(&uses, 100), [1, 2, 3]);
        assert_eq!(borne(&uses, 299), [1, 2, 3]);
        assert_eq!(borne(&uses, 300), [1, 3]);
        assert_eq!(borne(&uses, 399), [1, 3]);
        assert_eq!(borne(&uses, 400), [3]);
    }

    #[test]
    fn a_log_that_begins_anew_leaves_nothing_of_the_old_one() {
        let mut uses = Uses::default();
        [(1, 0), (2, 1000), (3, 1)].into_iter().for_each(|(schema, next_seq)| uses.begin(schema, next_seq, &[]));
        assert_eq!(borne(&uses, 1), [3]);
    }

    #[test]
    fn what_is_damaged_keeps_all_that_is_there() {
        for text in ["", "forebay-schema-uses 1", "forebay-schema-uses 1\n12\n", "forebay-schema-uses 1\nxyz\t1\n", "x"]
        {
            let mut uses = Uses::parse(text);
            uses.begin(1, 500, &[1, 2, 9]);
            assert_eq!(borne(&uses, 499), [1, 2, 9], "{text}");
            assert_eq!(borne(&uses, 500), [1], "{text}");
        }
    }
}
