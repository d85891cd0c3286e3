//! What a quarantine holds, line by line. A line that a kill cut short is told as such and stays where it is.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use buffer::SeqRange;
use bytes::Bytes;
use driver_core::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::FILE_BYTES_MAX;
use crate::uplink::{Lane, Message, Token};

/// The first half of the SHA-256 of a line: what it is known by while others before it go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Of a line without its end.
    pub fn of(line: &[u8]) -> Digest {
        let whole = digest(&SHA256, line);
        let mut half = [0; 16];
        half.copy_from_slice(&whole.as_ref()[..16]);
        Digest(half)
    }

    /// From its hexadecimal digits; `None` where it is none.
    pub fn parse(text: &str) -> Option<Digest> {
        Some(Digest(bytes_of(text)?.try_into().ok()?))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A line of a quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its number in the file, from 1.
    pub number: u64,
    /// As it stands there, without the end of the line.
    pub line: Vec<u8>,
    /// What it says; null where it cannot be understood.
    content: Value,
}

impl Kept {
    fn of(number: u64, line: Vec<u8>) -> Kept {
        let content = serde_json::from_slice(&line).ok().filter(Value::is_object).unwrap_or_default();
        Kept { number, line, content }
    }

    /// What the line says as JSON, with its number; `None` where it cannot be understood.
    pub fn json(&self) -> Option<Value> {
        let mut content = self.content.clone();
        content.as_object_mut()?.insert("number".into(), self.number.into());
        Some(content)
    }

    /// Why the far side refused it.
    pub fn reason(&self) -> Option<String> {
        self.text("reason")
    }

    /// Where it was to go.
    pub fn topic(&self) -> Option<String> {
        self.text("topic")
    }

    /// The epoch, the first and the last seq of its readings.
    pub fn place(&self) -> Option<(u64, u64, u64)> {
        let number = |name: &str| self.content.get(name)?.as_u64();
        Some((number("epoch")?, number("first")?, number("last")?))
    }

    /// The payload as it was to be sent.
    pub fn payload(&self) -> Option<Vec<u8>> {
        self.bytes("payload")
    }

    /// The key as it was to be sent; `None` where it had none, or an earlier version kept it.
    pub fn key(&self) -> Option<Vec<u8>> {
        self.bytes("key")
    }

    /// What the payload is, as a media type; `None` where an earlier version kept it.
    pub fn content_type(&self) -> Option<String> {
        self.text("content_type")
    }

    /// What the line is known by while others before it go.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.line)
    }

    /// The message that was refused, for another lane; `None` where the line cannot be understood. What an earlier version
    /// did not keep it goes without: the key, the time, what the payload is.
    pub fn message(&self, lane: Lane) -> Option<Message> {
        let (epoch, first, last) = self.place()?;
        Some(Message {
            token: Token { lane, seq: first, part: u32::try_from(self.number).ok()? },
            topic: self.topic()?.into(),
            key: self.key().map(Bytes::from),
            payload: self.payload()?.into(),
            time: self.content["time_ns"].as_i64().map(Timestamp),
            content_type: self.content_type().unwrap_or_default().into(),
            epoch: u32::try_from(epoch).ok()?,
            seqs: (first <= last).then_some(SeqRange { first, last })?,
            readings: self.content["readings"].as_u64().map_or(1, |count| count as u32),
        })
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        match self.text(name) {
            Some(text) => Some(text.into_bytes()),
            None => bytes_of(&self.text(&format!("{name}_hex"))?),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.content.get(name)?.as_str().map(str::to_owned)
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}

/// The lines of one file, from the first on. No more than one is held.
pub struct KeptMessages {
    file: BufReader<Box<dyn Read + Send>>,
    number: u64,
}

impl KeptMessages {
    pub(super) fn of(file: BufReader<Box<dyn Read + Send>>) -> KeptMessages {
        KeptMessages { file, number: 0 }
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.file).take(FILE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let is_end = line.is_empty();
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok((!is_end).then_some(line))
    }
}

impl Iterator for KeptMessages {
    type Item = io::Result<Kept>;

    fn next(&mut self) -> Option<io::Result<Kept>> {
        let line = self.line().transpose()?;
        self.number += 1;
        Some(line.map(|line| Kept::of(self.number, line)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: Vec<u8>) -> Vec<Kept> {
        let file = BufReader::new(Box::new(io::Cursor::new(bytes)) as Box<dyn Read + Send>);
        KeptMessages::of(file).map(|kept| kept.expect("memory")).collect()
    }

    #[test]
    fn a_line_that_was_cut_short_is_passed_over_and_counted() {
        let text = "{\"reason\":\"no\",\"topic\":\"t\",\"epoch\":7,\"first\":5,\"last\":9,\"payload\":\"x\"}\n{\"rea\n\n\
                    {\"payload_hex\":\"ff00\"}";
        let kept = read(text.into());
        assert_eq!(kept.iter().map(|kept| kept.json().is_some()).collect::<Vec<_>>(), [true, false, false, true]);
        assert_eq!((kept[0].place(), kept[0].payload()), (Some((7, 5, 9)), Some(b"x".to_vec())));
        assert_eq!((kept[3].number, kept[3].place(), kept[3].payload()), (4, None, Some(vec![0xff, 0])));
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_no_byte_is_lost(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200)) {
            let kept = read(bytes.clone());
            let lines: Vec<u8> = kept.iter().flat_map(|kept| kept.line.iter().copied().chain([b'\n'])).collect();
            prop_assert_eq!(&lines[..bytes.len()], &bytes[..]);
            for kept in kept {
                drop((kept.json(), kept.message(Lane::Replay(1)), kept.reason()));
            }
        }
    }
}
