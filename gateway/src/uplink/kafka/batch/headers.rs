//! What stands beside the value of a record.

use super::sized;
use crate::uplink::kafka::wire::writer::{Writer, size_of_varint};

/// Names and values as they stand in a record: those that many records share are written once.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    count: usize,
    bytes: Vec<u8>,
    /// Where the one begins that belongs to a single record.
    own_at: Option<usize>,
}

impl Headers {
    /// These, in this order.
    pub fn new(all: &[(&str, &[u8])]) -> Headers {
        let mut headers = Headers::default();
        all.iter().for_each(|(name, value)| headers.add(name, value));
        headers
    }

    /// Puts one more behind them, in the place of the one that this put there before.
    pub fn set_own(&mut self, name: &str, value: &[u8]) {
        match self.own_at {
            Some(at) => {
                self.bytes.truncate(at);
                self.count -= 1;
            }
            None => self.own_at = Some(self.bytes.len()),
        }
        self.add(name, value);
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        let mut out = Writer::new(&mut self.bytes);
        sized(name.as_bytes(), &mut out);
        sized(value, &mut out);
        self.count += 1;
    }

    /// What they take in a record, bytes.
    pub(super) fn size_bytes(&self) -> usize {
        size_of_varint(self.count as i64) + self.bytes.len()
    }

    pub(super) fn write(&self, out: &mut Writer<'_>) {
        out.varint(self.count as i64);
        out.raw(&self.bytes);
    }
}
