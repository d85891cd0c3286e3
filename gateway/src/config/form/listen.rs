//! An address to listen on.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Scalar, Word};
use crate::config::fault::Complaint;

/// An address and port of the loopback: what can be reached from elsewhere needs TLS and a login.
pub(in crate::config) struct Listen;

impl<'t> Scalar<'t> for Listen {
    type Value = SocketAddr;

    fn parse(&self, word: Word<'t>) -> Result<SocketAddr, Complaint> {
        let help = || format!("write {}", Scalar::expected(self));
        let Ok(address) = word.text.parse::<SocketAddr>() else {
            return Err(Complaint::new(format!("`{}` is no address with a port", word.text), help()));
        };
        if !address.ip().is_loopback() {
            let message = format!("`{}` can be reached from other machines", word.text);
            return Err(Complaint::new(message, help()));
        }
        Ok(address)
    }

    fn expected(&self) -> String {
        "an address of the loopback such as 127.0.0.1:9470".into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_listened_on() {
        for text in ["127.0.0.1:9470", "127.8.9.1:0", "[::1]:80"] {
            assert!(Listen.parse(Word::plain(text)).is_ok(), "{text}");
        }
        for text in ["0.0.0.0:80", "10.0.0.1:80", "[::]:80", "localhost:80", "127.0.0.1", ""] {
            assert!(Listen.parse(Word::plain(text)).is_err(), "{text}");
        }
    }
}
