//! The URL of an OPC UA line, understood: where it leads, how it is secured, who we are there, and how values are fetched.

mod options;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use driver_core::{EndpointUrl, Options, SpecError};

pub use options::{OPTIONS, SCHEMES};

/// The port of OPC UA over TCP.
const PORT: u16 = 4840;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const HISTORY_DEFAULT: Duration = Duration::from_secs(86_400);
const REBROWSE_DEFAULT: Duration = Duration::from_secs(600);
const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// A line: what its URL says.
#[derive(Debug, Clone, PartialEq)]
pub struct OpcUaEndpoint {
    /// The URL without options, as it is sent to the server.
    pub url: String,
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port; 4840 is the protocol's.
    pub port: u16,
    /// Which security policy.
    pub policy: Policy,
    /// Whether messages are signed and encrypted.
    pub mode: Mode,
    /// Who we are to the server.
    pub identity: Identity,
    /// Our application certificate and its key, where they are not our own making.
    pub application: Option<KeyPair>,
    /// The folder of certificates; `None` is the usual one.
    pub pki: Option<PathBuf>,
    /// The SHA-1 thumbprint of the only certificate that is accepted, lower case without colons.
    pub pin: Option<String>,
    /// The name that the server's certificate bears, where it is not the URL's host.
    pub server_name: Option<String>,
    /// Whether an authority's list of revoked certificates has to be there.
    pub revocation: Revocation,
    /// How values are fetched.
    pub read: ReadMode,
    /// Which time a reading bears.
    pub time: TimeSource,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long the server keeps a session of which it hears nothing.
    pub session_timeout: Duration,
    /// How often the server looks at a value that is subscribed to; `None` is the group's interval.
    pub sampling: Option<Duration>,
    /// Who keeps deadbands.
    pub deadband: DeadbandKeeper,
    /// How often the address space is looked through again where patterns point.
    pub rebrowse: Duration,
    /// How far back a gap is filled from the server's history; zero: not at all.
    pub history: Duration,
    /// How many values the server keeps for each subscribed tag between two notifications.
    pub queue: u32,
}

/// A security policy (Part 7, 6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The strongest that the server offers, of those that are still secure.
    #[default]
    Auto,
    /// No security.
    None,
    /// Basic256Sha256.
    Basic256Sha256,
    /// Aes128-Sha256-RsaOaep.
    Aes128,
    /// Aes256-Sha256-RsaPss.
    Aes256,
    /// Basic256, which uses SHA-1: only where the server has nothing better.
    Basic256,
    /// Basic128Rsa15, which uses SHA-1 and PKCS #1 1.5: only where the server has nothing better.
    Basic128Rsa15,
}

/// What is done to each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Signed and encrypted; with the policy `none` nothing.
    #[default]
    Auto,
    /// Signed, but to be read by anyone.
    Sign,
    /// Signed and encrypted.
    Encrypt,
}

/// Who we are to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user with a password.
    User(String, Secret),
    /// A user with a certificate.
    Certificate(KeyPair),
}

/// Where a secret lies; it is read at each connect and never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// A file, without the line's end.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// There is none: an empty password.
    Empty,
}

/// A certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, DER or PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// Whether a certificate that an authority issued is accepted without the authority's list of revoked ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Revocation {
    /// It is not.
    #[default]
    Required,
    /// It is; a list that is there counts all the same.
    IfPresent,
}

/// Who keeps the deadbands of tags. The gateway does in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeadbandKeeper {
    /// It alone.
    #[default]
    Gateway,
    /// The server too, where it takes one and nothing here needs the small changes.
    Server,
}

/// How values are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// The server tells what changes.
    #[default]
    Subscribe,
    /// Every value is read each interval.
    Poll,
}

/// Which time a reading bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeSource {
    /// When the value was taken, as its source says; the server's time where it has none, then the arrival.
    #[default]
    Source,
    /// When the server had it.
    Server,
    /// When it arrived here.
    Arrival,
}

const PIN: &str = "a SHA-1 thumbprint of 40 hexadecimal digits, with or without colons";
const HISTORY: &str = "a time with its unit, such as 60min, or off";

impl OpcUaEndpoint {
    /// Understands a URL. `timeout` overrides the URL's.
    ///
    /// # Errors
    /// Every wrong part of the URL.
    pub fn parse(url: &EndpointUrl, timeout: Option<Duration>) -> Result<OpcUaEndpoint, Vec<SpecError>> {
        let mut options = url.options();
        let endpoint = OpcUaEndpoint::of(url, timeout, &mut options);
        let mut errors = Vec::new();
        if url.host().is_empty() {
            errors.push(url.host_error("name the host, such as opc.tcp://10.0.0.12:4840"));
        }
        if let Err(more) = options.finish(OPTIONS) {
            errors.extend(more);
        }
        if errors.is_empty() { Ok(endpoint) } else { Err(errors) }
    }

