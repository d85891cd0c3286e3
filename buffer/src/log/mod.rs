//! The store `log`: checksummed segments, cursors, nothing else.

use std::path::Path;
use std::sync::Arc;

use crate::block::{Class, Identity, Item, NewBlock, Seq, SeqRange};
use crate::cursor::Cursor;
use crate::disk::{Disk, OsDisk};
use crate::error::{Error, Result};
use crate::gap::Gap;
use crate::options::Options;
use crate::stats::{Recovery, Stats};
use crate::store::{Acknowledged, Appended, Store};
use crate::sync::{SyncJob, Synced};

/// A store in segment files under one directory.
pub struct Log {
    recovery: Recovery,
}

impl Log {
    /// Opens the log in `dir`, which is made if it does not exist; recovers whatever lies there.
    ///
    /// # Errors
    /// Environment: the disk refuses, or another process has the log open. What lies there is never an error.
    pub fn open(dir: &Path, options: &Options) -> Result<Self> {
        Self::open_on(Arc::new(OsDisk), dir, options)
    }

    /// As [`Log::open`], on another file system than the machine's.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(_disk: Arc<dyn Disk>, _dir: &Path, _options: &Options) -> Result<Self> {
        Err(unfinished())
    }

    /// What was found at opening.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }
}

fn unfinished() -> Error {
    Error::Bug("the log's internals are not written yet".into())
}

impl Store for Log {
    fn identity(&self) -> Identity {
        Identity { gateway: 0, epoch: 0 }
    }
    fn append(&mut self, _class: Class, _blocks: &[NewBlock<'_>]) -> Result<Appended> {
        Err(unfinished())
    }
    fn discard(&mut self, _class: Class, _count: u64, _time_ns: Option<(i64, i64)>) -> Result<Gap> {
        Err(unfinished())
    }
    fn unsynced_bytes(&self) -> u64 {
        0
    }
    fn begin_sync(&mut self) -> Result<Option<SyncJob>> {
        Ok(Some(SyncJob::new(Arc::new(()), || Err(unfinished()))))
    }
    fn end_sync(&mut self, synced: Synced) -> Result<()> {
        synced.result
    }
    fn read(&mut self, _from: Seq, _bytes_max: usize, _items: &mut Vec<Item>) -> Result<Seq> {
        Err(unfinished())
    }
    fn seek(&mut self, _t_ns: i64) -> Result<Seq> {
        Err(unfinished())
    }
    fn declare(&mut self, _uplinks: &[&str]) -> Result<()> {
        Err(unfinished())
    }
    fn cursor(&self, _uplink: &str) -> Option<&Cursor> {
        None
    }
    fn acknowledge(&mut self, _uplink: &str, _seqs: &[SeqRange]) -> Result<Acknowledged> {
        Err(unfinished())
    }
    fn trim(&mut self, _now_ns: Option<i64>) -> Result<Vec<Gap>> {
        Err(unfinished())
    }
    fn make_room(&mut self) -> Result<Vec<Gap>> {
        Err(unfinished())
    }
    fn stats(&self) -> Stats {
        Stats::default()
    }
}
