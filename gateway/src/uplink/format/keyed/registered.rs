//! Payloads whose schema a registry knows: the head that names it, and the id once the registry has told it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The first byte of a payload whose schema a registry knows.
const MAGIC: u8 = 0;

/// The number by which a registry knows a schema. 0 until it has told it; no message leaves before.
#[derive(Debug, Clone, Default)]
pub struct SchemaId(Arc<AtomicU32>);

impl SchemaId {
    /// The registry knows the schema by this number.
    pub fn set(&self, id: u32) {
        self.0.store(id, Ordering::Release);
    }

    /// The number, or 0.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// What is registered, and how payloads refer to it.
#[derive(Debug, Clone)]
pub struct Registration {
    /// What the registry keeps its versions under.
    pub subject: Arc<str>,
    /// The registry's word for the kind of schema: `AVRO`, `PROTOBUF` or `JSON`.
    pub kind: &'static str,
    /// The schema's text.
    pub schema: &'static str,
    /// What stands between the id and the payload: with Protobuf, which message of the file it is.
    pub message: &'static [u8],
    /// The registry's number for it, shared by all lanes.
    pub id: SchemaId,
}

impl Registration {
    /// Appends what stands before the payload.
    ///
    /// ```text
    /// 00 | id, 4 bytes, most significant first | which message, with Protobuf only | payload
    /// ```
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        out.push(MAGIC);
        out.extend_from_slice(&self.id.get().to_be_bytes());
        out.extend_from_slice(self.message);
    }
}
