//! Why a session was not opened: which side refused, and the next step.

use driver_core::{LinkError, Timestamp};
use opcua::crypto::SecurityPolicy;
use opcua::types::StatusCode;

use super::connect::{REACH, refused};
use crate::config::{Identity, OpcUaEndpoint};

/// What is known of a try to open a session, for the words of its failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub(super) policy: SecurityPolicy,
    /// The server shows the certificates of its issuers behind its own.
    pub(super) sends_issuers: bool,
    /// When our certificate ended, where it did; seconds since 1970.
    pub(super) own_expired: Option<i64>,
    /// What to do where the server does not let the user in.
    pub(super) user: &'static str,
}

const TRUST_OURS: &str =
    "Trust it in the server: it lies in its folder of rejected certificates now; ours is pki/own/cert.der";
const LOOK: &str = "Look for ours among those that the server rejected, and trust it there: pki/own/cert.der";
const RENEW: &str = "Make it anew, `forebay trust URL --renew`, and let the server trust the new one";
const ALONE: &str = "Let the server send its own certificate without its issuers', and keep those in pki/issuer";

/// What to do where the server does not let this user in.
pub(super) fn about(identity: &Identity) -> &'static str {
    match identity {
        Identity::Anonymous => {
            "Give a user, ?user=NAME&password_file=FILE or ?user_cert=FILE&user_key=FILE, or permit anonymous ones in the server"
        }
        Identity::User(..) => "Check user and password, and the user's role in the server",
        Identity::Certificate(_) => {
            "Let the server trust the certificate of ?user_cert, and check the user's role there"
        }
    }
}

/// Who refused, as the status tells it.
pub(super) fn not_opened(endpoint: &OpcUaEndpoint, status: StatusCode, known: &Refusal) -> LinkError {
    let (who, advice) = who(status, known);
    refused(endpoint, format!("{who}: {}", crate::wire::explain(status.bits())), advice)
}

fn who(status: StatusCode, known: &Refusal) -> (String, &'static str) {
    use StatusCode as S;
    let secured = known.policy != SecurityPolicy::None;
    let of_certificates = is_about_certificates(status);
    let closed = matches!(status, S::BadConnectionClosed | S::BadSecureChannelClosed);
    if secured
        && (of_certificates || closed)
        && let Some(end) = known.own_expired
    {
        let end = Timestamp(end.saturating_mul(1_000_000_000));
        return (format!("the server rejects our certificate, which expired on {end}"), RENEW);
    }
    let (who, advice) = match status {
        S::BadUserAccessDenied | S::BadIdentityTokenRejected | S::BadIdentityTokenInvalid => {
            ("the server does not let this user in", known.user)
        }
        S::BadCertificateInvalid if secured && known.sends_issuers => {
            ("we do not understand a server's certificate that comes with those of its issuers", ALONE)
        }
        S::BadCertificateUriInvalid if secured => {
            ("the server rejects our certificate: it names another application than we do", RENEW)
        }
        S::BadCertificateTimeInvalid if secured => (
            "the server rejects our certificate: by the server's clock it is not valid now",
            "Check the server's clock",
        ),
        S::BadCertificateRevoked if secured => ("the server rejects our certificate: it was revoked", RENEW),
        _ if secured && of_certificates => ("the server rejects our certificate", TRUST_OURS),
        _ if secured && closed => {
            ("the server closed the connection while it was being secured; it may not trust our certificate", LOOK)
        }
        S::BadTooManySessions | S::BadTcpServerTooBusy | S::BadMaxConnectionsReached => {
            ("the server has no session left", "Close other clients, or raise the server's limit")
        }
        S::BadServerHalted | S::BadShutdown => ("the server is shutting down", "Wait, or start it again"),
        _ => ("no session", REACH),
    };
    (who.into(), advice)
}

fn is_about_certificates(status: StatusCode) -> bool {
    use StatusCode as S;
    matches!(
        status,
        S::BadSecurityChecksFailed
            | S::BadCertificateUntrusted
            | S::BadCertificateInvalid
            | S::BadCertificateChainIncomplete
            | S::BadCertificateTimeInvalid
            | S::BadCertificateIssuerTimeInvalid
            | S::BadCertificateUseNotAllowed
            | S::BadCertificateRevoked
            | S::BadCertificateHostNameInvalid
            | S::BadCertificateUriInvalid
            | S::BadCertificateRevocationUnknown
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_who_refused_whom() {
        use StatusCode as S;
        let plain = Refusal { policy: SecurityPolicy::None, sends_issuers: false, own_expired: None, user: "" };
        let secured = Refusal { policy: SecurityPolicy::Basic256Sha256, ..plain };
        let (chain, old) = (Refusal { sends_issuers: true, ..secured }, Refusal { own_expired: Some(0), ..secured });
        for (status, known, expected) in [
            (S::BadUserAccessDenied, plain, "the server does not let this user in"),
            (S::BadSecurityChecksFailed, secured, "the server rejects our certificate"),
            (S::BadSecurityChecksFailed, old, "the server rejects our certificate, which expired on 1970"),
            (S::BadConnectionClosed, secured, "it may not trust our certificate"),
            (S::BadConnectionClosed, old, "expired on 1970"),
            (S::BadConnectionClosed, plain, "no session"),
            (S::BadCertificateTimeInvalid, secured, "by the server's clock"),
            (S::BadCertificateInvalid, chain, "we do not understand"),
            (S::BadTooManySessions, secured, "no session left"),
        ] {
            let (who, _) = who(status, &known);
            assert!(who.contains(expected), "{status}: {who}");
        }
    }
}
