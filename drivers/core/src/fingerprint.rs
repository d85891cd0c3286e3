//! A number that changes with a list of texts.

use std::fmt::{self, Display, Write};

/// FNV-1a over these texts and an end after each: what was learned of one list of addresses is not used with another.
pub fn fingerprint<T: Display>(texts: impl IntoIterator<Item = T>) -> u64 {
    let mut hash = Fnv(0xCBF2_9CE4_8422_2325);
    for text in texts {
        write!(hash, "{text};").expect("a hash takes all that is written to it");
    }
    hash.0
}

struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_with_every_text_and_where_each_ends() {
        assert_eq!(fingerprint(["a"]), 0x089C_0D07_B545_3AF5);
        let all = [fingerprint(["ab"]), fingerprint(["a", "b"]), fingerprint(["b", "a"]), fingerprint::<&str>([])];
        assert!((1..4).all(|index| !all[..index].contains(&all[index])), "{all:x?}");
    }
}
