//! The receive buffer of a connection: read into at the end, consumed at the start.

/// Bytes received and not consumed yet.
#[derive(Debug)]
pub struct ReceiveBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl ReceiveBuffer {
    /// A buffer of so many bytes.
    pub fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Makes room for `capacity` bytes in all; never shrinks.
    pub fn grow(&mut self, capacity: usize) {
        if capacity > self.bytes.len() {
            let mut bytes = std::mem::take(&mut self.bytes).into_vec();
            bytes.resize(capacity, 0);
            self.bytes = bytes.into_boxed_slice();
        }
    }

    /// Where the next bytes go. Moves what is left to the front when less than `room` is free behind it.
    pub fn free(&mut self, room: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.bytes.len() - self.end < room {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// Takes in `len` bytes that were written into [`Self::free`].
    pub fn fill(&mut self, len: usize) {
        self.end = (self.end + len).min(self.bytes.len());
    }

    /// What was received and not consumed.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Consumes `len` bytes and tells where they stand; they stay there until [`Self::free`] is called.
    pub fn consume(&mut self, len: usize) -> usize {
        let at = self.start;
        self.start = (self.start + len).min(self.end);
        at
    }

    /// Everything from `at` on that was filled.
    pub fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_moves_to_the_front_when_the_end_is_near() {
        let mut buffer = ReceiveBuffer::new(8);
        buffer.free(4)[..6].copy_from_slice(b"abcdef");
        buffer.fill(6);
        let at = buffer.consume(4);
        assert_eq!(&buffer.from(at)[..4], b"abcd");
        assert_eq!(buffer.free(4).len(), 6);
        assert_eq!(buffer.filled(), b"ef");
    }
}
