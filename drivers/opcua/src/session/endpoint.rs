//! Which of a server's endpoints is taken, without I/O.

use opcua::crypto::SecurityPolicy;
use opcua::types::{EndpointDescription, MessageSecurityMode, UserTokenType};

use crate::config::{Identity, Mode, OpcUaEndpoint, Policy};

/// The policies that are taken without being asked for, the strongest last.
const SECURE: [SecurityPolicy; 3] =
    [SecurityPolicy::Aes128Sha256RsaOaep, SecurityPolicy::Basic256Sha256, SecurityPolicy::Aes256Sha256RsaPss];

/// The endpoint to connect to, at the address of our own URL: what a server calls itself need not be known here.
///
/// # Errors
/// Why none fits, with what there is and what to write.
pub(super) fn choose(offered: &[EndpointDescription], wanted: &OpcUaEndpoint) -> Result<EndpointDescription, String> {
    let fits = |endpoint: &&EndpointDescription| {
        let policy = policy_of(endpoint);
        fits_policy(policy, wanted.policy) && endpoint.security_mode == mode_of(wanted)
    };
    let secured: Vec<&EndpointDescription> = offered.iter().filter(fits).collect();
    if secured.is_empty() {
        return Err(none_secured(offered, wanted));
    }
    let with_identity: Vec<&&EndpointDescription> =
        secured.iter().filter(|endpoint| takes(endpoint, &wanted.identity)).collect();
    let rank = |endpoint: &&&EndpointDescription| SECURE.iter().position(|known| *known == policy_of(endpoint));
    let Some(best) = with_identity.into_iter().max_by_key(rank) else {
        return Err(none_identified(&secured, wanted));
    };
    let mut endpoint = (*best).clone();
    endpoint.endpoint_url = at_our_address(endpoint.endpoint_url.as_ref(), wanted).into();
    Ok(endpoint)
}

fn policy_of(endpoint: &EndpointDescription) -> SecurityPolicy {
    SecurityPolicy::from_uri(endpoint.security_policy_uri.as_ref())
}

fn fits_policy(offered: SecurityPolicy, wanted: Policy) -> bool {
    match wanted {
        Policy::Auto => SECURE.contains(&offered),
        Policy::None => offered == SecurityPolicy::None,
        Policy::Basic256Sha256 => offered == SecurityPolicy::Basic256Sha256,
        Policy::Aes128 => offered == SecurityPolicy::Aes128Sha256RsaOaep,
        Policy::Aes256 => offered == SecurityPolicy::Aes256Sha256RsaPss,
        Policy::Basic256 => offered == SecurityPolicy::Basic256,
        Policy::Basic128Rsa15 => offered == SecurityPolicy::Basic128Rsa15,
    }
}

fn mode_of(wanted: &OpcUaEndpoint) -> MessageSecurityMode {
    match (wanted.policy, wanted.mode) {
        (Policy::None, _) => MessageSecurityMode::None,
        (_, Mode::Sign) => MessageSecurityMode::Sign,
        (_, Mode::Auto | Mode::Encrypt) => MessageSecurityMode::SignAndEncrypt,
    }
}

fn takes(endpoint: &EndpointDescription, identity: &Identity) -> bool {
    let wanted = match identity {
        Identity::Anonymous => UserTokenType::Anonymous,
        Identity::User(..) => UserTokenType::UserName,
        Identity::Certificate(_) => UserTokenType::Certificate,
    };
    match &endpoint.user_identity_tokens {
        Some(tokens) if !tokens.is_empty() => tokens.iter().any(|token| token.token_type == wanted),
        _ => wanted == UserTokenType::Anonymous,
    }
}

fn none_secured(offered: &[EndpointDescription], wanted: &OpcUaEndpoint) -> String {
    let mut names: Vec<String> = offered
        .iter()
        .map(|endpoint| match endpoint.security_mode {
            MessageSecurityMode::None => "none".to_owned(),
            MessageSecurityMode::Sign => format!("{} with mode=sign", policy_of(endpoint).to_str()),
            _ => policy_of(endpoint).to_str().to_owned(),
        })
        .collect();
    names.sort();
    names.dedup();
    let next = if wanted.policy == Policy::Auto && names.iter().any(|name| name == "none") {
        ". Switch security on in the server, or do without: ?policy=none"
    } else {
        ". Name one of them: ?policy=…"
    };
    format!("the server offers {}, and not what is asked for{next}", names.join(", "))
}

