//! SaslHandshake (17) and SaslAuthenticate (36), both version 1: who logs in.

use bytes::Bytes;

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Proposes a mechanism.
#[derive(Debug)]
pub struct SaslHandshake<'a> {
    /// Its name, such as `SCRAM-SHA-512`.
    pub mechanism: &'a str,
}

/// What the broker offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslMechanisms {
    /// What is wrong, or 0.
    pub error: i16,
    /// Names of mechanisms.
    pub offered: Vec<String>,
}

/// One step of a login.
#[derive(Debug)]
pub struct SaslAuthenticate<'a> {
    /// What the mechanism says.
    pub bytes: &'a [u8],
}

/// The broker's side of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslAnswer {
    /// What is wrong, or 0.
    pub error: i16,
    /// What the broker says about it.
    pub message: Option<String>,
    /// What the mechanism says.
    pub bytes: Bytes,
    /// After what time the broker wants to be logged in at anew, milliseconds; 0 for never.
    pub lifetime_ms: i64,
}

impl Request for SaslHandshake<'_> {
    const KEY: i16 = 17;
    const VERSION: i16 = 1;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = SaslMechanisms;

    fn write(&self, out: &mut Writer) {
        out.string(self.mechanism);
    }

    fn read(answer: &mut Reader) -> Result<SaslMechanisms, Malformed> {
        let error = answer.i16()?;
        let offered = answer.array(|name| Ok(name.string()?.unwrap_or_default()))?;
        Ok(SaslMechanisms { error, offered })
    }
}

impl Request for SaslAuthenticate<'_> {
    const KEY: i16 = 36;
    const VERSION: i16 = 1;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = SaslAnswer;

    fn write(&self, out: &mut Writer) {
        out.bytes(self.bytes);
    }

    fn read(answer: &mut Reader) -> Result<SaslAnswer, Malformed> {
        let (error, message) = (answer.i16()?, answer.string()?);
        Ok(SaslAnswer { error, message, bytes: answer.bytes()?.unwrap_or_default(), lifetime_ms: answer.i64()? })
    }
}
