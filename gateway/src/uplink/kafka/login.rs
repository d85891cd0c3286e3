//! SASL as the one who logs in: PLAIN (RFC 4616), SCRAM (RFC 5802, 7677), OAUTHBEARER (RFC 7628). Pure.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

use crate::uplink::base64::{base64, from_base64};

/// More rounds than any broker is set to; a hostile one must not keep the processor for ever.
const ROUNDS_MAX: u32 = 200_000;

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password as they are: over TLS only.
    Plain,
    /// A proof that the password is known, with SHA-256.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
    /// A token.
    OauthBearer,
}

impl Mechanism {
    /// The mechanism that a configuration names.
    pub fn parse(text: &str) -> Option<Mechanism> {
        match text {
            "plain" => Some(Mechanism::Plain),
            "scram-sha-256" => Some(Mechanism::ScramSha256),
            "scram-sha-512" => Some(Mechanism::ScramSha512),
            "oauthbearer" => Some(Mechanism::OauthBearer),
            _ => None,
        }
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// Where a login stands. The broker speaks when something was said.
#[derive(Debug)]
pub enum Dialogue {
    /// One message is all: the broker answers whether it is content.
    Once,
    /// SCRAM: the broker's challenge comes next.
    Challenged(Scram),
    /// SCRAM: the broker proves that it knows the password, too.
    Proving(Vec<u8>),
    /// The broker is who it should be.
    Done,
}

/// What SCRAM remembers of its first message.
pub struct Scram {
    hash: Hash,
    password: Vec<u8>,
    nonce: String,
    first: String,
}

impl std::fmt::Debug for Scram {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scram").field("nonce", &self.nonce).finish_non_exhaustive()
    }
}

struct Hash {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

/// Begins: what to say, and what comes then. `nonce` is printable, without commas, and never the same twice.
pub fn begin(mechanism: Mechanism, user: &str, password: &[u8], nonce: &str) -> (Vec<u8>, Dialogue) {
    match mechanism {
        Mechanism::Plain => ([b"\0", user.as_bytes(), b"\0", password].concat(), Dialogue::Once),
        Mechanism::OauthBearer => {
            ([b"n,,\x01auth=Bearer ".as_slice(), password.trim_ascii(), b"\x01\x01"].concat(), Dialogue::Once)
        }
        Mechanism::ScramSha256 => scram(SHA_256, user, password, nonce),
        Mechanism::ScramSha512 => scram(SHA_512, user, password, nonce),
    }
}

const SHA_256: Hash = Hash { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256 };
const SHA_512: Hash = Hash { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512 };

fn scram(hash: Hash, user: &str, password: &[u8], nonce: &str) -> (Vec<u8>, Dialogue) {
    let first = format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"));
    let message = format!("n,,{first}").into_bytes();
    (message, Dialogue::Challenged(Scram { hash, password: password.into(), nonce: nonce.into(), first }))
}

impl Dialogue {
    /// Takes in what the broker said; returns what to say next, or nothing at the end.
    ///
    /// # Errors
    /// What it said is no answer, or it does not know the password itself.
    pub fn hear(&mut self, said: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        match std::mem::replace(self, Dialogue::Done) {
            Dialogue::Once | Dialogue::Done => Ok(None),
            Dialogue::Challenged(scram) => {
                let (message, expected) = scram.answer(said)?;
                *self = Dialogue::Proving(expected);
                Ok(Some(message))
            }
            Dialogue::Proving(expected) => {
                let text = std::str::from_utf8(said).map_err(|_| "the broker's proof is no text")?;
                let proof = text.split(',').find_map(|part| part.strip_prefix("v=")).and_then(from_base64);
                if proof.as_deref() != Some(&expected) {
                    return Err("the broker could not prove that it knows the password");
                }
                Ok(None)
            }
        }
    }

    /// Whether the broker has nothing more to prove.
    pub fn is_over(&self) -> bool {
        matches!(self, Dialogue::Done)
    }
}

impl Scram {
    fn answer(&self, said: &[u8]) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
        let challenge = std::str::from_utf8(said).map_err(|_| "the broker's challenge is no text")?;
        let part = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = part("r=").filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len());
        let nonce = nonce.ok_or("the broker's challenge does not go on from ours")?;
        let salt = part("s=").and_then(from_base64).ok_or("the broker's challenge has no salt")?;
        let rounds = part("i=").and_then(|rounds| rounds.parse::<NonZeroU32>().ok());
        let rounds = rounds.filter(|rounds| rounds.get() <= ROUNDS_MAX).ok_or("the broker wants too many rounds")?;
        let mut salted = vec![0; self.hash.digest.output_len()];
        pbkdf2::derive(self.hash.pbkdf2, rounds, &salt, &self.password, &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(self.hash.hmac, key), text);
        let client_key = sign(&salted, b"Client Key");
        let stored = digest::digest(self.hash.digest, client_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let all = format!("{},{challenge},{without_proof}", self.first);
        let signature = sign(stored.as_ref(), all.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, sign)| key ^ sign).collect();
        let server_key = sign(&salted, b"Server Key");
        let expected = sign(server_key.as_ref(), all.as_bytes()).as_ref().to_vec();
        Ok((format!("{without_proof},p={}", base64(&proof)).into_bytes(), expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialogue_of_the_standard_is_ours() {
        // RFC 7677, 3.
        let (first, mut dialogue) = begin(Mechanism::ScramSha256, "user", b"pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(first, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = dialogue.hear(challenge).expect("a challenge").expect("an answer");
        assert_eq!(
            String::from_utf8(answer).expect("text"),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!dialogue.is_over());
        assert_eq!(dialogue.hear(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(None));
        assert!(dialogue.is_over());
    }

    #[test]
    fn a_broker_that_lies_is_found_out() {
        let challenged = || begin(Mechanism::ScramSha512, "a=b,c", b"pencil", "mine").1;
        let lies = ["r=other,s=W22Z,i=4096", "r=mine,s=W22Z,i=4096", "r=mine1,s=!,i=4096", "r=mine1,s=W22Z,i=4000000"];
        for lie in lies {
            assert!(challenged().hear(lie.as_bytes()).is_err(), "{lie}");
        }
        let mut dialogue = challenged();
        dialogue.hear(b"r=mine1,s=W22Z,i=1").expect("a challenge");
        assert!(dialogue.hear(b"v=W22Z").is_err());
    }

    #[test]
    fn what_needs_one_message_is_over_after_it() {
        let (plain, mut dialogue) = begin(Mechanism::Plain, "me", b"secret", "");
        assert_eq!(plain, b"\0me\0secret");
        assert_eq!((dialogue.hear(b""), dialogue.is_over()), (Ok(None), true));
        assert_eq!(begin(Mechanism::OauthBearer, "", b" tok \n", "").0, b"n,,\x01auth=Bearer tok\x01\x01");
    }
}