fn none_identified(secured: &[&EndpointDescription], wanted: &OpcUaEndpoint) -> String {
    let mut names: Vec<&str> = secured
        .iter()
        .flat_map(|endpoint| endpoint.user_identity_tokens.iter().flatten())
        .map(|token| match token.token_type {
            UserTokenType::Anonymous => "anonymous",
            UserTokenType::UserName => "user and password",
            UserTokenType::Certificate => "user certificate",
            UserTokenType::IssuedToken => "issued token",
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    let (ours, next) = match wanted.identity {
        Identity::Anonymous => ("nobody without a name", "?user=…&password_file=… or ?user_cert=…&user_key=…"),
        Identity::User(..) => ("no user with a password", "leave `user` away, or use ?user_cert=…&user_key=…"),
        Identity::Certificate(_) => ("no user with a certificate", "?user=…&password_file=…"),
    };
    format!("the server lets in {ours}; it takes: {}. {next}", names.join(", "))
}

/// The server's path at our host and port.
fn at_our_address(url: &str, wanted: &OpcUaEndpoint) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or_default();
    format!("opc.tcp://{wanted}{path}")
}

#[cfg(test)]
mod tests {
    use opcua::types::UserTokenPolicy;

    use super::*;

    fn offered(policy: SecurityPolicy, mode: MessageSecurityMode, token: UserTokenType) -> EndpointDescription {
        EndpointDescription {
            endpoint_url: "opc.tcp://press-7.local:4840/ua/server".into(),
            security_policy_uri: policy.to_uri().into(),
            security_mode: mode,
            user_identity_tokens: Some(vec![UserTokenPolicy { token_type: token, ..UserTokenPolicy::default() }]),
            ..EndpointDescription::default()
        }
    }

    fn chosen(offered: &[EndpointDescription], url: &str) -> Result<(SecurityPolicy, String), String> {
        let wanted = OpcUaEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint");
        choose(offered, &wanted).map(|endpoint| (policy_of(&endpoint), endpoint.endpoint_url.to_string()))
    }

    #[test]
    fn the_strongest_that_lets_us_in_is_taken_at_our_own_address() {
        use MessageSecurityMode::{None as Open, Sign, SignAndEncrypt};
        use UserTokenType::{Anonymous, UserName};
        let all = [
            offered(SecurityPolicy::None, Open, Anonymous),
            offered(SecurityPolicy::Basic256Sha256, SignAndEncrypt, Anonymous),
            offered(SecurityPolicy::Basic256Sha256, Sign, Anonymous),
            offered(SecurityPolicy::Aes128Sha256RsaOaep, SignAndEncrypt, Anonymous),
            offered(SecurityPolicy::Aes256Sha256RsaPss, SignAndEncrypt, UserName),
            offered(SecurityPolicy::Basic256, SignAndEncrypt, Anonymous),
        ];
        let at = |policy| Ok((policy, "opc.tcp://10.0.0.12:4841/ua/server".to_owned()));
        let url = "opc.tcp://10.0.0.12:4841";
        assert_eq!(chosen(&all, url), at(SecurityPolicy::Basic256Sha256));
        assert_eq!(chosen(&all, &format!("{url}?user=a&password_env=P")), at(SecurityPolicy::Aes256Sha256RsaPss));
        assert_eq!(chosen(&all, &format!("{url}?policy=none")), at(SecurityPolicy::None));
        assert_eq!(chosen(&all, &format!("{url}?policy=basic256")), at(SecurityPolicy::Basic256));
        assert_eq!(chosen(&all, &format!("{url}?mode=sign")), at(SecurityPolicy::Basic256Sha256));
        let error = chosen(&all[..1], url).expect_err("nothing secure");
        assert!(error.contains("offers none") && error.contains("?policy=none"), "{error}");
        let error = chosen(&all[4..5], url).expect_err("a user is wanted");
        assert!(error.contains("user and password") && error.contains("?user="), "{error}");
        assert!(chosen(&all[5..], url).is_err(), "a legacy policy is never taken unasked");
    }
}
