//! Messages that the far side will not take: kept in a file beside the log, one JSON object a line.
//!
//! ```text
//! {"reason":"…","topic":"acme/line7/press","key":"…","content_type":"…","epoch":7,"first":1234,"last":1300,"readings":67,"time_ns":…,"payload":"{…}"}
//! ```
//!
//! What is no UTF-8 stands as `"payload_hex"` and `"key_hex"`; lines of earlier versions have no key, content type, time or
//! count of readings. The file is bounded: when it is full, what is refused stays in the log and is offered again and again,
//! so that a mistake in the broker's rights costs no data.

mod kept;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use buffer::Lock;
use serde_json::{Value, json};

pub use self::kept::{Digest, Kept, KeptMessages};

use crate::uplink::{Message, file_of};

/// The most that one uplink's quarantine takes on disk, bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

const FOLDER: &str = "quarantine";
const EXTENSION: &str = "jsonl";

/// The quarantine of one uplink.
#[derive(Debug, Clone)]
pub struct Quarantine {
    path: PathBuf,
    bytes_max: u64,
}

/// A message that could not be kept; it is offered again.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The bound is reached.
    #[error("the quarantine {0} is full: look into it, put right what the far side refuses, and move the file away")]
    Full(PathBuf),
    /// The disk refuses.
    #[error("cannot write the quarantine {0}: {1}")]
    Disk(PathBuf, io::Error),
}

impl Quarantine {
    /// The quarantine of the uplink `uplink` in the buffer's folder.
    pub fn beside(buffer: &Path, uplink: &str) -> Quarantine {
        Quarantine { path: file_of(&buffer.join(FOLDER), uplink, EXTENSION), bytes_max: FILE_BYTES_MAX }
    }

