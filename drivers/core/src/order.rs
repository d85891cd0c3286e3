//! The order of bytes and 16-bit words in a value, by the letters that the field uses: `A` is the most significant byte.

use std::fmt;

/// Byte order of a value that spans registers. The names are those of 32-bit values; 16- and 64-bit values follow the
/// same two rules: whether the words are swapped, and whether the bytes within each word are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// Big-endian throughout, as Modbus and S7 mean it; 64-bit `ABCDEFGH`.
    #[default]
    Abcd,
    /// Least significant word first; 64-bit `GHEFCDAB`.
    Cdab,
    /// Most significant word first, bytes of each word swapped; 64-bit `BADCFEHG`.
    Badc,
    /// Little-endian throughout; 64-bit `HGFEDCBA`.
    Dcba,
}

impl Order {
    /// All orders.
    pub const ALL: [Order; 4] = [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba];

    /// Understands the letters of a 16-, 32- or 64-bit value, in any case.
    pub fn from_name(name: &str) -> Option<Order> {
        let name = name.to_ascii_uppercase();
        Some(match name.as_str() {
            "AB" | "ABCD" | "ABCDEFGH" => Order::Abcd,
            "CDAB" | "GHEFCDAB" => Order::Cdab,
            "BADC" | "BADCFEHG" => Order::Badc,
            "BA" | "DCBA" | "HGFEDCBA" => Order::Dcba,
            _ => return None,
        })
    }

    /// The letters of a 32-bit value.
    pub fn name(self) -> &'static str {
        match self {
            Order::Abcd => "ABCD",
            Order::Cdab => "CDAB",
            Order::Badc => "BADC",
            Order::Dcba => "DCBA",
        }
    }

    /// Whether the least significant word comes first.
    pub fn swaps_words(self) -> bool {
        matches!(self, Order::Cdab | Order::Dcba)
    }

    /// Whether the bytes within each word are swapped.
    pub fn swaps_bytes(self) -> bool {
        matches!(self, Order::Badc | Order::Dcba)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
