//! What drivers learned about devices, or found in them, kept on disk for the next start: one text file a device.
//!
//! It is a hint that spares a device requests it is known to refuse, or says up to when it was told. A file that is missing,
//! damaged, or was written for another address of the device is as good as none.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The folder of these files.
#[derive(Debug, Clone)]
pub struct LearnedFolder {
    path: PathBuf,
}

impl LearnedFolder {
    /// The folder `learned` within the buffer's; it is made when something is saved.
    pub fn within(buffer: &Path) -> LearnedFolder {
        LearnedFolder::named("learned", buffer)
    }

    /// Another folder of such files within the buffer's.
    pub fn named(name: &str, buffer: &Path) -> LearnedFolder {
        LearnedFolder { path: buffer.join(name) }
    }

    /// What was saved for a device that is reached at `address`.
    pub fn load(&self, device: &str, address: &str) -> Option<String> {
        let path = self.path_of(device);
        if fs::metadata(&path).ok()?.len() > FILE_BYTES_MAX {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        let (head, learned) = text.split_once('\n')?;
        (head == address).then(|| learned.into())
    }

    /// Replaces a device's file whole. `address` holds no line break.
    pub fn save(&self, device: &str, address: &str, learned: &str) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        let path = self.path_of(device);
        let half = path.with_extension("half");
        let mut file = File::create(&half)?;
        write!(file, "{address}\n{learned}")?;
        file.sync_all()?;
        fs::rename(&half, &path)
    }

    fn path_of(&self, device: &str) -> PathBuf {
        let mut name = String::with_capacity(device.len() + 4);
        for byte in device.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte as char),
                _ => write!(name, "%{byte:02x}").expect("a string takes all that is written to it"),
            }
        }
        self.path.join(name + ".txt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_for_the_same_device_at_the_same_address() {
        let buffer = tempfile::tempdir().expect("a folder");
        let folder = LearnedFolder::within(buffer.path());
        assert_eq!(folder.load("press", "modbus-tcp://h"), None);
        folder.save("press", "modbus-tcp://h", "refused hr 7\n").expect("saves");
        folder.save("press", "modbus-tcp://h", "refused hr 7\nrefused hr 9\n").expect("saves again");
        assert_eq!(folder.load("press", "modbus-tcp://h").as_deref(), Some("refused hr 7\nrefused hr 9\n"));
        assert_eq!(folder.load("press", "modbus-tcp://other"), None);
        assert_eq!(folder.load("mixer", "modbus-tcp://h"), None);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let buffer = tempfile::tempdir().expect("a folder");
        let folder = LearnedFolder::within(buffer.path());
        for name in ["../../etc/passwd", "a/b", "..", "ä b", ""] {
            folder.save(name, "url", name).expect("saves");
            assert_eq!(folder.load(name, "url").as_deref(), Some(name));
        }
        assert_eq!(fs::read_dir(buffer.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_damaged_file_is_none() {
        let buffer = tempfile::tempdir().expect("a folder");
        let folder = LearnedFolder::within(buffer.path());
        folder.save("press", "url", "x").expect("saves");
        fs::write(folder.path_of("press"), [0xff, 0xfe, b'\n']).expect("writes");
        assert_eq!(folder.load("press", "url"), None);
        fs::write(folder.path_of("press"), "").expect("writes");
        assert_eq!(folder.load("press", "url"), None);
    }
}
