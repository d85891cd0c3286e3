//! Any format with its payloads compressed, as `compression: gzip` or `zstd` asks.
//!
//! The content type is then that of the compression (RFC 6713, RFC 8878); whoever reads the topic knows what is inside.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::{Format, Missing, Records};
use crate::uplink::Message;

/// Zstandard's own default: a good ratio at a few nanoseconds a byte.
const ZSTD_LEVEL: i32 = 3;

/// How payloads are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Compression> {
        match name {
            "gzip" => Some(Compression::Gzip),
            "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The payload's media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Compression::Gzip => "application/gzip",
            Compression::Zstd => "application/zstd",
        }
    }
}

/// A format whose payloads are compressed.
pub struct Compressed {
    inner: Box<dyn Format>,
    method: Method,
}

enum Method {
    Gzip(Vec<u8>),
    /// Made at the first payload.
    Zstd(Option<zstd::bulk::Compressor<'static>>),
}

impl Compressed {
    /// The format `inner`, its payloads compressed.
    pub fn new(inner: Box<dyn Format>, compression: Compression) -> Compressed {
        let method = match compression {
            Compression::Gzip => Method::Gzip(Vec::new()),
            Compression::Zstd => Method::Zstd(None),
        };
        Compressed { inner, method }
    }

    /// What cannot be compressed for want of memory goes as it is, and says so by its content type.
    fn compressed(&mut self, message: Message) -> Message {
        match self.method.run(&message.payload) {
            Ok(payload) => {
                Message { payload, content_type: self.method.compression().content_type().into(), ..message }
            }
            Err(_) => message,
        }
    }
}

impl Method {
    fn compression(&self) -> Compression {
        match self {
            Method::Gzip(_) => Compression::Gzip,
            Method::Zstd(_) => Compression::Zstd,
        }
    }

    fn run(&mut self, payload: &[u8]) -> io::Result<Bytes> {
        match self {
            Method::Gzip(out) => {
                out.clear();
                let mut encoder = GzEncoder::new(out, Level::default());
                encoder.write_all(payload)?;
                Ok(Bytes::copy_from_slice(encoder.finish()?))
            }
            Method::Zstd(Some(compressor)) => Ok(compressor.compress(payload)?.into()),
            Method::Zstd(missing) => {
                let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                // A damaged payload is then found out by whoever unpacks it, as with gzip.
                compressor.include_checksum(true)?;
                let compressed = compressor.compress(payload)?;
                *missing = Some(compressor);
                Ok(compressed.into())
            }
        }
    }
}

impl Format for Compressed {
    fn begin(&mut self, records: Records) {
        self.inner.begin(records);
    }

    fn next(&mut self) -> Option<Message> {
        let message = self.inner.next()?;
        Some(self.compressed(message))
    }

    fn gap(&mut self, gap: &Missing) -> Message {
        let message = self.inner.gap(gap);
        self.compressed(message)
    }

    fn another(&self) -> Box<dyn Format> {
        Box::new(Compressed::new(self.inner.another(), self.method.compression()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use driver_core::Value;

    use super::super::FormatKind;
    use super::super::json::JsonKind;
    use super::super::testkit::{messages, reading, schema, spec, text};
    use super::*;
    use crate::uplink::Lane;
    use crate::uplink::topic::{Rules, Template};

    #[test]
    fn payloads_are_compressed_and_nothing_else_changes() {
        let readings: Vec<_> = (0..100).map(|value| reading(value % 2, Value::Int(i64::from(value)))).collect();
        let plain = messages(&JsonKind, "{device}", Lane::Live, readings.clone());
        for compression in [Compression::Gzip, Compression::Zstd] {
            let topic = Template::parse("{device}", "acme/line7", Rules::Mqtt).expect("a template");
            let inner = JsonKind.open(&spec(), topic, Rules::Mqtt).unwrap_or_else(|errors| panic!("{errors:?}"));
            let mut format = Compressed::new(inner, compression);
            let (lane, schema) = (Lane::Live, Some(schema()));
            format.begin(Records { lane, epoch: 7, first: 1234, readings: readings.clone(), offsets: None, schema });
            let message = format.next().expect("a message");
            assert!(message.payload.len() < plain[0].payload.len() / 5, "{} bytes", message.payload.len());
            assert_eq!(message.content_type, compression.content_type());
            let mut unpacked = String::new();
            match compression {
                Compression::Gzip => flate2::read::GzDecoder::new(&*message.payload).read_to_string(&mut unpacked),
                Compression::Zstd => {
                    zstd::stream::read::Decoder::new(&*message.payload).expect("zstd").read_to_string(&mut unpacked)
                }
            }
            .expect("it unpacks");
            assert_eq!(unpacked, text(&plain[0]));
            let rest =
                Message { payload: plain[0].payload.clone(), content_type: plain[0].content_type.clone(), ..message };
            assert_eq!(rest, plain[0]);
        }
    }
}
