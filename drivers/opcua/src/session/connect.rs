//! Opening a session: what the server offers, whom to trust, who we are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driver_core::{FarCertificate, LinkError};
use opcua::client::{Client, ClientBuilder, IdentityToken};
use opcua::crypto::{CertificateStore, SecurityPolicy};
use opcua::sync::RwLock;
use opcua::types::{EndpointDescription, Error, MessageSecurityMode, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use super::endpoint::choose;
use super::{Session, Verdict, verdict};
use crate::certificate::{Pki, Refused};
use crate::config::{Identity, OpcUaEndpoint, Secret};
use crate::plan::Limits;

/// How long opening a session may take, beside the making of a certificate.
const CONNECT_MAX: Duration = Duration::from_secs(20);
/// How long making our certificate may take.
const MAKE_MAX: Duration = Duration::from_secs(60);
/// How often the library looks whether the server is there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Looks without an answer that end the session.
const KEEP_ALIVE_FAILURES_MAX: u64 = 3;
/// Largest message that is taken.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
const CHUNKS_MAX: usize = 4_096;
const ARRAY_MAX: usize = 1_000_000;
/// Largest password, in bytes.
const PASSWORD_MAX: u64 = 4_096;

/// How long the reason of a failure is looked for.
const REASON_MAX: Duration = Duration::from_secs(2);

/// Numbers the sessions of this process.
static SESSIONS: AtomicU64 = AtomicU64::new(1);

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// Who refused whom, why, and the next step.
    pub async fn connect(endpoint: &OpcUaEndpoint) -> Result<Session, LinkError> {
        let pki = Pki::of(endpoint);
        let client = client(endpoint, &pki, None).map_err(|cause| refused(endpoint, cause, CONFIGURE))?;
        let deadline = Instant::now() + CONNECT_MAX;
        let offered = discover(&client, endpoint, deadline).await?;
        let chosen = choose(&offered, endpoint).map_err(|cause| refused(endpoint, cause, CONFIGURE))?;
        let own =
            if chosen.security_mode == MessageSecurityMode::None { None } else { Some(own(endpoint, &pki).await?) };
        if own.is_some() {
            let der = chosen.server_certificate.as_ref();
            pki.judge(der, &endpoint.host, now_s()).map_err(|Refused(cause)| refused(endpoint, cause, TRUST))?;
        }
        let identity = identity(endpoint).map_err(|cause| refused(endpoint, cause, CONFIGURE))?;
        let client = self::client(endpoint, &pki, own.clone()).map_err(|cause| refused(endpoint, cause, CONFIGURE))?;
        let store = store(&pki, own);
        let policy = SecurityPolicy::from_uri(chosen.security_policy_uri.as_ref());
        let built = client
            .session_builder()
            .connect_to_endpoint_directly(chosen)
            .and_then(|builder| builder.user_identity_token(identity).build(Arc::new(RwLock::new(store))));
        let (inner, events) = built.map_err(|error| refused(endpoint, error.to_string(), CONFIGURE))?;
        inner.disable_reconnects();
        let mut session = Session {
            inner: inner.clone(),
            task: events.spawn(),
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
            endpoint: endpoint.to_string(),
            timeout: endpoint.timeout,
            namespaces: Vec::new(),
            limits: Limits::default(),
            unanswered: 0,
            publishers: None,
        };
        // Both arms lose nothing when cancelled.
        let opened = tokio::select! {
            opened = timeout(CONNECT_MAX, inner.wait_for_connection()) => opened,
            ended = &mut session.task => {
                let status = ended.unwrap_or(StatusCode::BadUnexpectedError);
                return Err(not_opened(endpoint, status, policy));
            }
        };
        if !opened.unwrap_or(false) {
            return Err(silent(endpoint, CONNECT_MAX));
        }
        session.look_around().await?;
        Ok(session)
    }

    /// The certificate that the server shows.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn certificate(endpoint: &OpcUaEndpoint) -> Result<Option<FarCertificate>, LinkError> {
        let pki = Pki::of(endpoint);
        let client = client(endpoint, &pki, None).map_err(|cause| refused(endpoint, cause, CONFIGURE))?;
        let offered = discover(&client, endpoint, Instant::now() + CONNECT_MAX).await?;
        let mut certificates = offered.iter().map(|offered| offered.server_certificate.as_ref());
        let der = certificates.find(|der: &&[u8]| !der.is_empty());
        Ok(der.and_then(|der| pki.shown(der, &endpoint.host, now_s())))
    }
}

