//! What was configured for an MQTT uplink, understood.

use std::collections::VecDeque;
use std::time::Duration;

use driver_core::EndpointUrl;

use super::commands::Door;
use super::packet::{Qos, Retain, Version};
use super::session::Keeping;
use crate::pipeline::command::Role;
use crate::pipeline::forward::window::MESSAGES_MAX;
use crate::uplink::format::compressed::Compression;
use crate::uplink::sparkplug;
use crate::uplink::topic::{Rules, Template, own};
use crate::uplink::{Password, TlsFiles, UplinkError, UplinkSpec};

/// Batches by default: one message a reading costs the broker ten times as much.
const TOPIC: &str = "{gateway}/{device}";

const KEEP_ALIVE_DEFAULT_S: u16 = 30;
const KEEP_ALIVE_MIN_S: u16 = 2;
const SESSION_EXPIRY_DEFAULT_S: u32 = 24 * 3600;

/// The options in the URL's query.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("version", "3.1.1 or 5; without it 5 is tried first"),
    ("qos", "0 or 1 (default); with 0 messages are lost when the connection breaks"),
    ("keep_alive", "time after which a silent connection is probed, 2s to 18h (default 30s)"),
    ("client_id", "the name that the broker knows the gateway by (default: from its name and the uplink's)"),
    ("session_expiry", "how long the broker remembers the session, version 5 only (default 24h)"),
    ("window", "how many messages may wait for their acknowledgement, 1 to 1024 (default)"),
    (
        "commands",
        "the topic on which commands are taken, such as {gateway}/commands, or plant.commands in Kafka (default: none)",
    ),
    ("commands_role", "what the senders of commands may do: viewer, operator (default), engineer or admin"),
    ("compression", "none (default), gzip or zstd: how payloads are compressed"),
    sparkplug::OPTIONS[0],
    sparkplug::OPTIONS[1],
    sparkplug::OPTIONS[2],
    ("retain", "off (default) or values: the broker keeps the last live message of each topic for who comes later"),
    ("expires", "how long the broker keeps messages for a subscriber who is away, version 5 only (default: for ever)"),
    ("state", "retained (default), passing or off: the message on GATEWAY/$state that tells online and offline"),
];

/// Where and how to connect.
pub(super) struct Config {
    pub(super) gateway: Box<str>,
    pub(super) name: Box<str>,
    /// Scheme, host and port, for logs.
    pub(super) endpoint: Box<str>,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) tls: Option<TlsFiles>,
    /// The path of the WebSocket, where one is used.
    pub(super) websocket: Option<Box<str>>,
    /// `None` tries 5 and then 3.1.1.
    pub(super) version: Option<Version>,
    pub(super) qos: Qos,
    pub(super) keep_alive_s: u16,
    pub(super) client_id: Box<str>,
    pub(super) session_expiry_s: u32,
    pub(super) window: usize,
    /// What the broker keeps of the log's messages.
    pub(super) keeping: Keeping,
    /// The brokers that are tried when this one fails, in their order.
    pub(super) also: VecDeque<(Box<str>, u16)>,
    pub(super) compression: Option<Compression>,
    /// The topic of the gateway's state, and whether the broker keeps it.
    pub(super) state: Option<(Box<str>, Retain)>,
    pub(super) user: Option<Box<str>>,
    pub(super) password: Option<Password>,
    pub(super) identity: Box<str>,
    /// The topic for commands, where they are taken.
    pub(super) commands: Option<Door>,
    /// Whether readings go as Sparkplug, which fixes session and QoS.
    pub(super) is_sparkplug: bool,
}

/// The configuration and the topic's template; every wrong part is reported.
pub(super) fn check(spec: &UplinkSpec) -> Result<(Config, Template), Vec<UplinkError>> {
    let mut errors = Vec::new();
    let template = Template::parse(spec.topic.as_deref().unwrap_or(TOPIC), &spec.gateway, Rules::Mqtt);
    let template = template.map_err(|error| errors.push(error)).ok();
    let scheme = Scheme::of(&spec.url);
    let config = options(spec, scheme).map_err(|wrong| errors.extend(wrong)).ok();
    errors.extend(contradictions(spec, scheme));
    match (config, template) {
        (Some(config), Some(template)) if errors.is_empty() => Ok((config, template)),
        _ => Err(errors),
    }
}

