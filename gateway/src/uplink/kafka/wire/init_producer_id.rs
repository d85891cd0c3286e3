//! InitProducerId (22), version 1: a new producer id, for a producer without transactions.

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Asks for one.
#[derive(Debug)]
pub struct InitProducerId;

/// A producer id, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// What is wrong, or 0.
    pub error: i16,
    /// The id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

impl Request for InitProducerId {
    const KEY: i16 = 22;
    const VERSION: i16 = 1;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = ProducerIdentity;

    fn write(&self, out: &mut Writer) {
        out.null_string();
        out.i32(i32::MAX);
    }

    fn read(answer: &mut Reader) -> Result<ProducerIdentity, Malformed> {
        answer.i32()?;
        Ok(ProducerIdentity { error: answer.i16()?, id: answer.i64()?, epoch: answer.i16()? })
    }
}
