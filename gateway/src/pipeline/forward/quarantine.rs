//! Messages that the far side will not take: kept in a file beside the log, one JSON object a line.
//!
//! ```text
//! {"reason":"…","topic":"acme/line7/press","epoch":7,"first":1234,"last":1300,"payload":"{…}"}
//! ```
//!
//! A payload that is no UTF-8 stands as `"payload_hex"`. The file is bounded: when it is full, what is refused stays in
//! the log and is offered again and again, so that a mistake in the broker's rights costs no data.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::uplink::Message;

/// The most that one uplink's quarantine takes on disk, bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

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
        let name: String =
            uplink.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect();
        Quarantine { path: buffer.join("quarantine").join(name).with_extension("jsonl"), bytes_max: FILE_BYTES_MAX }
    }

    /// Keeps a message durably. Waits for the disk.
    pub fn keep(&self, message: &Message, reason: &str) -> Result<(), NotKept> {
        let line = line(message, reason);
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
        let mut file = private(OpenOptions::new().create(true).append(true)).open(&self.path)?;
        file.write_all(line)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    }
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
        "epoch": message.epoch,
        "first": message.seqs.first,
        "last": message.seqs.last,
    });
    match std::str::from_utf8(&message.payload) {
        Ok(text) => object["payload"] = text.into(),
        Err(_) => {
            object["payload_hex"] = message.payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
    }
    let mut line = object.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use buffer::SeqRange;
    use bytes::Bytes;

    use super::*;
    use crate::uplink::Token;

    fn message(payload: &'static [u8]) -> Message {
        Message {
            token: Token { seq: 5, part: 0 },
            topic: "plant/press".into(),
            payload: Bytes::from_static(payload),
            content_type: "application/json",
            epoch: 7,
            seqs: SeqRange { first: 5, last: 9 },
        }
    }

    #[test]
    fn what_is_kept_can_be_read_back_with_its_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let quarantine = Quarantine::beside(folder.path(), "cl/oud");
        quarantine.keep(&message(b"{\"a\":1}"), "too \"large\"").expect("kept");
        quarantine.keep(&message(b"\xff\x00"), "not text").expect("kept");
        let text = fs::read_to_string(folder.path().join("quarantine/cl_oud.jsonl")).expect("a file");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[0]["payload"], "{\"a\":1}");
        assert_eq!((&lines[0]["reason"], &lines[0]["last"]), (&"too \"large\"".into(), &9.into()));
        assert_eq!(lines[1]["payload_hex"], "ff00");
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
