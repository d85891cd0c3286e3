//! The devices of a configuration as simulators on loopback, and the configuration that leads to them.
//!
//! Every address that a tag names shows a signal. S7, Modbus TCP and RTU over TCP are served as they are, serial lines as
//! RTU on pseudo-terminals; the simulator knows neither TLS nor ASCII, so that such devices are served as TCP or RTU. OPC UA
//! is served without security and without users. What only the board itself has (GPIO, I2C, SPI, 1-wire) is left out.

mod signals;
mod modbus;
mod opcua;
mod s7;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use driver_core::{EndpointUrl, LineSpec};
use hardware_sim::faults::SerialJoint;
use hardware_sim::modbus::{ModbusServer, Plant};
use hardware_sim::opcua::{OpcUaPlc, OpcUaServer};
use hardware_sim::s7::S7Server;

use super::folder::Folder;
use crate::config::Config;

/// Options of a URL that mean nothing on the way to a simulator: those of security and of users.
const SECURITY_OPTIONS: [&str; 13] = [
    "ca",
    "cert",
    "key",
    "server_name",
    "policy",
    "mode",
    "user",
    "password_file",
    "password_env",
    "user_cert",
    "user_key",
    "pki",
    "pin",
];

/// Any speed: the pseudo-terminals are not paced.
const BAUD: u32 = 115_200;

/// Running simulators; they stop when it is dropped.
pub(super) struct Simulation {
    /// The URL as written, and the simulator's.
    replaced: Vec<(String, String)>,
    /// The URLs that no simulator serves.
    left_out: Vec<String>,
    /// What is served, and has no tags or values that could be made up.
    silent: Vec<String>,
    modbus: Vec<ModbusServer>,
    s7: Vec<S7Server>,
    opcua: Vec<OpcUaServer>,
    joints: Vec<SerialJoint>,
    folder: Folder,
}

/// How a URL is served.
enum Way {
    Modbus(Transport),
    S7,
    OpcUa,
}

/// What carries Modbus.
enum Transport {
    Tcp,
    RtuOverTcp,
    Serial,
}

impl Simulation {
    /// Starts a simulator for each line. A URL that stands at several lines is one simulator; one that none serves is left
    /// out.
    pub(super) async fn of(config: &Config) -> io::Result<Simulation> {
        let folder = Folder::make("sim")?;
        let (modbus, s7, opcua) = (Vec::new(), Vec::new(), Vec::new());
        let (replaced, left_out, silent, joints) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut simulation = Simulation { replaced, left_out, silent, modbus, s7, opcua, joints, folder };
        let mut done: Vec<&str> = Vec::new();
        for line in &config.lines {
            let url = line.spec.url.as_str();
            if done.contains(&url) {
                continue;
            }
            done.push(url);
            let lines = config.lines.iter().map(|line| &line.spec).filter(|other| other.url.as_str() == url);
            let place = match way(&line.spec.url) {
                None => {
                    simulation.left_out.push(url.to_owned());
                    continue;
                }
                Some(Way::S7) => simulation.serve_s7(&line.spec, lines).await?,
                Some(Way::OpcUa) => simulation.serve_opcua(lines).await?,
                Some(Way::Modbus(transport)) => simulation.serve_modbus(transport, lines).await?,
            };
            simulation.replaced.push((url.to_owned(), with_query(&place, &line.spec.url)));
        }
        Ok(simulation)
    }

    /// Says where the lines are served, all of which have the same URL.
    async fn serve_modbus<'c>(
        &mut self,
        transport: Transport,
        lines: impl Iterator<Item = &'c LineSpec>,
    ) -> io::Result<String> {
        let plant = Plant::new();
        lines.for_each(|line| modbus::put(&plant, line));
        let (server, place) = match transport {
            Transport::RtuOverTcp => {
                let server = ModbusServer::rtu_over_tcp(loopback(), plant).await?;
                let place = format!("modbus-rtu-over-tcp://{}", address(&server)?);
                (server, place)
            }
            Transport::Serial => {
                let folder = self.folder.path().join(format!("line{}", self.joints.len()));
                std::fs::create_dir_all(&folder)?;
                let joint = SerialJoint::open(&folder, None)?;
                let server = ModbusServer::rtu_at(&folder.join("server").to_string_lossy(), BAUD, plant)?;
                self.joints.push(joint);
                (server, format!("modbus-rtu://{}", folder.join("client").display()))
            }
            Transport::Tcp => {
                let server = ModbusServer::tcp(loopback(), plant).await?;
                let place = format!("modbus-tcp://{}", address(&server)?);
                (server, place)
            }
        };
        self.modbus.push(server);
        Ok(place)
    }

    /// As above.
    async fn serve_s7<'c>(&mut self, one: &LineSpec, lines: impl Iterator<Item = &'c LineSpec>) -> io::Result<String> {
        let plc = s7::plc(one);
        lines.for_each(|line| s7::put(&plc, line));
        let server = S7Server::start(loopback(), plc).await?;
        let place = format!("s7://{}", server.address());
        self.s7.push(server);
        Ok(place)
    }

    /// As above.
    async fn serve_opcua<'c>(&mut self, mut lines: impl Iterator<Item = &'c LineSpec>) -> io::Result<String> {
        let plc = OpcUaPlc::new();
        lines.try_for_each(|line| {
            self.silent.extend(opcua::silent(line));
            opcua::put(&plc, line)
        })?;
        let server = OpcUaServer::start(loopback(), plc).await?;
        // No server is talked to without security unless the URL says so.
        let place = format!("opc.tcp://{}?policy=none", server.address());
        self.opcua.push(server);
        Ok(place)
    }

    /// The text of the configuration with the simulators' URLs in place of the devices'.
    pub(super) fn rewritten(&self, text: &str) -> String {
        let mut replaced: Vec<&(String, String)> = self.replaced.iter().collect();
        // A URL may begin another: the longer one first.
        replaced.sort_by_key(|(written, _)| std::cmp::Reverse(written.len()));
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            match replaced.iter().find(|(written, _)| ends_there(rest, written)) {
                Some((written, place)) => {
                    out.push_str(place);
                    rest = &rest[written.len()..];
                }
                None => {
                    out.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        out
    }

    /// What is served where, a line each.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        self.replaced.iter().map(|(written, place)| format!("{written} is simulated at {place}"))
    }

    /// The URLs that no simulator serves; the new configuration leads where they led.
    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// What is served and stays empty, in words.
    pub(super) fn silent(&self) -> &[String] {
        &self.silent
    }
}