const CONFIGURE: &str = "Correct the device's URL in the configuration";
const TRUST: &str = "Compare the thumbprint with the one that the server shows, then `forebay trust URL`";
const REACH: &str = "Check that the server is running, its address and port, and firewalls between";

/// The endpoints of a server.
async fn discover(
    client: &Client,
    endpoint: &OpcUaEndpoint,
    deadline: Instant,
) -> Result<Vec<EndpointDescription>, LinkError> {
    match timeout_at(deadline, client.get_server_endpoints_from_url(endpoint.url.as_str())).await {
        Ok(Ok(offered)) if !offered.is_empty() => Ok(offered),
        Ok(Ok(_)) => Err(refused(endpoint, "the server offers no endpoint".into(), REACH)),
        Ok(Err(error)) if verdict(error.status()) == Verdict::Silent => Err(silent(endpoint, endpoint.timeout)),
        Ok(Err(error)) => Err(refused(endpoint, words(endpoint, &error).await, REACH)),
        Err(_) => Err(silent(endpoint, CONNECT_MAX)),
    }
}

/// Why the server was not reached, in the system's own words where it is that which says so.
async fn words(endpoint: &OpcUaEndpoint, error: &Error) -> String {
    let reached = timeout(REASON_MAX, tokio::net::TcpStream::connect((endpoint.host.as_str(), endpoint.port))).await;
    match reached {
        Ok(Err(cause)) => cause.to_string(),
        Err(_) => "the connection is not accepted, and not refused either".into(),
        Ok(Ok(_)) => error.to_string(),
    }
}

/// Our certificate and key; making them is computing, which must not hold up the thread.
async fn own(endpoint: &OpcUaEndpoint, pki: &Pki) -> Result<crate::config::KeyPair, LinkError> {
    let pki = pki.clone();
    let made = timeout(MAKE_MAX, tokio::task::spawn_blocking(move || pki.own())).await;
    let cause = match made {
        Ok(Ok(Ok(pair))) => return Ok(pair),
        Ok(Ok(Err(cause))) => cause,
        Ok(Err(panic)) => panic.to_string(),
        Err(_) => "making it took too long".into(),
    };
    let advice = "Make the folder writable, or name another with ?pki=FOLDER or ?cert=…&key=…";
    Err(refused(endpoint, format!("our application certificate: {cause}"), advice))
}

fn store(pki: &Pki, own: Option<crate::config::KeyPair>) -> CertificateStore {
    let (cert, key) = own.map_or((None, None), |pair| (Some(pair.cert), Some(pair.key)));
    let no_data: Option<opcua::crypto::X509Data> = None;
    let (mut store, ..) =
        CertificateStore::new_with_x509_data(&pki.accepted(), false, cert.as_deref(), key.as_deref(), no_data);
    // It was judged before it came here: the library knows neither pins nor our folders.
    store.set_trust_unknown_certs(true);
    store.set_skip_verify_certs(true);
    store
}

