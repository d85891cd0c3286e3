//! The fields of a packet, one after the other.

use super::property::{Form, Properties, Value, form};

/// A packet that breaks the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// Fields that end too early, or are of no known form.
    #[error("the packet is malformed")]
    Packet,
    /// A protocol that is neither 3.1.1 nor 5.
    #[error("the protocol version is not known")]
    Version,
    /// More bytes than are taken.
    #[error("the packet is too large")]
    TooLarge,
}

/// What is left of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(left: &'a [u8]) -> Self {
        Self { left }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, left) = self.left.split_at_checked(len).ok_or(Malformed::Packet)?;
        self.left = left;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, left) = self.left.split_first_chunk().ok_or(Malformed::Packet)?;
        self.left = left;
        Ok(*bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn two(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn four(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of one to four bytes, seven bits each, lowest first.
    pub(super) fn variable(&mut self) -> Result<u32, Malformed> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed::Packet)
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.two()?;
        self.bytes(usize::from(len))
    }

    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.binary()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::Packet)
    }

    pub(super) fn properties(&mut self) -> Result<Properties, Malformed> {
        let len = self.variable()?;
        let mut inner = Reader::new(self.bytes(len as usize)?);
        let mut properties = Vec::new();
        while !inner.is_empty() {
            let id = inner.byte()?;
            let value = match form(id).ok_or(Malformed::Packet)? {
                Form::Byte => Value::Byte(inner.byte()?),
                Form::Two => Value::Two(inner.two()?),
                Form::Four => Value::Four(inner.four()?),
                Form::Variable => Value::Variable(inner.variable()?),
                Form::Text => Value::Text(inner.text()?),
                Form::Binary => Value::Binary(inner.binary()?.to_vec()),
                Form::Pair => Value::Pair(inner.text()?, inner.text()?),
            };
            properties.push((id, value));
        }
        Ok(properties)
    }
}