fn way(url: &EndpointUrl) -> Option<Way> {
    match (url.scheme(), url.host().is_empty()) {
        ("modbus-tcp" | "modbus-tls", _) | ("modbus-ascii", false) => Some(Way::Modbus(Transport::Tcp)),
        ("s7", _) => Some(Way::S7),
        ("opc.tcp", _) => Some(Way::OpcUa),
        ("modbus-rtu-over-tcp", _) => Some(Way::Modbus(Transport::RtuOverTcp)),
        ("modbus-rtu" | "modbus-ascii", true) => Some(Way::Modbus(Transport::Serial)),
        _ => None,
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn address(server: &ModbusServer) -> io::Result<SocketAddr> {
    server.address().ok_or_else(|| io::Error::other("the simulator listens nowhere"))
}

/// A place with the options of a URL that still mean something there.
fn with_query(place: &str, url: &EndpointUrl) -> String {
    let Some((_, query)) = url.as_str().split_once('?') else { return place.to_owned() };
    let kept = query.split('&').filter(|option| {
        let key = option.split('=').next().unwrap_or_default();
        !SECURITY_OPTIONS.contains(&key)
    });
    kept.fold(place.to_owned(), |place, option| {
        let mark = if place.contains('?') { '&' } else { '?' };
        format!("{place}{mark}{option}")
    })
}

/// Whether `rest` begins with this URL, and not with a longer one.
fn ends_there(rest: &str, url: &str) -> bool {
    let ends = |after: char| after.is_whitespace() || "\"',}]#".contains(after);
    rest.strip_prefix(url).is_some_and(|after| after.chars().next().is_none_or(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_urls_are_replaced() {
        let simulation = Simulation {
            replaced: vec![
                ("modbus-tcp://h".into(), "modbus-tcp://127.0.0.1:1".into()),
                ("modbus-tcp://h:5020?unit=2".into(), "modbus-tcp://127.0.0.1:2?unit=2".into()),
            ],
            left_out: Vec::new(),
            silent: Vec::new(),
            modbus: Vec::new(),
            s7: Vec::new(),
            opcua: Vec::new(),
            joints: Vec::new(),
            folder: Folder::make("only-whole-urls").expect("a folder"),
        };
        let text = "a: { url: modbus-tcp://h }\nb: {url: \"modbus-tcp://h:5020?unit=2\"}\nc: modbus-tcp://host\n";
        let expected = "a: { url: modbus-tcp://127.0.0.1:1 }\nb: {url: \"modbus-tcp://127.0.0.1:2?unit=2\"}\nc: modbus-tcp://host\n";
        assert_eq!(simulation.rewritten(text), expected);
    }

    #[test]
    fn what_concerns_security_is_left_out() {
        let url: EndpointUrl = "modbus-tls://h?ca=/x.pem&unit=3&key=/k".parse().expect("a URL");
        assert_eq!(with_query("modbus-tcp://127.0.0.1:1", &url), "modbus-tcp://127.0.0.1:1?unit=3");
        assert!(matches!(way(&url), Some(Way::Modbus(Transport::Tcp))));
        let url: EndpointUrl = "opc.tcp://h:4840/ua?policy=aes256&user=a&queue=10&read=poll".parse().expect("a URL");
        assert_eq!(with_query("opc.tcp://x?policy=none", &url), "opc.tcp://x?policy=none&queue=10&read=poll");
        assert!(matches!(way(&url), Some(Way::OpcUa)));
    }
}
