//! Kafka's primitive types, read from bytes that come from outside.

use bytes::{Buf, Bytes};

use super::TopicId;

/// Bytes that are not what Kafka would answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is no Kafka answer: {what} is wrong")]
pub struct Malformed {
    /// The part that could not be read.
    pub what: &'static str,
}

/// Takes values from the front of some bytes. Nothing is allocated that the bytes do not fill.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
}

macro_rules! integer {
    ($name:ident, $get:ident, $type:ty) => {
        /// A big-endian integer.
        ///
        /// # Errors
        /// The bytes end before.
        pub fn $name(&mut self) -> Result<$type, Malformed> {
            self.bytes.$get().map_err(|_| Malformed { what: "its length" })
        }
    };
}

impl Reader {
    /// A reader of these bytes.
    pub fn new(bytes: Bytes) -> Reader {
        Reader { bytes }
    }

    integer!(i8, try_get_i8, i8);
    integer!(i16, try_get_i16, i16);
    integer!(i32, try_get_i32, i32);
    integer!(i64, try_get_i64, i64);
    integer!(u32, try_get_u32, u32);

    /// What is left, unread.
    pub fn rest(self) -> Bytes {
        self.bytes
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next `length` bytes, shared with the answer.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.bytes.len() {
            return Err(Malformed { what: "a length" });
        }
        Ok(self.bytes.split_to(length))
    }

    /// An unsigned varint of at most 32 bits.
    ///
    /// # Errors
    /// It has no end, or is larger.
    pub fn uvarint(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.uvarlong()?).map_err(|_| Malformed { what: "a varint" })
    }

    /// A signed, zigzag-encoded varint of at most 32 bits.
    ///
    /// # Errors
    /// It has no end, or is larger.
    pub fn varint(&mut self) -> Result<i32, Malformed> {
        i32::try_from(self.varlong()?).map_err(|_| Malformed { what: "a varint" })
    }

    /// A signed, zigzag-encoded varint of at most 64 bits.
    ///
    /// # Errors
    /// It has no end, or is larger.
    pub fn varlong(&mut self) -> Result<i64, Malformed> {
        let raw = self.uvarlong()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// An unsigned varint of at most 64 bits.
    ///
    /// # Errors
    /// It has no end.
    pub fn uvarlong(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.i8()? as u8;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed { what: "a varint" })
    }

    /// A plain string; `None` for null.
    ///
    /// # Errors
    /// It is not whole, or no UTF-8.
    pub fn string(&mut self) -> Result<Option<String>, Malformed> {
        match self.i16()? {
            -1 => Ok(None),
            length => self.text(usize::try_from(length).map_err(|_| Malformed { what: "a string's length" })?),
        }
    }

    /// A compact string; `None` for null.
    ///
    /// # Errors
    /// It is not whole, or no UTF-8.
    pub fn compact_string(&mut self) -> Result<Option<String>, Malformed> {
        match self.uvarint()? {
            0 => Ok(None),
            length => self.text(length as usize - 1),
        }
    }

    fn text(&mut self, length: usize) -> Result<Option<String>, Malformed> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Malformed { what: "a string" })?;
        Ok(Some(text.to_owned()))
    }

    /// Plain bytes; `None` for null.
    ///
    /// # Errors
    /// They are not whole.
    pub fn bytes(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| Malformed { what: "a length" })?).map(Some),
        }
    }

    /// A plain array; null reads as empty.
    ///
    /// # Errors
    /// It says that it has more items than there are bytes, or an item is wrong.
    pub fn array<T>(&mut self, item: impl FnMut(&mut Reader) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let count = self.i32()?;
        self.items(if count == -1 { Some(0) } else { usize::try_from(count).ok() }, item)
    }

    /// A compact array; null reads as empty.
    ///
    /// # Errors
    /// As [`Reader::array`].
    pub fn compact_array<T>(
        &mut self,
        item: impl FnMut(&mut Reader) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.uvarint()? as usize;
        self.items(Some(count.saturating_sub(1)), item)
    }

    fn items<T>(
        &mut self,
        count: Option<usize>,
        mut item: impl FnMut(&mut Reader) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = count.filter(|count| *count <= self.left()).ok_or(Malformed { what: "an array's length" })?;
        // Grown item by item: an item in memory may be far larger than its bytes.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A topic's id.
    ///
    /// # Errors
    /// The bytes end before.
    pub fn topic_id(&mut self) -> Result<TopicId, Malformed> {
        let bytes = self.take(16)?;
        bytes.as_ref().try_into().map_err(|_| Malformed { what: "a topic's id" })
    }

    /// Passes over tagged fields.
    ///
    /// # Errors
    /// They are not whole.
    pub fn tags(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let length = self.uvarint()? as usize;
            self.take(length)?;
        }
        Ok(())
    }
}