#[derive(Debug, Clone, Copy)]
struct Scheme {
    port: u16,
    tls: bool,
    websocket: bool,
}

impl Scheme {
    fn of(url: &EndpointUrl) -> Scheme {
        match url.scheme() {
            "mqtts" => Scheme { port: 8883, tls: true, websocket: false },
            "ws" => Scheme { port: 80, tls: false, websocket: true },
            "wss" => Scheme { port: 443, tls: true, websocket: true },
            _ => Scheme { port: 1883, tls: false, websocket: false },
        }
    }
}

fn options(spec: &UplinkSpec, scheme: Scheme) -> Result<Config, Vec<UplinkError>> {
    let url = &spec.url;
    let mut options = url.options();
    let version = options.parse("version", "3.1.1 or 5", |text| match text {
        "3.1.1" | "3" | "4" => Some(Version::V311),
        "5" | "5.0" => Some(Version::V5),
        _ => None,
    });
    let qos = options.parse("qos", "0 or 1", |text| match text {
        "0" => Some(Qos::AtMostOnce),
        "1" => Some(Qos::AtLeastOnce),
        _ => None,
    });
    let keep_alive = options.parse("keep_alive", "a time from 2s to 18h", |text| {
        seconds(text).and_then(|s| u16::try_from(s).ok()).filter(|s| *s >= KEEP_ALIVE_MIN_S)
    });
    let session_expiry = options.parse("session_expiry", "a time such as 24h", seconds);
    let window = options.parse("window", "a number from 1 to 1024", |text| {
        text.parse().ok().filter(|window| (1..=MESSAGES_MAX).contains(window))
    });
    let compression = options.parse("compression", "none, gzip or zstd", |text| match text {
        "none" => Some(None),
        method => Compression::from_name(method).map(Some),
    });
    let retain = options.parse("retain", "off or values", |text| match text {
        "off" => Some(Retain::Pass),
        "values" => Some(Retain::Keep),
        _ => None,
    });
    let expires_s = options.parse("expires", "a time such as 1h", |text| seconds(text).filter(|s| *s > 0));
    let client_id = options.parse("client_id", "a name of at most 256 characters", |text| {
        (1..=256).contains(&text.len()).then(|| text.into())
    });
    let commands = options.text("commands").map(str::to_owned);
    let role = options.parse("commands_role", "viewer, operator, engineer or admin", Role::from_name);
    let state = options.parse("state", "retained, passing or off", |text| match text {
        "retained" => Some(Some(Retain::Keep)),
        "passing" => Some(Some(Retain::Pass)),
        "off" => Some(None),
        _ => None,
    });
    // They are the edge node's; here they are only known.
    for (option, _) in sparkplug::OPTIONS {
        options.text(option);
    }
    options.finish(OPTIONS).map_err(|wrong| wrong.into_iter().map(UplinkError::from).collect::<Vec<_>>())?;
    let role = role.unwrap_or(Role::Operator);
    let commands = commands.map(|topic| door(spec, &topic, role)).transpose().map_err(|wrong| vec![wrong])?;
    let port = url.port().unwrap_or(scheme.port);
    let also = url.hosts().into_iter().skip(1);
    let path = if url.path().is_empty() { "/mqtt" } else { url.path() };
    Ok(Config {
        gateway: spec.gateway.clone(),
        name: spec.name.clone(),
        endpoint: endpoint(url.scheme(), url.host(), port),
        host: url.host().into(),
        port,
        tls: scheme.tls.then(|| spec.tls.clone()),
        websocket: scheme.websocket.then(|| path.into()),
        version,
        qos: qos.unwrap_or(Qos::AtLeastOnce),
        keep_alive_s: keep_alive.unwrap_or(KEEP_ALIVE_DEFAULT_S),
        client_id: client_id.unwrap_or_else(|| default_client_id(&spec.gateway, &spec.name)),
        session_expiry_s: session_expiry.unwrap_or(SESSION_EXPIRY_DEFAULT_S),
        window: window.unwrap_or(MESSAGES_MAX),
        keeping: Keeping {
            retain: retain.unwrap_or(Retain::Pass),
            passing: own(&spec.gateway, "gap", Rules::Mqtt).into(),
            expires_s,
        },
        also: also.map(|(host, port)| (host.into(), port.unwrap_or(scheme.port))).collect(),
        compression: compression.flatten(),
        state: state
            .unwrap_or(Some(Retain::Keep))
            .map(|retain| (own(&spec.gateway, "state", Rules::Mqtt).into(), retain)),
        user: spec.user.clone(),
        password: spec.password.clone(),
        identity: spec.identity.clone(),
        commands,
        is_sparkplug: false,
    })
}

