//! `forebay discover RANGE…`: which devices answer, per protocol.
//!
//! Gently: only the addresses that were named, each port once, so many new connections a second and no more, and nothing
//! is written. An address that does not take the connection is not asked for anything else.

mod opcua;
mod range;

use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use driver_core::{Contact, DeviceSpec, EndpointUrl, Fact, Line, LineSpec};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Exit;
use super::one_shot::block_on;
use super::stdout::print;
use super::units::Units;
use range::Range;

/// How many devices are spoken to at once.
const AT_ONCE_MAX: usize = 16;
/// The most addresses of one run: a /20.
const ADDRESSES_MAX: usize = 4_096;
/// How long a device may take for everything that it is asked.
const DEVICE_WITHIN: Duration = Duration::from_secs(60);
/// Where CPUs stand: S7-1200 and S7-1500, S7-300, S7-400 and others.
const S7_PLACES: [(u16, u16); 4] = [(0, 1), (0, 2), (0, 3), (0, 0)];

/// Find devices on the network: Modbus TCP units, S7 PLCs and OPC UA servers.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing but the ranges named is asked: an address (10.0.0.11), a block (10.0.0.0/24) or a range (10.0.0.10-10.0.0.50).
Each port is tried once, at most --rate connections a second. Modbus units are asked for one register, S7 PLCs for a
connection (ISO on TCP) at the usual slots, OPC UA servers for FindServers and GetEndpoints. Nothing is written. Ask whoever
runs the network before you use it there: some old devices take one connection only.
Exit codes: 0 something was found; 1 nothing was; 2 the command line is wrong.")]
pub(super) struct Args {
    /// Where to look, such as 10.0.0.0/24
    #[arg(required = true, value_name = "RANGE")]
    ranges: Vec<Range>,
    /// What to look for; without it for all
    #[arg(long, value_name = "PROTOCOL", value_delimiter = ',')]
    only: Vec<Protocol>,
    /// The Modbus units to ask, such as 1-16
    #[arg(long, value_name = "UNITS")]
    units: Option<Units>,
    /// New connections a second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// How long an answer may take, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    timeout: u64,
    /// The port of Modbus TCP
    #[arg(long, default_value_t = 502, value_name = "PORT")]
    modbus_port: u16,
    /// The port of S7
    #[arg(long, default_value_t = 102, value_name = "PORT")]
    s7_port: u16,
    /// The port of OPC UA
    #[arg(long, default_value_t = 4840, value_name = "PORT")]
    opcua_port: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Protocol {
    Modbus,
    S7,
    Opcua,
}

/// A device that answered.
#[derive(Debug)]
struct Found {
    protocol: Protocol,
    at: SocketAddr,
    /// The URL to use.
    url: String,
    facts: Vec<Fact>,
}

/// What one address and port is asked.
#[derive(Debug, Clone)]
struct Question {
    protocol: Protocol,
    at: SocketAddr,
    units: Units,
    within: Duration,
}

pub(super) fn run(args: &Args) -> Exit {
    let addresses: Vec<IpAddr> = args.ranges.iter().flat_map(Range::addresses).take(ADDRESSES_MAX + 1).collect();
    if addresses.len() > ADDRESSES_MAX {
        eprintln!("these are more than {ADDRESSES_MAX} addresses; name a smaller range");
        return Exit::Usage;
    }
    let questions = questions(args, &addresses);
    match block_on(ask_all(questions, args.rate)) {
        Ok(found) => {
            if args.json {
                print(&format!("{:#}\n", found.iter().map(described).collect::<Value>()));
            } else {
                found.iter().for_each(|found| print(&told(found)));
                eprintln!("{} addresses asked, {} devices found", addresses.len(), found.len());
            }
            if found.is_empty() { Exit::Incomplete } else { Exit::Success }
        }
        Err(exit) => exit,
    }
}

fn questions(args: &Args, addresses: &[IpAddr]) -> Vec<Question> {
    let ports =
        [(Protocol::Modbus, args.modbus_port), (Protocol::S7, args.s7_port), (Protocol::Opcua, args.opcua_port)];
    let wanted: Vec<_> =
        ports.into_iter().filter(|(protocol, _)| args.only.is_empty() || args.only.contains(protocol)).collect();
    let units = args.units.clone().unwrap_or_else(Units::first);
    let within = Duration::from_millis(args.timeout);
    // All ports of one address one after another, then the next address.
    let each =
        addresses.iter().flat_map(|address| wanted.iter().map(move |(protocol, port)| (*address, *protocol, *port)));
    each.map(|(address, protocol, port)| Question {
        protocol,
        at: SocketAddr::new(address, port),
        units: units.clone(),
        within,
    })
    .collect()
}

async fn ask_all(questions: Vec<Question>, rate: u32) -> Vec<Found> {
    let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut pace = interval(Duration::from_secs(1) / rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (all, is_shown) = (questions.len(), io::stderr().is_terminal());
    let (mut tasks, mut found) = (JoinSet::new(), Vec::new());
    for (place, question) in questions.into_iter().enumerate() {
        // The semaphore is never closed; without a turn one more would be asked at once.
        let turn = turns.clone().acquire_owned().await;
        pace.tick().await;
        tasks.spawn(async move {
            let answer = timeout(DEVICE_WITHIN, ask(question)).await.unwrap_or_default();
            drop(turn);
            (place, answer)
        });
        while let Some(outcome) = tasks.try_join_next() {
            found.push(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
        }
        if is_shown {
            eprint!("\r\x1b[K{} of {all} ports asked", place + 1);
        }
    }
    while let Some(outcome) = tasks.join_next().await {
        found.push(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
    }
    if is_shown {
        eprint!("\r\x1b[K");
    }
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().flat_map(|(_, found)| found).collect()
}

async fn ask(question: Question) -> Vec<Found> {
    let Ok(Ok(stream)) = timeout(question.within, TcpStream::connect(question.at)).await else { return Vec::new() };
    match question.protocol {
        Protocol::Opcua => opcua::ask(stream, question.at, question.within).await,
        Protocol::Modbus => {
            drop(stream);
            modbus(&question).await
        }
        Protocol::S7 => {
            drop(stream);
            s7(&question).await
        }
    }
}

/// Every unit is asked for one register; a refusal is an answer too.
async fn modbus(question: &Question) -> Vec<Found> {
    let units: Vec<u16> = question.units.list().collect();
    let devices = units.iter().map(|unit| DeviceSpec { unit: Some(*unit), ..DeviceSpec::default() });
    let Some(mut line) = line(&format!("modbus-tcp://{}", question.at), question.within, devices.collect()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (device, unit) in units.into_iter().enumerate() {
        if !line.is_connected() && line.connect().await.is_err() {
            break;
        }
        if !matches!(line.touch(device).await, Ok(Contact::Answered)) {
            continue;
        }
        let facts = line.identify(device).await.unwrap_or_default();
        let url = format!("modbus-tcp://{}?unit={unit}", shown(question.at, 502));
        found.push(Found { protocol: Protocol::Modbus, at: question.at, url, facts });
    }
    line.close().await;
    found
}

/// The first of the usual places that takes the connection.
async fn s7(question: &Question) -> Vec<Found> {
    for (rack, slot) in S7_PLACES {
        let query = format!("rack={rack}&slot={slot}");
        let Some(mut line) =
            line(&format!("s7://{}?{query}", question.at), question.within, vec![DeviceSpec::default()])
        else {
            continue;
        };
        if line.connect().await.is_err() {
            continue;
        }
        let facts = line.identify(0).await.unwrap_or_default();
        line.close().await;
        let url = format!("s7://{}?{query}", shown(question.at, 102));
        return vec![Found { protocol: Protocol::S7, at: question.at, url, facts }];
    }
    Vec::new()
}

fn line(url: &str, within: Duration, devices: Vec<DeviceSpec>) -> Option<Box<dyn Line>> {
    let url: EndpointUrl = url.parse().ok()?;
    drivers::by_scheme(url.scheme())?.line(&LineSpec { url, timeout: Some(within), devices }).ok()
}

/// The address, with the port where it is not the usual one.
fn shown(at: SocketAddr, usual: u16) -> String {
    match at {
        at if at.port() != usual => at.to_string(),
        SocketAddr::V6(at) => format!("[{}]", at.ip()),
        SocketAddr::V4(at) => at.ip().to_string(),
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Modbus => "Modbus TCP",
            Protocol::S7 => "S7",
            Protocol::Opcua => "OPC UA",
        }
    }
}

fn told(found: &Found) -> String {
    let facts: Vec<String> = found.facts.iter().map(|fact| format!("{} {}", fact.label, fact.text)).collect();
    let facts = if facts.is_empty() { String::new() } else { format!("  ({})", facts.join(", ")) };
    format!("{:<10}  {}{facts}\n", found.protocol.name(), found.url)
}

fn described(found: &Found) -> Value {
    let facts: serde_json::Map<String, Value> =
        found.facts.iter().map(|fact| (fact.label.clone(), json!(fact.text))).collect();
    json!({ "protocol": found.protocol.name(), "address": found.at.to_string(), "url": found.url, "facts": facts })
}

#[cfg(all(test, feature = "sim"))]
mod tests;
