//! Disks that fill up, refuse, or are slow, under the real binary.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::need;

const PRELOADED: &str = include_str!("disk.c");

/// A file system of its own in memory, mounted until it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// A disk of so many KiB at a folder, which is made; `None` where this machine allows nobody to mount one.
    pub fn mount(at: &Path, size_kib: u64) -> Option<SmallDisk> {
        fs::create_dir_all(at).expect("a folder");
        let made =
            mount(&["-t", "tmpfs", "-o", &format!("size={size_kib}k"), "forebay-test", &at.display().to_string()]);
        match made {
            Ok(()) => Some(SmallDisk { at: at.to_owned() }),
            Err(cause) => {
                need::unable("mount a disk", &cause);
                None
            }
        }
    }

    /// Whether it can be written to from now on.
    ///
    /// # Panics
    /// The kernel refuses, for instance because a file is open for writing.
    pub fn remount(&self, how: &str) {
        mount(&["-o", &format!("remount,{how}"), &self.at.display().to_string()]).expect("it can be mounted anew");
    }

    /// Lets a file of somebody else take all that is free.
    ///
    /// # Panics
    /// The disk refuses for another reason than that it is full.
    pub fn fill(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.foreign()).expect("a file");
        loop {
            match file.write(&[0x5a; 4096]) {
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::StorageFull => return,
                Err(cause) => panic!("the disk cannot be filled: {cause}"),
            }
        }
    }

    /// Removes what [`SmallDisk::fill`] made.
    pub fn clear(&self) {
        fs::remove_file(self.foreign()).expect("it was filled");
    }

    fn foreign(&self) -> PathBuf {
        self.at.join("somebody-elses-file")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(done.is_ok_and(|status| status.success()) || std::thread::panicking(), "it can be unmounted");
    }
}

fn mount(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("mount").args(arguments).output().map_err(|cause| cause.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A library that makes the disk under one folder slow or broken while a switch says so.
#[derive(Debug)]
pub struct FaultySyscalls {
    library: PathBuf,
    switch: PathBuf,
    folder: PathBuf,
}

impl FaultySyscalls {
    /// Built in `work`, for what lies under `folder`; `None` where there is no C compiler.
    ///
    /// # Panics
    /// It cannot be built.
    pub fn build(work: &Path, folder: &Path) -> Option<FaultySyscalls> {
        let compiler = need::program("cc")?;
        let (source, library) = (work.join("disk.c"), work.join("disk.so"));
        fs::write(&source, PRELOADED).expect("a file");
        let mut command = Command::new(compiler);
        let built = command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
        assert!(built.is_ok_and(|status| status.success()), "the library is built");
        Some(FaultySyscalls { library, switch: work.join("disk.switch"), folder: folder.to_owned() })
    }

    /// What the gateway's environment must say.
    pub fn environment(&self) -> Vec<(String, String)> {
        let texts = [("LD_PRELOAD", &self.library), ("FAULTY_SWITCH", &self.switch), ("FAULTY_FOLDER", &self.folder)];
        texts.map(|(name, path)| (name.to_owned(), path.display().to_string())).into()
    }

    /// From now on each sync takes two seconds.
    pub fn slow(&self) {
        fs::write(&self.switch, "slow").expect("a file");
    }

    /// From now on writes and syncs fail.
    pub fn broken(&self) {
        fs::write(&self.switch, "broken").expect("a file");
    }

    /// All is well again.
    pub fn well(&self) {
        fs::remove_file(&self.switch).expect("it was not well");
    }
}
