//! Where recordings are saved: a folder that holds so many and no more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use driver_core::Timestamp;

use super::RecordError;

const EXTENSION: &str = "pcapng";

/// The folder. It is made with the first recording.
pub(super) struct Folder {
    path: PathBuf,
    files_max: usize,
    /// Held while something is saved, so that room that was made is not taken by another.
    saving: Mutex<()>,
}

/// A recording that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The file's name.
    pub name: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// When it was saved.
    pub at: SystemTime,
}

impl Folder {
    pub(super) fn new(path: PathBuf, files_max: u16) -> Folder {
        Folder { path, files_max: usize::from(files_max.max(1)), saving: Mutex::new(()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a recording; the oldest give way to it.
    pub(super) fn save(&self, line: &str, file: &[u8]) -> Result<PathBuf, RecordError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path.join(name(line));
        let disk = |cause| RecordError::Disk { path: path.clone(), cause };
        std::fs::create_dir_all(&self.path).map_err(disk)?;
        let saved = self.saved().map_err(disk)?;
        for old in saved.iter().skip(self.files_max - 1) {
            std::fs::remove_file(self.path.join(&old.name)).map_err(disk)?;
        }
        std::fs::write(&path, file).map_err(disk)?;
        Ok(path)
    }

    /// What is there, the newest first.
    pub(super) fn saved(&self) -> io::Result<Vec<Saved>> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut saved = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            match entry.metadata() {
                Ok(file) => saved.push(Saved { name, bytes: file.len(), at: file.modified()? }),
                // It gave way to a newer one meanwhile.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(cause),
            }
        }
        saved.sort_by(|a, b| (b.at, &b.name).cmp(&(a.at, &a.name)));
        Ok(saved)
    }

    /// The bytes of one that is there; only a name of the list is one, so that no path leads out of the folder.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.saved()?.iter().any(|saved| saved.name == name) {
            true => std::fs::read(self.path.join(name)).map(Some),
            false => Ok(None),
        }
    }
}

/// The line's name as a part of a file's, and the time.
fn name(line: &str) -> String {
    let plain: String = line.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).take(60).collect();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now = Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)).to_string();
    format!("{plain}-{}.{EXTENSION}", now.replace(':', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_saved_can_be_read_and_the_oldest_give_way() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(place.path().join("recorder"), 2);
        assert_eq!(folder.saved().expect("nothing is there yet"), []);
        std::fs::write(place.path().join("secret.pcapng"), b"secret").expect("writes");
        let paths: Vec<PathBuf> =
            (0..3).map(|number| folder.save(&format!("line {number}/a"), &[number]).expect("saved")).collect();
        let names: Vec<String> = folder.saved().expect("a list").into_iter().map(|saved| saved.name).collect();
        assert_eq!(names.len(), 2);
        assert!(names[0].starts_with("line_2_a-") && names[1].starts_with("line_1_a-"), "{names:?}");
        assert!(!paths[0].exists());
        assert_eq!(folder.read(&names[0]).expect("read"), Some(vec![2]));
        for name in ["", ".", "..", "../secret.pcapng", "line_0_a", "/etc/passwd"] {
            assert_eq!(folder.read(name).expect("no fault of the disk"), None, "{name}");
        }
    }
}
