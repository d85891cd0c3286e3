//! An address to listen on.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Scalar, Word};
use crate::config::fault::Complaint;

/// An address and port of this machine.
pub(in crate::config) struct Listen;

impl<'t> Scalar<'t> for Listen {
    type Value = SocketAddr;

    fn parse(&self, word: Word<'t>) -> Result<SocketAddr, Complaint> {
        word.text.parse().map_err(|_| {
            let help = format!("write {}", Scalar::expected(self));
            Complaint::new(format!("`{}` is no address with a port", word.text), help)
        })
    }

    fn expected(&self) -> String {
        "an address of this machine with a port, such as 127.0.0.1:9470".into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_ports_are_listened_on() {
        for text in ["127.0.0.1:9470", "0.0.0.0:80", "[::1]:80"] {
            assert!(Listen.parse(Word::plain(text)).is_ok(), "{text}");
        }
        for text in ["localhost:80", "127.0.0.1", "80", ""] {
            assert!(Listen.parse(Word::plain(text)).is_err(), "{text}");
        }
    }
}
