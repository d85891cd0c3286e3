//! `forebay demo`: a simulated plant, the gateway and a broker in one process, and a network between them that fails.

mod ledger;

use std::fmt::Arguments;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use hardware_sim::broker::{Broker, BrokerConfig, Message};
use hardware_sim::faults::{FaultProxy, Framing, Link};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use self::ledger::Ledger;
use super::Exit;
use super::folder::Folder;
use super::logging;
use super::one_shot::block_on;
use super::simulation::Simulation;
use super::stdout::print;
use crate::config::{self, Checked, Kinds, Source};
use crate::http::HttpThread;
use crate::pipeline::assemble;
use crate::pipeline::gateway::Gateway;

/// The plant, as its control engineer would describe it; hosts are put in as they are started.
const PLANT: &str = include_str!("demo/plant.yaml");

/// Where the status page is, unless a gateway has it already.
const PAGE: &str = "127.0.0.1:9470";

/// The network fails this long after the start …
const CUT_AFTER: Duration = Duration::from_secs(10);

/// … for this long …
const CUT_FOR: Duration = Duration::from_secs(5);

/// … and again after this long.
const CUT_EVERY: Duration = Duration::from_secs(30);

/// How long the readings that are on their way have at the end.
const LAST_WITHIN: Duration = Duration::from_secs(10);

/// More messages than one outage holds.
const WAITING_MAX: usize = 65_536;

/// Show the main job: a simulated plant, the gateway, a broker, and a network that fails; nothing to install.
#[derive(clap::Args)]
pub(super) struct Args {
    /// End after this many seconds instead of at Ctrl-C
    #[arg(long)]
    seconds: Option<u64>,
}

pub(super) fn run(args: &Args) -> Exit {
    match block_on(show(args)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(cause)) => {
            eprintln!("the demonstration cannot run: {cause}");
            Exit::Failure
        }
        Err(exit) => exit,
    }
}

async fn show(args: &Args) -> io::Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let folder = Folder::make("demo")?;
    let broker = Broker::start(loopback(), BrokerConfig::default()).await?;
    let network = FaultProxy::start(loopback(), broker.address(), Framing::Stream).await?;
    let plant = config::check(Source::new("the plant", PLANT), Kinds::of_this_build()).map_err(other)?;
    let simulation = Simulation::of(&plant.config).await?;
    let text = simulation.rewritten(PLANT).replace("mqtt://broker", &format!("mqtt://{}", network.address()));
    say(format_args!("A plant of simulated PLCs that speak Modbus, S7 and OPC UA, described by this file:\n\n{text}"));
    say(format_args!(
        "The uplink's way leads through a network that fails now and then. Its readings, as they reach the broker itself at \
         mqtt://{} (Ctrl-C ends it):\n",
        broker.address()
    ));

    let mut arrivals = broker.observe("demo/plant/+/+", WAITING_MAX);
    let (gateway, http) = start(&text, &folder)?;
    say(format_args!("Its status page: http://{}/\n", http.address()));
    let mut show =
        Show { ledger: Ledger::default(), network: &network, next: (Instant::now() + CUT_AFTER, Cut::Begins) };
    let end = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        // Every arm may be cancelled: a message that was not fetched waits.
        tokio::select! {
            Some(message) = arrivals.next() => show.arrived(&message),
            () = sleep_until(show.next.0) => show.turn(),
            () = sleep_until(end.unwrap_or_else(far)), if end.is_some() => break,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    network.link(Link::Up);
    say(format_args!("\n-- ending: what is on its way arrives"));
    let stopped = tokio::task::spawn_blocking(move || {
        http.stop();
        gateway.stop();
    });
    let patience = Instant::now() + LAST_WITHIN;
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            Some(message) = arrivals.next() => show.arrived(&message),
            _ = &mut stopped => break,
            () = sleep_until(patience) => break,
        }
    }
    while let Some(message) = arrivals.try_next() {
        show.arrived(&message);
    }
    say(format_args!("-- {}", show.tally()));
    Ok(if show.ledger.missing() == 0 && show.ledger.arrived() > 0 { Exit::Success } else { Exit::Failure })
}

fn start(text: &str, folder: &Folder) -> io::Result<(Gateway, HttpThread)> {
    let http = if TcpListener::bind(PAGE).is_ok() { PAGE } else { "127.0.0.1:0" };
    let buffer = folder.path().display();
    let text = format!("{text}\nbuffer: {{ path: \"{buffer}\" }}\nhttp: {{ listen: \"{http}\" }}\n");
    let Checked { config, lines, .. } =
        config::check(Source::new("the plant", &text), Kinds::of_this_build()).map_err(other)?;
    let events = logging::listen().map_err(other)?;
    let http = config.http.clone();
    let gateway = Gateway::start(assemble::setup(config, lines)).map_err(other)?;
    let http = http.start(gateway.vitals().clone(), events).map_err(other)?;
    Ok((gateway, http.ok_or_else(|| io::Error::other("the plant has no status page"))?))
}

/// A line for whoever watches.
fn say(line: Arguments<'_>) {
    print(&format!("{line}\n"));
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn other(cause: impl std::fmt::Display) -> io::Error {
    io::Error::other(cause.to_string())
}

fn far() -> Instant {
    Instant::now() + CUT_EVERY
}

/// What happens to the network next.
#[derive(Clone, Copy)]
enum Cut {
    Begins,
    Ends,
}

struct Show<'a> {
    ledger: Ledger,
    network: &'a FaultProxy,
    next: (Instant, Cut),
}

impl Show<'_> {
    fn arrived(&mut self, message: &Message) {
        let Ok(reading) = serde_json::from_slice::<serde_json::Value>(&message.payload) else {
            say(format_args!("{}: not JSON", message.topic));
            return;
        };
        let seq = reading["seq"].as_u64().unwrap_or_default();
        self.ledger.note(seq);
        let text = |key: &str| reading[key].as_str().unwrap_or_default().to_owned();
        let value = match &reading["value"] {
            serde_json::Value::Null => format!("bad: {}", text("reason")),
            value => format!("{value} {}", text("unit")),
        };
        let tag = format!("{}.{}", text("device"), text("tag"));
        say(format_args!("{}  #{seq:<6} {tag:<18} {}", text("time"), value.trim_end()));
    }

    fn turn(&mut self) {
        let now = Instant::now();
        match self.next.1 {
            Cut::Begins => {
                say(format_args!("\n-- {}", self.tally()));
                say(format_args!(
                    "-- the network to the broker is cut for {CUT_FOR:?}: polling goes on, readings wait in the log\n"
                ));
                self.network.link(Link::Refuse);
                self.next = (now + CUT_FOR, Cut::Ends);
            }
            Cut::Ends => {
                say(format_args!("-- the network is back\n"));
                self.network.link(Link::Up);
                self.next = (now + CUT_EVERY - CUT_FOR, Cut::Begins);
            }
        }
    }

    fn tally(&self) -> String {
        format!(
            "{} readings reached the broker, {} missing, {} twice",
            self.ledger.arrived(),
            self.ledger.missing(),
            self.ledger.doubled()
        )
    }
}
