//! Who sends a command: a token, compared in a time that tells nothing of it.

use ring::digest::{SHA256, digest};

use super::Token;

/// The shortest token, bytes: what is shorter can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// Why nobody is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token is configured, so that nobody may send commands.
    NoTokens,
    /// No token was shown, or none that is known.
    Unknown,
    /// A configured token cannot be fetched, or is too short; for the operator.
    Unusable(String),
}

/// The owner of a shown token. Waits for the files that hold them.
pub(super) fn owner<'t>(shown: Option<&str>, tokens: &'t [Token]) -> Result<&'t Token, Denied> {
    if tokens.is_empty() {
        return Err(Denied::NoTokens);
    }
    let shown = digest(&SHA256, shown.unwrap_or_default().as_bytes());
    let (mut found, mut unusable) = (None, None);
    for token in tokens {
        match token.secret.fetch() {
            Ok(secret) if secret.len() < TOKEN_BYTES_MIN => {
                unusable = Some(format!("the token {} is shorter than {TOKEN_BYTES_MIN} bytes", token.name));
            }
            Ok(secret) => {
                if equal(shown.as_ref(), digest(&SHA256, &secret).as_ref()) {
                    found = Some(token);
                }
            }
            Err(cause) => unusable = Some(format!("the token {}: {cause}", token.name)),
        }
    }
    found.ok_or_else(|| unusable.map_or(Denied::Unknown, Denied::Unusable))
}

/// Looks at every byte, whatever the ones before it were. Of digests nobody can choose the bytes.
fn equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |difference, (a, b)| difference | a ^ b) == 0
}

/// The token of an `Authorization` header (RFC 6750, 2.1).
pub(super) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::pipeline::command::Role;

    fn token(name: &str, secret: &str) -> Token {
        Token { name: name.into(), secret: Secret::Literal(secret.into()), role: Role::Operator }
    }

    #[test]
    fn a_token_is_known_by_all_of_its_bytes() {
        let tokens = [token("anna", "0123456789abcdef"), token("bert", "fedcba9876543210")];
        let name = |shown| owner(shown, &tokens).map(|token| token.name.to_string());
        assert_eq!(name(Some("fedcba9876543210")), Ok("bert".into()));
        for wrong in [None, Some(""), Some("0123456789abcde"), Some("0123456789abcdeF"), Some("0123456789abcdef0")] {
            assert_eq!(name(wrong), Err(Denied::Unknown), "{wrong:?}");
        }
        assert_eq!(owner(Some("x"), &[]), Err(Denied::NoTokens));
    }

    #[test]
    fn a_token_that_is_empty_short_or_not_there_lets_nobody_in() {
        for secret in ["", "short"] {
            assert!(matches!(owner(Some(secret), &[token("anna", secret)]), Err(Denied::Unusable(_))), "{secret:?}");
        }
        let gone = Token { secret: Secret::File("/nowhere/token".into()), ..token("anna", "") };
        assert!(matches!(owner(Some(""), &[gone]), Err(Denied::Unusable(cause)) if cause.contains("anna")));
    }

    #[test]
    fn bearer_tokens_are_found() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for header in ["", "Bearer", "Bearer ", "Basic abc"] {
            assert_eq!(bearer(header), None, "{header}");
        }
    }
}
