//! The uplinks' cursors: who there is, and what each has acknowledged.

use super::Log;
use super::record::{NAME_BYTES_MAX, Record};
use crate::block::{Seq, SeqRange};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::options::UplinkOptions;
use crate::store::Acknowledged;

impl Log {
    /// The oldest seq that a file holds; the next one if there is none.
    pub(super) fn first_seq(&self) -> Seq {
        let actives = self.actives.iter().map(|active| &active.segment);
        let held = self.segments.iter().chain(actives).filter(|segment| !segment.extent.is_empty());
        held.map(|segment| segment.extent.first).min().unwrap_or(self.book.next_seq)
    }

    pub(super) fn declare_uplinks(&mut self, uplinks: &[UplinkOptions]) -> Result<()> {
        for record in self.change_uplinks(uplinks)? {
            self.ledger.add(&self.book, &record)?;
        }
        self.settle();
        Ok(())
    }

    /// Changes the set of cursors; the records that state the change.
    pub(super) fn change_uplinks(&mut self, uplinks: &[UplinkOptions]) -> Result<Vec<Record>> {
        check_names(uplinks)?;
        self.lags = uplinks.iter().map(|uplink| (uplink.name.clone(), uplink.lag_max)).collect();
        let first_seq = self.first_seq();
        let mut records = Vec::new();
        let gone = self.book.cursors.keys().filter(|name| !self.lags.contains_key(*name)).cloned();
        for uplink in gone.collect::<Vec<_>>() {
            self.book.cursors.remove(&uplink);
            records.push(Record::Forget { uplink });
        }
        for uplink in uplinks.iter().map(|uplink| uplink.name.clone()) {
            self.book.cursors.entry(uplink).or_insert_with_key(|uplink| {
                let cursor = Cursor::starting_at(first_seq);
                records.push(Record::Cursor { uplink: uplink.clone(), cursor: cursor.clone() });
                cursor
            });
        }
        Ok(records)
    }

    pub(super) fn acknowledge_seqs(&mut self, uplink: &str, seqs: &[SeqRange]) -> Result<Acknowledged> {
        let next_seq = self.book.next_seq;
        let Some(cursor) = self.book.cursors.get_mut(uplink) else {
            return Err(Error::Bug(format!("the uplink {uplink} was not declared")));
        };
        if let Some(wrong) = seqs.iter().find(|range| range.first > range.last || range.last >= next_seq) {
            return Err(Error::Bug(format!("{wrong} was acknowledged, but the next seq is {next_seq}")));
        }
        let news: Vec<SeqRange> = seqs.iter().copied().filter(|range| !cursor.covers(*range)).collect();
        let forgotten = news.iter().filter_map(|range| cursor.acknowledge(*range)).collect();
        let acknowledged = Acknowledged { low: cursor.low(), forgotten };
        if !news.is_empty() {
            let record = Record::Cursor { uplink: uplink.to_owned(), cursor: cursor.clone() };
            self.settle();
            self.ledger.add(&self.book, &record)?;
        }
        Ok(acknowledged)
    }

    /// Lets go of what no uplink will ask for any more.
    fn settle(&mut self) {
        let floor = self.book.floor();
        self.book.gaps.forget_below(floor);
        self.release();
    }

    /// Writes a record that may wait: if the disk refuses, the ledger is behind and tells so at the next sync.
    pub(super) fn note(&mut self, record: &Record) {
        if self.ledger.add(&self.book, record).is_err() {
            self.ledger.distrust();
        }
    }

    /// Tries whether the ledger can be written again, now that there is space; if not, it tells so at the next sync.
    pub(super) fn catch_up(&mut self) {
        if self.ledger.catch_up(&self.book).is_err() {
            self.ledger.distrust();
        }
    }
}

/// Refuses names that a record cannot hold.
pub(super) fn check_names(uplinks: &[UplinkOptions]) -> Result<()> {
    match uplinks.iter().find(|uplink| uplink.name.len() > NAME_BYTES_MAX) {
        Some(UplinkOptions { name, .. }) => {
            Err(Error::Bug(format!("the name of the uplink {name} is longer than {NAME_BYTES_MAX} bytes")))
        }
        None => Ok(()),
    }
}