    /// What the options say; wrong ones are as if they were not there, and told of when they are finished.
    fn of(url: &EndpointUrl, timeout: Option<Duration>, options: &mut Options<'_>) -> OpcUaEndpoint {
        let policy = options.parse("policy", options::POLICIES, policy).unwrap_or_default();
        let mode = options.parse("mode", "encrypt or sign", mode).unwrap_or_default();
        if policy == Policy::None && mode != Mode::Auto {
            options.error("mode", "with policy=none nothing is signed or encrypted: leave `mode` away");
        }
        let own_timeout = options.duration("timeout");
        let mut endpoint = OpcUaEndpoint {
            url: String::new(),
            host: url.host().into(),
            port: url.port().unwrap_or(PORT),
            policy,
            mode,
            identity: identity(options),
            application: key_pair(options, "cert", "key"),
            pki: options.text("pki").map(PathBuf::from),
            pin: options.parse("pin", PIN, thumbprint),
            server_name: options.text("server_name").map(str::to_owned),
            revocation: options.parse("revocation", "required or if-present", revocation).unwrap_or_default(),
            read: options.parse("read", "subscribe or poll", read_mode).unwrap_or_default(),
            time: options.parse("time", "source, server or arrival", time_source).unwrap_or_default(),
            timeout: timeout.or(own_timeout).unwrap_or(TIMEOUT_DEFAULT),
            session_timeout: options.duration("session_timeout").unwrap_or(SESSION_TIMEOUT_DEFAULT),
            sampling: options.duration("sampling"),
            deadband: options.parse("deadband", "gateway or server", deadband_keeper).unwrap_or_default(),
            history: options.parse("history", HISTORY, history).unwrap_or(HISTORY_DEFAULT),
            rebrowse: options.duration("rebrowse").unwrap_or(REBROWSE_DEFAULT),
            queue: options.parse("queue", "a number from 1 to 1000", queue).unwrap_or(1),
        };
        endpoint.url = format!("opc.tcp://{endpoint}{}", url.path());
        endpoint
    }
}

impl fmt::Display for OpcUaEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn policy(text: &str) -> Option<Policy> {
    Some(match text.to_ascii_lowercase().as_str() {
        "auto" => Policy::Auto,
        "none" => Policy::None,
        "basic256sha256" => Policy::Basic256Sha256,
        "aes128" | "aes128-sha256-rsaoaep" => Policy::Aes128,
        "aes256" | "aes256-sha256-rsapss" => Policy::Aes256,
        "basic256" => Policy::Basic256,
        "basic128rsa15" => Policy::Basic128Rsa15,
        _ => return None,
    })
}

fn mode(text: &str) -> Option<Mode> {
    match text {
        "sign" => Some(Mode::Sign),
        "encrypt" => Some(Mode::Encrypt),
        _ => None,
    }
}

fn revocation(text: &str) -> Option<Revocation> {
    match text {
        "required" => Some(Revocation::Required),
        "if-present" => Some(Revocation::IfPresent),
        _ => None,
    }
}

fn read_mode(text: &str) -> Option<ReadMode> {
    match text {
        "subscribe" => Some(ReadMode::Subscribe),
        "poll" => Some(ReadMode::Poll),
        _ => None,
    }
}

fn time_source(text: &str) -> Option<TimeSource> {
    match text {
        "source" => Some(TimeSource::Source),
        "server" => Some(TimeSource::Server),
        "arrival" => Some(TimeSource::Arrival),
        _ => None,
    }
}

fn deadband_keeper(text: &str) -> Option<DeadbandKeeper> {
    match text {
        "gateway" => Some(DeadbandKeeper::Gateway),
        "server" => Some(DeadbandKeeper::Server),
        _ => None,
    }
}

fn history(text: &str) -> Option<Duration> {
    if text == "off" { Some(Duration::ZERO) } else { driver_core::parse_duration(text) }
}

fn queue(text: &str) -> Option<u32> {
    text.parse().ok().filter(|queue| (1..=1000).contains(queue))
}

