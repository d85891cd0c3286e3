//! The store `sled`: the suite for every store, and what damage at rest does to its generations.

#![cfg(feature = "sled")]

mod generations;
#[path = "../crash/suite/mod.rs"]
mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use buffer::disk::{Disk, FaultDisk};
use buffer::generations::{Filling, Generations};
use buffer::{Class, Engine};

/// The store.
const ENGINE: Engine = Engine::Sled;

/// Whether files take what they hold: sled takes pieces of 512 KiB, more than a segment in logs as small as these has.
const TAKES_WHAT_IT_HOLDS: bool = false;

/// Cases of random work: 10,000 in all, over both stores.
const MODEL_CASES: u32 = 1_000;

/// The name of the test that a child process runs.
const KILLED_TEST: &str = "suite::kill::nothing_that_a_killed_process_accepted_is_lost";

/// Where the generations of what lies on `disk` are.
fn outside(disk: &FaultDisk) -> PathBuf {
    disk.outside(|| {
        // In memory where there is such a place: what is tested here is not the machine's disk.
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent).expect("a folder");
        (folder.path().to_owned(), Box::new(folder))
    })
}

/// The disk as the store sees it: the journal lies in memory, where faults are made, the generations in a real folder,
/// because sled knows no other. When power fails, they are as durable as they say that they are.
fn seen_by_the_store(disk: &FaultDisk) -> Arc<dyn Disk> {
    let over = Generations::over(Arc::new(disk.clone()), Path::new(suite::DIR), &outside(disk), Filling::WhenSealed);
    Arc::new(over.expect("a folder"))
}

/// The segments that are not files on the disk, by the names under which the store sees them.
fn generations_of(disk: &FaultDisk) -> Vec<PathBuf> {
    let of_class = |class: Class| {
        let entries = std::fs::read_dir(outside(disk).join(class.name())).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let stems: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".sled")?.to_owned())).collect();
        stems.into_iter().map(move |stem| Path::new(suite::DIR).join(class.name()).join(stem + ".seg"))
    };
    Class::ALL.into_iter().flat_map(of_class).collect()
}