/// A broker as it stands in logs.
fn endpoint(scheme: &str, host: &str, port: u16) -> Box<str> {
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    format!("{scheme}://{bracketed}:{port}").into()
}

/// The topic for commands with the gateway's name in it.
fn door(spec: &UplinkSpec, topic: &str, role: Role) -> Result<Door, UplinkError> {
    let wrong = |message: String| UplinkError { key: "url", message };
    let template = Template::parse(topic, &spec.gateway, Rules::Mqtt)
        .map_err(|cause| wrong(format!("`commands` is no topic: {}", cause.message)))?;
    if template.has_tag() || template.render("a", "") != template.render("b", "") {
        return Err(wrong(
            "`commands` is one topic for all devices: of the names only {gateway} can stand in it".into(),
        ));
    }
    let topic = template.render("", "");
    let root = own(&spec.gateway, "", Rules::Mqtt).trim_end_matches("/$").into();
    let uplink = spec.name.clone();
    Ok(Door { answers: format!("{topic}/answers").into(), topic: topic.into(), root, role, uplink })
}

/// What each for itself is right and together makes no sense.
fn contradictions(spec: &UplinkSpec, scheme: Scheme) -> Vec<UplinkError> {
    let mut errors = Vec::new();
    let mut error = |key: &'static str, message: &str| errors.push(UplinkError { key, message: message.into() });
    if spec.url.host().is_empty() {
        error("url", "names no host; write, for example, mqtts://broker.example:8883");
    }
    if !scheme.websocket && !spec.url.path().is_empty() {
        error("url", "has a path, which only ws:// and wss:// can have; the topic stands under `topic`");
    }
    if spec.user.is_none() && spec.password.is_some() {
        error("password", "stands without `user`; MQTT needs both");
    }
    if !scheme.tls && spec.tls != TlsFiles::default() {
        error("url", "does not use TLS, though certificates are given; write mqtts:// or wss://");
    }
    let is_sparkplug = spec.format.as_deref() == Some(sparkplug::NAME);
    for (option, _) in sparkplug::OPTIONS {
        if !is_sparkplug && spec.url.options().text(option).is_some() {
            error("url", &format!("`{option}` stands without `format: {}`, which it is for", sparkplug::NAME));
        }
    }
    for (option, kept) in [("qos", "0"), ("compression", "none")] {
        if is_sparkplug && spec.url.options().text(option).is_some_and(|text| text != kept) {
            error(
                "url",
                &format!("`{option}` is {kept} with Sparkplug, and delivery is assured all the same; remove it"),
            );
        }
    }
    if spec.tls.cert.is_some() != spec.tls.key.is_some() {
        error("tls", "needs `cert` and `key` together");
    }
    errors
}

/// Stable, so that the broker finds the session again; slashes are not liked in access lists.
fn default_client_id(gateway: &str, uplink: &str) -> Box<str> {
    format!("{gateway}:{uplink}").replace(['/', '+', '#'], ":").into()
}

fn seconds(text: &str) -> Option<u32> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

impl Config {
    /// Goes on to the next broker, where there is one; the one that was left comes last.
    pub(super) fn next_broker(&mut self) {
        let Some((host, port)) = self.also.pop_front() else { return };
        let scheme = self.endpoint.split("://").next().unwrap_or_default().to_owned();
        self.also.push_back((std::mem::replace(&mut self.host, host), std::mem::replace(&mut self.port, port)));
        self.endpoint = endpoint(&scheme, &self.host, self.port);
    }

    /// What Sparkplug fixes: QoS 0 for data, no session at the broker, births and deaths instead of a state.
    pub(super) fn for_sparkplug(self) -> Config {
        Config { qos: Qos::AtMostOnce, state: None, is_sparkplug: true, ..self }
    }

    /// What the broker is told when the gateway goes, and when it is there.
    pub(super) fn state_payload(&self, state: &str) -> Vec<u8> {
        serde_json::json!({ "gateway": &*self.gateway, "uplink": &*self.name, "state": state }).to_string().into_bytes()
    }