    /// All that lie in the buffer's folder, by name.
    ///
    /// # Errors
    /// The disk refuses; that there is none is no error.
    pub fn all(buffer: &Path) -> io::Result<Vec<Quarantine>> {
        let entries = match fs::read_dir(buffer.join(FOLDER)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<PathBuf>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        paths.sort();
        Ok(paths.into_iter().map(|path| Quarantine { path, bytes_max: FILE_BYTES_MAX }).collect())
    }

    /// The uplink's name, as the file bears it.
    pub fn name(&self) -> String {
        self.path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept up to now, from the first on; nothing where there is no file.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn messages(&self) -> io::Result<KeptMessages> {
        match File::open(&self.path) {
            Ok(file) => {
                let bytes = file.metadata()?.len();
                Ok(KeptMessages::of(BufReader::new(Box::new(file.take(bytes)))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(KeptMessages::of(BufReader::new(Box::new(io::empty()))))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes messages by their numbers; the file is replaced as a whole, or not at all. `_held` is the buffer's lock: a
    /// gateway that runs may be adding to the file. Returns how many were removed.
    ///
    /// # Errors
    /// The disk refuses; nothing is removed.
    pub fn remove(&self, numbers: &BTreeSet<u64>, _held: &Lock) -> io::Result<u64> {
        self.remove_beside(numbers)
    }

    /// As [`Quarantine::remove`], from within the gateway that adds to the file: one waits for the other.
    ///
    /// # Errors
    /// The disk refuses; nothing is removed.
    pub fn remove_beside(&self, numbers: &BTreeSet<u64>) -> io::Result<u64> {
        self.remove_all(|kept| numbers.contains(&kept.number))
    }

    /// As [`Quarantine::remove_beside`], by what the lines are known by: numbers may have changed meanwhile.
    ///
    /// # Errors
    /// The disk refuses; nothing is removed.
    pub fn remove_known(&self, digests: &BTreeSet<Digest>) -> io::Result<u64> {
        self.remove_all(|kept| digests.contains(&kept.digest()))
    }

    fn remove_all(&self, goes: impl Fn(&Kept) -> bool) -> io::Result<u64> {
        let _changing = changing();
        let half = self.path.with_extension("half");
        let mut out = BufWriter::new(private(OpenOptions::new().create(true).write(true).truncate(true)).open(&half)?);
        let mut removed = 0;
        for kept in self.messages()? {
            let kept = kept?;
            if goes(&kept) {
                removed += 1;
            } else {
                out.write_all(&kept.line)?;
                out.write_all(b"\n")?;
            }
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&half, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(removed)
    }

    /// Keeps a message durably. Waits for the disk.
    pub fn keep(&self, message: &Message, reason: &str) -> Result<(), NotKept> {
        let line = line(message, reason);
        let _changing = changing();
        let disk = |cause| NotKept::Disk(self.path.clone(), cause);
        let held = fs::metadata(&self.path).map_or(0, |file| file.len());
        if held + line.len() as u64 > self.bytes_max {
            return Err(NotKept::Full(self.path.clone()));
        }
        self.append(&line).map_err(disk)
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = private(OpenOptions::new().create(true).read(true).append(true)).open(&self.path)?;
        if !ends_a_line(&mut file)? {
            file.write_all(b"\n")?;
        }
        file.write_all(line)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    }
}

/// Held while a quarantine is changed within this process; another process is kept away by the buffer's lock.
fn changing() -> MutexGuard<'static, ()> {
    static CHANGING: Mutex<()> = Mutex::new(());
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line that a kill cut short must not take the next one with it.
fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Readings are nobody's but the gateway's.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

fn line(message: &Message, reason: &str) -> Vec<u8> {
    let mut object = json!({
        "reason": reason,
        "topic": &*message.topic,
        "content_type": message.content_type,
        "epoch": message.epoch,
        "first": message.seqs.first,
        "last": message.seqs.last,
        "readings": message.readings,
        "time_ns": message.time.map(|time| time.0),
    });
    put(&mut object, "payload", &message.payload);
    if let Some(key) = &message.key {
        put(&mut object, "key", key);
    }
    let mut line = object.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// As text where it is text, otherwise in hexadecimal digits.
fn put(object: &mut Value, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object[name] = text.into(),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            object[format!("{name}_hex")] = hex.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use buffer::SeqRange;
    use bytes::Bytes;
    use driver_core::Timestamp;

    use super::*;
    use crate::uplink::{Lane, Token};

    fn message(payload: &'static [u8]) -> Message {
        Message {
            token: Token { lane: Lane::Live, seq: 5, part: 0 },
            topic: "plant/press".into(),
            key: None,
            payload: Bytes::from_static(payload),
            time: Some(Timestamp(1_795_400_913_000_000_000)),
            content_type: "application/json".into(),
            epoch: 7,
            seqs: SeqRange { first: 5, last: 9 },
            readings: 5,
        }
    }

    #[test]
    fn what_is_kept_can_be_read_back_with_its_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let quarantine = Quarantine::beside(folder.path(), "cl/oud");
        quarantine.keep(&message(b"{\"a\":1}"), "too \"large\"").expect("kept");
        let keyed = Message { key: Some(Bytes::from_static(b"press\xff")), ..message(b"\xff\x00") };
        quarantine.keep(&keyed, "not text").expect("kept");
        let kept: Vec<Kept> = quarantine.messages().expect("a file").map(|kept| kept.expect("a line")).collect();
        assert_eq!(kept[0].content_type().as_deref(), Some("application/json"));
        assert_eq!((kept[0].key(), kept[1].key()), (None, Some(b"press\xff".to_vec())));
        let lane = Lane::Replay(3);
        let again = |message: Message, part| Message { token: Token { lane, seq: 5, part }, ..message };
        assert_eq!(kept[0].message(lane), Some(again(message(b"{\"a\":1}"), 1)), "whole, in another lane");
        assert_eq!(kept[1].message(lane), Some(again(keyed, 2)));
        let text = fs::read_to_string(folder.path().join("quarantine/cl%2f%oud.jsonl")).expect("a file");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[0]["payload"], "{\"a\":1}");
        assert_eq!((&lines[0]["reason"], &lines[0]["last"]), (&"too \"large\"".into(), &9.into()));
        assert_eq!(lines[1]["payload_hex"], "ff00");
    }

    #[test]
    fn a_line_that_was_cut_short_spoils_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let quarantine = Quarantine::beside(folder.path(), "cloud");
        quarantine.keep(&message(b"1"), "first").expect("kept");
        let path = folder.path().join("quarantine/cloud.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(b"{\"reason\":\"cut sh").expect("written");
        quarantine.keep(&message(b"2"), "last").expect("kept");
        let text = fs::read_to_string(path).expect("a file");
        let last = text.lines().last().map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(last.expect("a line").expect("JSON")["reason"], "last");
    }

    fn numbers(quarantine: &Quarantine) -> Vec<(u64, Option<String>)> {
        let kept = quarantine.messages().expect("readable");
        kept.map(|kept| kept.expect("readable")).map(|kept| (kept.number, kept.reason())).collect()
    }

    #[test]
    fn what_is_removed_is_gone_and_the_rest_stays_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let quarantine = Quarantine::beside(folder.path(), "cloud");
        assert_eq!(numbers(&quarantine), []);
        for reason in ["a", "b", "c", "d"] {
            quarantine.keep(&message(b"\xff"), reason).expect("kept");
        }
        let lock = Lock::take(folder.path()).expect("no gateway runs");
        assert_eq!(quarantine.remove(&[2, 4, 9].into(), &lock).expect("removed"), 2);
        assert_eq!(numbers(&quarantine), [(1, Some("a".into())), (2, Some("c".into()))]);
        assert_eq!(
            Quarantine::all(folder.path()).expect("a folder").iter().map(Quarantine::name).collect::<Vec<_>>(),
            ["cloud"]
        );
        quarantine.keep(&message(b"e"), "e").expect("it goes on");
        assert_eq!(numbers(&quarantine).len(), 3);
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).expect("a folder").count(), 1);
    }

    #[test]
    fn a_full_quarantine_keeps_nothing_more_and_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let quarantine = Quarantine { bytes_max: 200, ..Quarantine::beside(folder.path(), "cloud") };
        quarantine.keep(&message(b"{}"), "no").expect("kept");
        let refused = quarantine.keep(&message(&[b'x'; 200]), "no").expect_err("full");
        assert!(refused.to_string().contains("move the file away"), "{refused}");
    }
}
