//! A text that is kept for long and read seldom: a hundred thousand tags are some megabytes of YAML, and a tenth of it here.

use std::sync::Arc;

/// How hard it is packed: quickly.
const LEVEL: i32 = 1;

/// A packed text; equal texts are equal when packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    bytes: Arc<[u8]>,
    /// What could not be packed is kept as it is.
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Zstd { length: usize },
}

impl Packed {
    pub(super) fn new(text: &str) -> Packed {
        match zstd::bulk::compress(text.as_bytes(), LEVEL) {
            Ok(bytes) => Packed { bytes: bytes.into(), form: Form::Zstd { length: text.len() } },
            Err(_) => Packed { bytes: text.as_bytes().into(), form: Form::Plain },
        }
    }

    pub(super) fn text(&self) -> String {
        let bytes = match self.form {
            Form::Plain => self.bytes.to_vec(),
            Form::Zstd { length } => {
                zstd::bulk::decompress(&self.bytes, length).expect("what was packed here can be unpacked")
            }
        };
        String::from_utf8(bytes).expect("it was a text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was() {
        for text in ["", "gateway: g\n", &"tags: { a: hr:0 } # äöü\n".repeat(10_000)] {
            let packed = Packed::new(text);
            assert_eq!(packed.text(), text);
            assert_eq!(packed, Packed::new(text));
        }
        assert_ne!(Packed::new("a"), Packed::new("b"));
    }
}
