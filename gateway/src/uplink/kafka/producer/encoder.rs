//! Messages as records.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use driver_core::{Clock, SystemClock};

use crate::uplink::kafka::batch::{Builder, Compression, Headers, NewRecord, Stamp};
use crate::uplink::kafka::config::Config;
use crate::uplink::{Lane, Message, SeqRange};

/// What a record adds to key and value at most, bytes: headers, lengths, time.
const ENVELOPE_BYTES_MAX: usize = 256;

/// The header that only a fence has.
pub(super) const FENCE: &str = "fence";

/// Writes messages as records.
pub(super) struct Encoder {
    builder: Builder,
    pub(super) batch_bytes: usize,
    compression: Compression,
    /// The gateway's UUID.
    pub(super) identity: Box<str>,
    gateway: Box<str>,
    envelope: Option<Envelope>,
}

/// The headers of messages of one origin, which differ in their seq alone.
struct Envelope {
    epoch: u32,
    lane: Lane,
    content_type: Cow<'static, str>,
    headers: Headers,
}

impl Encoder {
    pub(super) fn new(config: &Config) -> Encoder {
        Encoder {
            builder: Builder::default(),
            batch_bytes: config.batch_bytes,
            compression: config.compression,
            identity: config.identity.clone(),
            gateway: config.gateway.clone(),
            envelope: None,
        }
    }

    /// Whether the batch stays within its bytes with this message, too.
    pub(super) fn has_room_for(&self, message: &Message) -> bool {
        self.builder.len() + message.size_bytes() + ENVELOPE_BYTES_MAX <= self.batch_bytes
    }

    pub(super) fn push(&mut self, message: &Message) {
        let known = self.envelope.take().filter(|known| known.is_of(message));
        let envelope = self.envelope.insert(known.unwrap_or_else(|| Envelope::of(message, &self.identity)));
        envelope.set_seqs(message.seqs);
        // What tells of no reading is of now: a record of 1970 would be the first that a topic's retention takes.
        let time_ms = message.time.map_or_else(now_ms, |time| time.0.div_euclid(1_000_000));
        let key = message.key.as_deref();
        self.builder.push(&NewRecord { time_ms, key, value: Some(&message.payload), headers: &envelope.headers });
    }

    pub(super) fn finish(&mut self, stamp: Stamp) -> io::Result<Bytes> {
        self.builder.finish(stamp, self.compression)
    }

    /// A record without a value, which readers pass over: its place is all that matters.
    pub(super) fn fence(&mut self, producer: i64, epoch: i16) -> io::Result<Bytes> {
        let headers = Headers::new(&[("gateway", self.identity.as_bytes()), (FENCE, b"1")]);
        let key = Some(self.gateway.as_bytes());
        self.builder.push(&NewRecord { time_ms: now_ms(), key, value: None, headers: &headers });
        self.builder.finish(Stamp { producer, epoch, sequence: 0 }, Compression::None)
    }
}

impl Envelope {
    fn of(message: &Message, identity: &str) -> Envelope {
        let (epoch, lane) = (message.epoch.to_string(), message.lane());
        let job = lane.job().map(|job| job.to_string()).unwrap_or_default();
        let all: [(&str, &[u8]); 5] = [
            ("gateway", identity.as_bytes()),
            ("epoch", epoch.as_bytes()),
            ("content-type", message.content_type.as_bytes()),
            ("lane", lane.name().as_bytes()),
            ("job", job.as_bytes()),
        ];
        let count = match lane {
            Lane::Live => 3,
            Lane::History => 4,
            Lane::Replay(_) => 5,
        };
        let content_type = message.content_type.clone();
        Envelope { epoch: message.epoch, lane, content_type, headers: Headers::new(&all[..count]) }
    }

    fn is_of(&self, message: &Message) -> bool {
        (self.epoch, self.lane, &self.content_type) == (message.epoch, message.lane(), &message.content_type)
    }

    fn set_seqs(&mut self, SeqRange { first, last }: SeqRange) {
        if first == last {
            self.headers.set_own("seq", itoa::Buffer::new().format(first).as_bytes());
        } else {
            self.headers.set_own("seq", format!("{first}-{last}").as_bytes());
        }
    }
}

/// Milliseconds since 1970 UTC.
pub(super) fn now_ms() -> i64 {
    let (now, _) = SystemClock.now();
    now.0.div_euclid(1_000_000)
}
