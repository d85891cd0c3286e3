//! Opening a session: what the server offers, whom to trust, who we are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driver_core::{FarCertificate, LinkError, Timestamp};
use opcua::client::{Client, ClientBuilder, IdentityToken, Session as UaSession};
use opcua::crypto::{CertificateStore, SecurityPolicy};
use opcua::sync::RwLock;
use opcua::types::{EndpointDescription, Error, MessageSecurityMode, StatusCode};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::endpoint::choose;
use super::publish::Acks;
use super::refusal::{Refusal, about, not_opened};
use super::{Session, Verdict, verdict};
use crate::certificate::{Pki, Refused, Shown};
use crate::config::{Identity, KeyPair, OpcUaEndpoint, Policy, Secret};
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

/// So long before its end our certificate is warned of, in seconds.
const OWN_ENDS_SOON_S: i64 = 60 * 86_400;
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
        let chosen = choose_offered(endpoint, &pki).await?;
        let own = introduce(endpoint, &pki, &chosen).await?;
        let refusal = Refusal {
            policy: SecurityPolicy::from_uri(chosen.security_policy_uri.as_ref()),
            sends_issuers: shown(&chosen).issuers() > 0,
            own_expired: pki.own_expires_s().filter(|end| *end < now_s()),
            user: about(&endpoint.identity),
        };
        let (inner, task) = prepare(endpoint, &pki, chosen, own)?;
        let mut session = Session {
            inner,
            task,
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
            endpoint: endpoint.to_string(),
            timeout: endpoint.timeout,
            namespaces: Vec::new(),
            limits: Limits::default(),
            server_started: None,
            unanswered: 0,
            publishers: None,
            acks: Acks::default(),
        };
        session.wait_until_open(endpoint, &refusal).await?;
        session.look_around().await?;
        warn_of_end(&pki, endpoint);
        Ok(session)
    }

    async fn wait_until_open(&mut self, endpoint: &OpcUaEndpoint, refusal: &Refusal) -> Result<(), LinkError> {
        // Both arms lose nothing when cancelled.
        let opened = tokio::select! {
            opened = timeout(CONNECT_MAX, self.inner.wait_for_connection()) => opened,
            ended = &mut self.task => {
                let status = ended.unwrap_or(StatusCode::BadUnexpectedError);
                return Err(not_opened(endpoint, status, refusal));
            }
        };
        if opened.unwrap_or(false) { Ok(()) } else { Err(silent(endpoint, CONNECT_MAX)) }
    }

    /// The certificate that the server shows.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn certificate(endpoint: &OpcUaEndpoint) -> Result<Option<FarCertificate>, LinkError> {
        let pki = Pki::of(endpoint);
        let client = client(endpoint, &pki, None).map_err(|cause| refused(endpoint, cause, CONFIGURE))?;
        let offered = discover(&client, endpoint, Instant::now() + CONNECT_MAX).await?;
        let certified = offered.iter().map(shown).find(|shown| !shown.der.is_empty());
        Ok(certified.and_then(|shown| pki.describe(shown, now_s())))
    }
}

/// What the server offers that is as the URL wants it.
async fn choose_offered(endpoint: &OpcUaEndpoint, pki: &Pki) -> Result<EndpointDescription, LinkError> {
    let client = client(endpoint, pki, None).map_err(|cause| refused(endpoint, cause, CONFIGURE))?;
    let offered = discover(&client, endpoint, Instant::now() + CONNECT_MAX).await?;
    choose(&offered, endpoint).map_err(|cause| refused(endpoint, cause, CONFIGURE))
}

/// Our certificate, where the channel takes one; after the server's was found to be trusted.
async fn introduce(
    endpoint: &OpcUaEndpoint,
    pki: &Pki,
    chosen: &EndpointDescription,
) -> Result<Option<KeyPair>, LinkError> {
    if chosen.security_mode == MessageSecurityMode::None {
        return Ok(None);
    }
    let own = own(endpoint, pki).await?;
    let judged = pki.judge(shown(chosen), now_s());
    judged.map_err(|Refused { cause, advice }| refused(endpoint, cause, advice))?;
    Ok(Some(own))
}

/// The library's session and its task, which opens it.
fn prepare(
    endpoint: &OpcUaEndpoint,
    pki: &Pki,
    mut chosen: EndpointDescription,
    own: Option<KeyPair>,
) -> Result<(Arc<UaSession>, JoinHandle<StatusCode>), LinkError> {
    let wrong = |cause| refused(endpoint, cause, CONFIGURE);
    if let Some(alone) = shown(&chosen).alone() {
        chosen.server_certificate = alone.into();
    }
    let identity = identity(endpoint).map_err(wrong)?;
    let client = client(endpoint, pki, own.clone()).map_err(wrong)?;
    let store = Arc::new(RwLock::new(store(pki, own)));
    let builder = client.session_builder().connect_to_endpoint_directly(chosen);
    let built = builder.and_then(|builder| builder.user_identity_token(identity).build(store));
    let (inner, events) = built.map_err(|error| wrong(error.to_string()))?;
    inner.disable_reconnects();
    Ok((inner, events.spawn()))
}

/// Our certificate is running out: said once a session, while there is time to do something about it.
fn warn_of_end(pki: &Pki, endpoint: &OpcUaEndpoint) {
    if let Some(end) = pki.own_expires_s().filter(|end| *end < now_s() + OWN_ENDS_SOON_S)
        && endpoint.policy != Policy::None
    {
        let end = Timestamp(end.saturating_mul(1_000_000_000));
        tracing::warn!(%endpoint, "our application certificate ends on {end}: `forebay trust URL --renew` makes it anew");
    }
}

const CONFIGURE: &str = "Correct the device's URL in the configuration";
pub(super) const REACH: &str = "Check that the server is running, its address and port, and firewalls between";

fn shown(endpoint: &EndpointDescription) -> Shown<'_> {
    Shown { der: endpoint.server_certificate.as_ref(), application_uri: endpoint.server.application_uri.as_ref() }
}

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
async fn own(endpoint: &OpcUaEndpoint, pki: &Pki) -> Result<KeyPair, LinkError> {
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

fn store(pki: &Pki, own: Option<KeyPair>) -> CertificateStore {
    let (cert, key) = own.map_or((None, None), |pair| (Some(pair.cert), Some(pair.key)));
    let no_data: Option<opcua::crypto::X509Data> = None;
    let (mut store, ..) =
        CertificateStore::new_with_x509_data(&pki.accepted(), false, cert.as_deref(), key.as_deref(), no_data);
    // It was judged before it came here: the library knows neither pins nor our folders.
    store.set_trust_unknown_certs(true);
    store.set_skip_verify_certs(true);
    store
}

fn client(endpoint: &OpcUaEndpoint, pki: &Pki, own: Option<KeyPair>) -> Result<Client, String> {
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

pub(super) fn refused(endpoint: &OpcUaEndpoint, cause: String, advice: &'static str) -> LinkError {
    LinkError::Connect { endpoint: endpoint.to_string(), cause, advice }
}

fn silent(endpoint: &OpcUaEndpoint, after: Duration) -> LinkError {
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    LinkError::Timeout { endpoint: endpoint.to_string(), after_ms, advice: REACH }
}