    /// The keep-alive as a duration; the broker's own wins.
    pub(super) fn keep_alive(&self, brokers_s: Option<u16>) -> Duration {
        Duration::from_secs(u64::from(brokers_s.filter(|s| *s > 0).unwrap_or(self.keep_alive_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(url: &str) -> UplinkSpec {
        UplinkSpec::new("acme/line7", "cloud", url.parse().expect(url))
    }

    #[test]
    fn defaults_are_those_of_the_sample() {
        let (config, template) = check(&spec("mqtts://broker.example")).expect("a configuration");
        assert_eq!((&*config.endpoint, config.port), ("mqtts://broker.example:8883", 8883));
        assert_eq!((config.qos, config.keep_alive_s, config.version), (Qos::AtLeastOnce, 30, None));
        assert_eq!(&*config.client_id, "acme:line7:cloud");
        assert_eq!(config.state, Some(("acme/line7/$state".into(), Retain::Keep)));
        assert_eq!(template.render("press", "x"), "acme/line7/press");
        assert!(config.tls.is_some() && config.websocket.is_none());
    }

    #[test]
    fn options_are_understood() {
        let url = "ws://[::1]:9001/broker?version=3.1.1&qos=0&keep_alive=2m&client_id=me&window=8&state=off&session_expiry=1h";
        let (config, _) = check(&spec(url)).expect("a configuration");
        assert_eq!((&*config.endpoint, &*config.host), ("ws://[::1]:9001", "::1"));
        assert_eq!(config.websocket.as_deref(), Some("/broker"));
        assert_eq!((config.version, config.qos), (Some(Version::V311), Qos::AtMostOnce));
        assert_eq!((config.keep_alive_s, config.window, config.session_expiry_s), (120, 8, 3_600));
        assert_eq!((&*config.client_id, config.state), ("me", None));
    }

    #[test]
    fn commands_are_taken_where_a_topic_is_named() {
        let url = |option: &str| spec(&format!("mqtt://h?{option}"));
        assert_eq!(check(&url("qos=1")).expect("a configuration").0.commands, None);
        let (config, _) = check(&url("commands={gateway}/do&commands_role=engineer")).expect("a configuration");
        let door = config.commands.expect("a door");
        assert_eq!((&*door.topic, &*door.answers), ("acme/line7/do", "acme/line7/do/answers"));
        assert_eq!((&*door.root, &*door.uplink, door.role), ("acme/line7", "cloud", Role::Engineer));
        for (option, said) in [
            ("commands=a/+", "commands"),
            ("commands={device}/do", "only {gateway}"),
            ("commands=x&commands_role=boss", "commands_role"),
        ] {
            let errors = check(&url(option)).err().expect(option);
            assert!(errors[0].message.contains(said), "{option}: {errors:?}");
        }
    }

    #[test]
    fn brokers_follow_one_another_and_the_first_comes_again() {
        let (mut config, _) = check(&spec("mqtts://one.example,two.example,[::1]:9883")).expect("a configuration");
        let mut endpoints = Vec::new();
        for _ in 0..4 {
            endpoints.push(config.endpoint.to_string());
            config.next_broker();
        }
        let expected = ["mqtts://one.example:8883", "mqtts://two.example:8883", "mqtts://[::1]:9883"];
        assert_eq!(endpoints[..3], expected);
        assert_eq!(endpoints[3], expected[0]);
        for wrong in ["retain=all", "expires=0s"] {
            let said = check(&spec(&format!("mqtt://h?{wrong}"))).err().expect(wrong);
            assert!(said[0].message.contains(wrong.split('=').next().unwrap_or_default()), "{said:?}");
        }
    }

    #[test]
    fn every_wrong_part_is_reported_at_once() {
        let wrong = UplinkSpec {
            topic: Some("{devcie}".into()),
            password: Some(std::sync::Arc::new(|| Ok(Vec::new()))),
            tls: TlsFiles { cert: Some("c.pem".into()), ..TlsFiles::default() },
            ..spec("mqtt://h/path?qos=2&keepalive=5s")
        };
        let errors = check(&wrong).err().expect("errors");
        let keys: Vec<&str> = errors.iter().map(|error| error.key).collect();
        assert_eq!(keys, ["topic", "url", "url", "url", "password", "url", "tls"], "{errors:?}");
        assert!(errors.iter().any(|error| error.message.contains("keep_alive")), "{errors:?}");
    }
}
