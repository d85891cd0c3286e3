//! The store `log`: the suite for every store, and what damage at rest does to its files.

mod device;
mod inspect;
mod overlay;
mod rest;
mod suite;
mod versions;

use std::sync::Arc;

use buffer::Engine;
use buffer::disk::{Disk, FaultDisk};

/// The store.
const ENGINE: Engine = Engine::Log;

/// Whether files take what they hold, so that a test can name bounds to the byte.
const TAKES_WHAT_IT_HOLDS: bool = true;

/// Cases of random work: 10,000 in all, over both stores.
const MODEL_CASES: u32 = 9_000;

/// The name of the test that a child process runs.
const KILLED_TEST: &str = "suite::kill::nothing_that_a_killed_process_accepted_is_lost";

/// The disk as the store sees it.
fn seen_by_the_store(disk: &FaultDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// The segments that are not files on the disk: none.
fn generations_of(_: &FaultDisk) -> [std::path::PathBuf; 0] {
    []
}
