//! What was configured for a Kafka uplink, understood.

use std::time::Duration;

use driver_core::EndpointUrl;

use super::batch::Compression;
use super::dress;
use super::login::Mechanism;
use crate::uplink::format::keyed;
use crate::uplink::{CONNECT_WITHIN, Password, TlsFiles, UplinkError, UplinkSpec};

/// The port of a broker that the URL names without one.
const PORT: u16 = 9092;

const BATCH_BYTES_DEFAULT: usize = 256 << 10;
const BATCH_BYTES_MIN: usize = 1 << 10;
/// As much as a broker takes by default (`message.max.bytes`), with room for what the envelope adds.
const BATCH_BYTES_MAX: usize = 1_000_000;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// What the way of a request and its answer may take, beyond what the broker was given.
const WAY_MAX: Duration = Duration::from_secs(5);

/// The options in the URL's query.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    (
        "sasl",
        "how `user` logs in: scram-sha-512 (default), scram-sha-256, plain, or oauthbearer with the token as password",
    ),
    ("compression", "of batches: zstd (default), lz4, snappy, gzip or none"),
    ("batch", "bytes of a batch before it is compressed, 1024 to 1000000 (default 262144)"),
    ("request_timeout", "how long an answer may take, and replicas may take to acknowledge, from 1s (default 30s)"),
    keyed::OPTIONS[0],
    keyed::OPTIONS[1],
    (
        "client_id",
        "the name that brokers know the gateway by, for quotas and logs (default: from its name and the uplink's)",
    ),
    dress::OPTIONS[0],
    dress::OPTIONS[1],
    dress::OPTIONS[2],
    dress::OPTIONS[3],
    dress::OPTIONS[4],
];

/// Where and how to connect, and how to produce.
#[derive(Clone)]
pub struct Config {
    /// The uplink's name.
    pub name: Box<str>,
    /// The gateway's name.
    pub gateway: Box<str>,
    /// The gateway's UUID.
    pub identity: Box<str>,
    /// Scheme and hosts, for logs.
    pub endpoint: Box<str>,
    /// Brokers that know the others.
    pub bootstrap: Vec<(String, u16)>,
    /// Certificates, where TLS is used.
    pub tls: Option<TlsFiles>,
    /// How to log in.
    pub login: Option<Login>,
    /// The name in requests.
    pub client_id: Box<str>,
    /// How batches are compressed.
    pub compression: Compression,
    /// Bytes of a batch before it is compressed.
    pub batch_bytes: usize,
    /// How long an answer may take, and replicas may take.
    pub timeout: Duration,
}

impl Config {
    /// How long an answer is waited for: as long as the broker may take, and for the way there and back as long again, at
    /// most 5 s.
    pub fn answer_within(&self) -> Duration {
        self.timeout + self.timeout.min(WAY_MAX)
    }

    /// How long what a broker answers without waiting for replicas is waited for.
    pub fn answer_soon(&self) -> Duration {
        self.answer_within().min(CONNECT_WITHIN)
    }
}

/// Who logs in, and how.
#[derive(Clone)]
pub struct Login {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The user; with OAUTHBEARER the token names who it is.
    pub user: Box<str>,
    /// The password or token, fetched at each connect.
    pub password: Password,
}

/// The configuration; every wrong part is reported.
///
/// # Errors
/// What is wrong, with the key.
pub fn check(spec: &UplinkSpec) -> Result<Config, Vec<UplinkError>> {
    let mut errors = Vec::new();
    let config = options(spec).map_err(|wrong| errors.extend(wrong)).ok();
    errors.extend(contradictions(spec));
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => Err(errors),
    }
}

fn options(spec: &UplinkSpec) -> Result<Config, Vec<UplinkError>> {
    let url = &spec.url;
    let mut options = url.options();
    let mechanism = options.parse("sasl", "scram-sha-512, scram-sha-256, plain or oauthbearer", Mechanism::parse);
    let compression = options.parse("compression", "zstd, lz4, snappy, gzip or none", Compression::parse);
    let batch = options.parse("batch", "a number of bytes from 1024 to 1000000", |text| {
        text.parse().ok().filter(|bytes| (BATCH_BYTES_MIN..=BATCH_BYTES_MAX).contains(bytes))
    });
    let timeout = options.duration("request_timeout").map(|timeout| timeout.max(TIMEOUT_MIN));
    let client_id = options.parse("client_id", "a name of at most 256 characters", |text| {
        (1..=256).contains(&text.len()).then(|| text.into())
    });
    let wants_login = options.has("sasl");
    keyed::take(&mut options);
    dress::take(&mut options);
    options.finish(OPTIONS).map_err(|wrong| wrong.into_iter().map(UplinkError::from).collect::<Vec<_>>())?;
    let login = login(spec, mechanism, wants_login)?;
    let hosts = url.hosts();
    Ok(Config {
        name: spec.name.clone(),
        gateway: spec.gateway.clone(),
        identity: spec.identity.clone(),
        endpoint: endpoint(url).into(),
        bootstrap: hosts.iter().map(|(host, port)| ((*host).to_owned(), port.unwrap_or(PORT))).collect(),
        tls: is_tls(url).then(|| spec.tls.clone()),
        login,
        client_id: client_id.unwrap_or_else(|| default_client_id(&spec.gateway, &spec.name)),
        compression: compression.unwrap_or(Compression::Zstd),
        batch_bytes: batch.unwrap_or(BATCH_BYTES_DEFAULT),
        timeout: timeout.unwrap_or(TIMEOUT_DEFAULT),
    })
}

