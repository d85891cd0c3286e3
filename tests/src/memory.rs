//! A bound on a process's memory that the kernel keeps, by killing the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::need;

/// Where the control groups of memory are mounted, and the file of the bound: of version 1, then of version 2.
const KINDS: [(&str, &str); 2] = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];

const PROCESSES: &str = "cgroup.procs";

/// A control group that holds one process, which is let go when the value is dropped.
#[derive(Debug)]
pub struct MemoryBound {
    root: PathBuf,
    folder: PathBuf,
    process: u32,
}

impl MemoryBound {
    /// What this process takes from now on, page cache included, is bounded; `None` where this machine allows nobody to
    /// bound it.
    pub fn of(process: u32, bytes: u64) -> Option<MemoryBound> {
        let mounted = KINDS.into_iter().find(|(root, _)| Path::new(root).join(PROCESSES).is_file());
        let made = match mounted {
            Some((root, bound)) => MemoryBound::make(Path::new(root), bound, process, bytes),
            None => Err(io::Error::other("no control groups are mounted")),
        };
        made.map_err(|cause| need::unable("bound the memory of a process", &cause.to_string())).ok()
    }

    fn make(root: &Path, bound: &str, process: u32, bytes: u64) -> io::Result<MemoryBound> {
        let folder = root.join(format!("forebay-test-{process}"));
        fs::create_dir(&folder)?;
        let group = MemoryBound { root: root.to_owned(), folder, process };
        fs::write(group.folder.join(bound), bytes.to_string())?;
        fs::write(group.folder.join(PROCESSES), process.to_string())?;
        Ok(group)
    }
}

impl Drop for MemoryBound {
    fn drop(&mut self) {
        // An error means that it has ended.
        drop(fs::write(self.root.join(PROCESSES), self.process.to_string()));
        let gone = fs::remove_dir(&self.folder);
        assert!(gone.is_ok() || std::thread::panicking(), "the group can be removed: {gone:?}");
    }
}