/// Lower case without colons.
fn thumbprint(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    (digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(digits)
}

fn identity(options: &mut Options<'_>) -> Identity {
    let user = options.text("user").map(str::to_owned);
    let file = options.text("password_file").map(|path| Secret::File(path.into()));
    let env = options.text("password_env").map(|name| Secret::Env(name.into()));
    let certificate = key_pair(options, "user_cert", "user_key");
    if file.is_some() && env.is_some() {
        options.error("password_env", "the password lies in a file or in the environment: give one of the two");
    }
    match (user, file.or(env), certificate) {
        (Some(_), _, Some(_)) => {
            options.error("user", "the user shows a password or a certificate: give `user` or `user_cert`, not both");
            Identity::Anonymous
        }
        (Some(user), secret, None) => Identity::User(user, secret.unwrap_or(Secret::Empty)),
        (None, Some(_), _) => {
            options.error("password_file", "a password needs its `user`");
            Identity::Anonymous
        }
        (None, None, Some(pair)) => Identity::Certificate(pair),
        (None, None, None) => Identity::Anonymous,
    }
}

fn key_pair(options: &mut Options<'_>, cert: &str, key: &str) -> Option<KeyPair> {
    match (options.text(cert), options.text(key)) {
        (Some(cert), Some(key)) => Some(KeyPair { cert: cert.into(), key: key.into() }),
        (Some(_), None) => {
            options.error(cert, format!("`{cert}` needs `{key}`, the file with its private key"));
            None
        }
        (None, Some(_)) => {
            options.error(key, format!("`{key}` needs `{cert}`, the file with the certificate"));
            None
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<OpcUaEndpoint, Vec<SpecError>> {
        OpcUaEndpoint::parse(&text.parse().expect("a URL"), None)
    }

    #[test]
    fn what_is_not_said_has_a_default_that_works() {
        let endpoint = parse("opc.tcp://10.0.0.12").expect("an endpoint");
        assert_eq!(endpoint.url, "opc.tcp://10.0.0.12:4840");
        assert_eq!(
            (endpoint.policy, endpoint.mode, &endpoint.identity, endpoint.read),
            (Policy::Auto, Mode::Auto, &Identity::Anonymous, ReadMode::Subscribe)
        );
        let endpoint = parse("opc.tcp://[::1]:4841/ua/press?policy=none&read=poll&timeout=2s").expect("an endpoint");
        assert_eq!(endpoint.url, "opc.tcp://[::1]:4841/ua/press");
        assert_eq!((endpoint.policy, endpoint.read, endpoint.timeout.as_secs()), (Policy::None, ReadMode::Poll, 2));
    }

    #[test]
    fn who_we_are_is_a_user_or_a_certificate() {
        let identity = |text: &str| parse(text).map(|endpoint| endpoint.identity).expect(text);
        assert_eq!(
            identity("opc.tcp://h?user=ot&password_env=PW"),
            Identity::User("ot".into(), Secret::Env("PW".into()))
        );
        let pair = KeyPair { cert: "/u.der".into(), key: "/u.pem".into() };
        assert_eq!(identity("opc.tcp://h?user_cert=/u.der&user_key=/u.pem"), Identity::Certificate(pair));
        let pin =
            parse("opc.tcp://h?pin=AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD").expect("one").pin;
        assert_eq!(pin.as_deref(), Some("aabbccddeeff00112233445566778899aabbccdd"));
    }

    #[test]
    fn every_wrong_part_is_reported() {
        for (text, expected) in [
            ("opc.tcp://", "name the host"),
            ("opc.tcp://h?policy=basic", "basic256sha256"),
            ("opc.tcp://h?policy=none&mode=sign", "leave `mode` away"),
            ("opc.tcp://h?password_file=/p", "needs its `user`"),
            ("opc.tcp://h?user=a&password_file=/p&password_env=P", "one of the two"),
            ("opc.tcp://h?user=a&user_cert=/c&user_key=/k", "not both"),
            ("opc.tcp://h?cert=/c", "needs `key`"),
            ("opc.tcp://h?user_key=/c", "needs `user_cert`"),
            ("opc.tcp://h?pin=aa", "40 hexadecimal"),
            ("opc.tcp://h?read=sometimes", "subscribe or poll"),
            ("opc.tcp://h?revocation=off", "required or if-present"),
            ("opc.tcp://h?time=now", "source, server or arrival"),
            ("opc.tcp://h?deadband=both", "gateway or server"),
            ("opc.tcp://h?queue=0", "1 to 1000"),
            ("opc.tcp://h?history=some", "such as 60min, or off"),
            ("opc.tcp://h?polcy=none", "did you mean `policy`"),
        ] {
            let errors = parse(text).expect_err(text);
            assert!(errors.iter().any(|error| error.message.contains(expected)), "{text}: {errors:?}");
        }
    }
}
