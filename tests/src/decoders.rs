//! Payloads as libraries that are not ours read them: `far/decode.py`.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::need;

/// A message to be decoded.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// Where it came.
    pub topic: &'a str,
    /// How it is read: `sparkplug`, `line-protocol`, `json`, `gzip`, `zstd` or `text`.
    pub format: &'a str,
    /// What came.
    pub payload: &'a [u8],
}

/// Topic and content of each; `None` where the libraries are not installed.
///
/// # Panics
/// A payload cannot be read.
pub fn decode<'a>(messages: impl IntoIterator<Item = Encoded<'a>>) -> Option<Vec<(String, Value)>> {
    let python = need::python_decoders()?;
    let hex = |payload: &[u8]| payload.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: Vec<String> = messages
        .into_iter()
        .map(|Encoded { topic, format, payload }| {
            json!({ "topic": topic, "format": format, "payload": hex(payload) }).to_string()
        })
        .collect();
    let mut process = Command::new(python)
        .arg(need::root().join("tests/far/decode.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python can be started");
    let mut input = process.stdin.take().expect("its input is a pipe");
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = process.wait_with_output().expect("Python ends");
    writer.join().expect("the writer does not panic").expect("Python reads all");
    assert!(output.status.success(), "a payload cannot be read by another's decoder");
    let decoded: Vec<(String, Value)> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| {
            let decoded: Value = serde_json::from_str(line).expect("decode.py writes JSON");
            (decoded["topic"].as_str().unwrap_or_default().to_owned(), decoded["content"].clone())
        })
        .collect();
    assert_eq!(decoded.len(), lines.len(), "each message is decoded");
    Some(decoded)
}
