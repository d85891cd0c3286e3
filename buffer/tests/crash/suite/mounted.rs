//! ext4 in a file, on a loop device: a file system that can be cut off from its disk. Needs root, mkfs.ext4 and a loop
//! device.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: std has no ioctl, and this is the only use for one.
const CUT: &str = "import fcntl, os, struct, sys; \
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// ext4 in a file, mounted until it is dropped.
pub(crate) struct Mounted {
    image: PathBuf,
    pub(crate) at: PathBuf,
    options: &'static str,
}

fn run(program: &str, arguments: &[&OsStr]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl Mounted {
    /// One of so many bytes, with more options for `mount` than `loop`; `None`, which is said, where that cannot be had.
    pub(crate) fn make(folder: &Path, image_bytes: u64, options: &'static str) -> Option<Self> {
        let mounted = is_root().then(|| Self::try_make(folder, image_bytes, options)).flatten();
        if mounted.is_none() {
            eprintln!("skipped: this needs root, mkfs.ext4 and a loop device");
        }
        mounted
    }

    fn try_make(folder: &Path, image_bytes: u64, options: &'static str) -> Option<Self> {
        let mounted = Self { image: folder.join("image"), at: folder.join("mounted"), options };
        std::fs::create_dir(&mounted.at).ok()?;
        std::fs::File::create(&mounted.image).and_then(|file| file.set_len(image_bytes)).ok()?;
        // The kernel would go on to write tables of inodes later.
        let now: [&OsStr; 4] = ["-q".as_ref(), "-F".as_ref(), "-E".as_ref(), "lazy_itable_init=0".as_ref()];
        let made = run("mkfs.ext4", &[&now[..], &[mounted.image.as_ref()]].concat());
        (made && mounted.mount()).then_some(mounted)
    }

    pub(crate) fn mount(&self) -> bool {
        let options = format!("loop{}", self.options);
        run("mount", &["-o".as_ref(), options.as_ref(), self.image.as_ref(), self.at.as_ref()])
    }

    pub(crate) fn unmount(&self) -> bool {
        run("umount", &[self.at.as_ref()])
    }

    /// Nothing more reaches the disk from here on.
    pub(crate) fn cut(&self) -> bool {
        run("python3", &["-c".as_ref(), CUT.as_ref(), self.at.as_ref()])
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}