fn client(endpoint: &OpcUaEndpoint, pki: &Pki, own: Option<crate::config::KeyPair>) -> Result<Client, String> {
    let timeout_ms = u32::try_from(endpoint.session_timeout.as_millis()).unwrap_or(u32::MAX);
    let mut builder = ClientBuilder::new()
        .application_name("Forebay")
        .application_uri(pki.application_uri())
        .product_uri("urn:forebay")
        .session_name("Forebay")
        .pki_dir(pki.accepted())
        .create_sample_keypair(false)
        .trust_server_certs(true)
        .verify_server_certs(false)
        .session_retry_limit(0)
        .recreate_subscriptions(false)
        .request_timeout(endpoint.timeout)
        .session_timeout(timeout_ms)
        .keep_alive_interval(KEEP_ALIVE)
        .max_failed_keep_alive_count(KEEP_ALIVE_FAILURES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_chunk_count(CHUNKS_MAX)
        .max_array_length(ARRAY_MAX)
        .max_string_length(MESSAGE_BYTES_MAX)
        .max_byte_string_length(MESSAGE_BYTES_MAX);
    if let Some(pair) = own {
        builder = builder.certificate_path(pair.cert).private_key_path(pair.key);
    }
    builder.client().map_err(|errors| errors.join("; "))
}

/// Who we are, with the secret read now.
fn identity(endpoint: &OpcUaEndpoint) -> Result<IdentityToken, String> {
    match &endpoint.identity {
        Identity::Anonymous => Ok(IdentityToken::Anonymous),
        Identity::User(user, secret) => Ok(IdentityToken::new_user_name(user.clone(), password(secret)?)),
        Identity::Certificate(pair) => IdentityToken::new_x509_path(&pair.cert, &pair.key)
            .map_err(|error| format!("the user's certificate {} or its key: {error}", pair.cert.display())),
    }
}

fn password(secret: &Secret) -> Result<String, String> {
    match secret {
        Secret::Empty => Ok(String::new()),
        Secret::Env(name) => std::env::var(name).map_err(|_| format!("the variable {name} of the password is not set")),
        Secret::File(path) => {
            let told = |cause: &str| format!("the password's file {}: {cause}", path.display());
            let size = std::fs::metadata(path).map_err(|cause| told(&cause.to_string()))?.len();
            if size > PASSWORD_MAX {
                return Err(told("it is too large for a password"));
            }
            let text = std::fs::read_to_string(path).map_err(|cause| told(&cause.to_string()))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    }
}

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn refused(endpoint: &OpcUaEndpoint, cause: String, advice: &'static str) -> LinkError {
    LinkError::Connect { endpoint: endpoint.to_string(), cause, advice }
}

fn silent(endpoint: &OpcUaEndpoint, after: Duration) -> LinkError {
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    LinkError::Timeout { endpoint: endpoint.to_string(), after_ms, advice: REACH }
}

/// Who refused, as the status tells it.
fn not_opened(endpoint: &OpcUaEndpoint, status: StatusCode, policy: SecurityPolicy) -> LinkError {
    use StatusCode as S;
    let told = crate::wire::explain(status.bits());
    let secured = policy != SecurityPolicy::None;
    let (who, advice) = match status {
        S::BadUserAccessDenied | S::BadIdentityTokenRejected | S::BadIdentityTokenInvalid => {
            ("the server does not let this user in", "Check user and password, and the user's role in the server")
        }
        S::BadCertificateUriInvalid => (
            "the server rejects our certificate: it names another application than we do",
            "Renew it: remove the folder pki/own, and let the server trust the new one",
        ),
        S::BadSecurityChecksFailed
        | S::BadCertificateUntrusted
        | S::BadCertificateInvalid
        | S::BadCertificateChainIncomplete
        | S::BadCertificateTimeInvalid
        | S::BadCertificateUseNotAllowed
            if secured =>
        {
            (
                "the server rejects our certificate",
                "Trust it in the server: it lies in its folder of rejected certificates now; ours is pki/own/cert.der",
            )
        }
        S::BadConnectionClosed | S::BadSecureChannelClosed if secured => (
            "the server closed the connection while it was being secured; it may not trust our certificate",
            "Look for ours among those that the server rejected, and trust it there: pki/own/cert.der",
        ),
        S::BadTooManySessions | S::BadTcpServerTooBusy | S::BadMaxConnectionsReached => {
            ("the server has no session left", "Close other clients, or raise the server's limit")
        }
        S::BadServerHalted | S::BadShutdown => ("the server is shutting down", "Wait, or start it again"),
        _ => ("no session", REACH),
    };
    refused(endpoint, format!("{who}: {told}"), advice)
}