fn login(spec: &UplinkSpec, mechanism: Option<Mechanism>, wanted: bool) -> Result<Option<Login>, Vec<UplinkError>> {
    let error = |key, message: &str| Err(vec![UplinkError { key, message: message.into() }]);
    let mechanism = mechanism.unwrap_or(Mechanism::ScramSha512);
    match (&spec.user, &spec.password) {
        (None, None) if wanted => error("url", "`sasl` stands without `user` and `password`: write who logs in"),
        (None, None) => Ok(None),
        (None, Some(password)) if mechanism == Mechanism::OauthBearer => {
            Ok(Some(Login { mechanism, user: "".into(), password: password.clone() }))
        }
        (Some(user), Some(password)) => Ok(Some(Login { mechanism, user: user.clone(), password: password.clone() })),
        (None, Some(_)) => error("password", "stands without `user`; a login needs both"),
        (Some(_), None) => error("user", "stands without `password`; a login needs both"),
    }
}

/// What each for itself is right and together makes no sense.
fn contradictions(spec: &UplinkSpec) -> Vec<UplinkError> {
    let mut errors = Vec::new();
    let mut error = |key: &'static str, message: &str| errors.push(UplinkError { key, message: message.into() });
    if spec.url.host().is_empty() {
        error("url", "names no host; write, for example, kafka://k1.example:9092,k2.example:9092");
    }
    if !spec.url.path().is_empty() {
        error("url", "has a path, which Kafka does not know; the topic stands under `topic`");
    }
    if !is_tls(&spec.url) && spec.tls != TlsFiles::default() {
        error("url", "does not use TLS, though certificates are given; write kafkas://");
    }
    if spec.tls.cert.is_some() != spec.tls.key.is_some() {
        error("tls", "needs `cert` and `key` together");
    }
    errors
}

fn is_tls(url: &EndpointUrl) -> bool {
    url.scheme() == "kafkas"
}

fn endpoint(url: &EndpointUrl) -> String {
    let host = |(host, port): (&str, Option<u16>)| {
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{bracketed}:{}", port.unwrap_or(PORT))
    };
    format!("{}://{}", url.scheme(), url.hosts().into_iter().map(host).collect::<Vec<_>>().join(","))
}

fn default_client_id(gateway: &str, uplink: &str) -> Box<str> {
    let mut id = format!("{gateway}:{uplink}").replace('/', ":");
    while id.len() > 256 {
        id.pop();
    }
    id.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str) -> UplinkSpec {
        UplinkSpec::new("acme/line7", "lake", url.parse().expect(url))
    }

    #[test]
    fn defaults_are_those_of_the_sample() {
        let config = check(&spec("kafka://k1,[::1]:9093")).expect("a configuration");
        assert_eq!(config.bootstrap, [("k1".to_owned(), 9092), ("::1".to_owned(), 9093)]);
        assert_eq!(&*config.endpoint, "kafka://k1:9092,[::1]:9093");
        assert_eq!((config.compression, config.batch_bytes), (Compression::Zstd, 262_144));
        assert_eq!((&*config.client_id, config.timeout.as_secs()), ("acme:line7:lake", 30));
        assert!(config.tls.is_none() && config.login.is_none());
    }

    #[test]
    fn every_wrong_part_is_reported_at_once() {
        let wrong = UplinkSpec {
            user: Some("me".into()),
            tls: TlsFiles { cert: Some("c.pem".into()), ..TlsFiles::default() },
            ..spec("kafka://h/path?compresion=zstd&sasl=magic&batch=5")
        };
        let errors = check(&wrong).err().expect("errors");
        let keys: Vec<&str> = errors.iter().map(|error| error.key).collect();
        assert_eq!(keys, ["url", "url", "url", "url", "url", "tls"], "{errors:?}");
        assert!(errors.iter().any(|error| error.message.contains("compression")), "{errors:?}");
        let halves = UplinkSpec { user: Some("me".into()), ..spec("kafka://h") };
        assert_eq!(check(&halves).err().expect("an error")[0].key, "user");
        assert_eq!(check(&spec("kafka://h?sasl=plain")).err().expect("an error").len(), 1);
    }
}
