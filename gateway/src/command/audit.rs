//! `forebay audit URL`: reads what a broker of MQTT receives or what stands in topics of Kafka, and proves that nothing is
//! missing.
//!
//! A gateway numbers its readings without holes; so whoever reads its topics can tell a loss without asking the gateway.
//! Messages go from [`mod@feed`] through [`content`] into the [`ledger`], whose accounts are pure; [`report`] prints them.

mod feed;
mod content;
mod time;
mod ledger;
mod account;
mod start;
mod ranges;
mod recent;
mod order;
mod quality;
mod latency;
mod report;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use driver_core::{Clock, EndpointUrl};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::feed::{Broker, Feed, Follow, From, Kafka, Left};
use self::ledger::{Ledger, Of, One};
use super::Exit;
use super::one_shot::block_on;
use super::stdout::print;
use crate::clock::WallClock;
use crate::config::Secret;
use crate::uplink::format::keyed;
use crate::uplink::kafka;
use crate::uplink::mqtt::Mqtt;
use crate::uplink::mqtt::subscriber::{Memory, Subscriber};
use crate::uplink::topic::{Rules, own};
use crate::uplink::{Password, TlsFiles, Uplink, UplinkError, UplinkSpec};

/// How long the audit waits at its end for readings that are on their way.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The longest time that can be asked for, seconds: a year.
const SECONDS_MAX: u64 = 366 * 24 * 3600;

/// Read what gateways sent to a broker, and prove that nothing is missing.
#[derive(clap::Args)]
#[command(after_help = "\
A reading is lost when its number is missing and no gap record declares it: so the topics must cover all devices of a
gateway. Gap records stand on GATEWAY/$gap: name the gateway where the topics do not cover them. The count begins with the first block of readings that is seen whole.
With --client-id the broker collects what arrives between two audits, so that the second one goes on where the first ended.
Of Kafka, all partitions of the topics are read, from their beginning or --from a time to where they end when the audit
begins, and with --seconds what comes afterwards; gap records stand in the same topics. Records in Avro and Protobuf are
told by their headers: for them --gateway is the UUID that `forebay audit` prints as the log.
Exit codes: 0 complete; 1 readings are missing, or numbers were given twice, or no reading arrived; 2 the command line is
wrong; 3 the broker cannot be reached or went away.")]
pub(super) struct Args {
    /// The broker, such as mqtts://broker.example:8883 or kafka://k1.example:9092
    url: String,
    /// The topics to read, such as 'acme/berlin/line7/#'; without it, all of the gateway, and forebay.readings of Kafka
    #[arg(long)]
    topic: Vec<String>,
    /// Of Kafka: records of this time and later, such as 2026-11-23T02:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only the readings of this gateway
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// End after this time; without it, at Ctrl-C
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=SECONDS_MAX))]
    seconds: Option<u64>,
    /// The broker keeps what arrives for this name while no audit runs
    #[arg(long, value_name = "NAME")]
    client_id: Option<String>,
    /// Who logs in
    #[arg(long)]
    user: Option<String>,
    /// A file that holds the password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// An environment variable that holds the password
    #[arg(long, value_name = "NAME", requires = "user", conflicts_with = "password_file")]
    password_env: Option<String>,
    /// Whom to trust (PEM); without it, whom the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate to show (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let feed = match feed(args) {
        Ok(feed) => feed,
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("{error}"));
            return Exit::Usage;
        }
    };
    match block_on(audit(args, feed)) {
        Ok(Ok(exit)) | Err(exit) => exit,
        Ok(Err(cause)) => {
            eprintln!("cannot listen for signals: {cause}");
            Exit::Failure
        }
    }
}

/// The way from the broker, not yet connected.
fn feed(args: &Args) -> Result<Feed, Vec<UplinkError>> {
    let url: EndpointUrl = args.url.parse().map_err(|error| vec![UplinkError::from(error)])?;
    let is_kafka = url.scheme().starts_with("kafka");
    if !is_kafka && !Mqtt.info().schemes.contains(&url.scheme()) {
        let message = "names no broker; write mqtt://, mqtts://, ws://, wss://, kafka:// or kafkas://".into();
        return Err(vec![UplinkError { key: "url", message }]);
    }
    let spec = UplinkSpec {
        user: args.user.as_deref().map(Into::into),
        password: password(args),
        tls: TlsFiles { ca: args.ca.clone(), cert: args.cert.clone(), key: args.key.clone() },
        ..UplinkSpec::new(args.gateway.as_deref().unwrap_or("forebay"), "audit", url)
    };
    if is_kafka {
        return kafka(args, &spec).map(|feed| Feed::Kafka(Box::new(feed)));
    }
    let wrong = |key, message: &str| Err(vec![UplinkError { key, message: message.into() }]);
    match args {
        Args { topic, gateway: None, .. } if topic.is_empty() => {
            return wrong("--topic", "is missing; name topics, or a gateway with --gateway");
        }
        Args { from: Some(_), .. } => return wrong("--from", "is for Kafka; a broker of MQTT keeps nothing"),
        _ => {}
    }
    if spec.password.is_some() && !["mqtts", "wss"].contains(&spec.url.scheme()) {
        eprintln!("the password travels in the clear; use mqtts:// or wss://");
    }
    let (client_id, memory) = match &args.client_id {
        Some(name) => (name.clone(), Memory::Kept),
        None => (format!("forebay-audit-{:016x}", RandomState::new().hash_one(std::process::id())), Memory::Connection),
    };
    let subscriber = Subscriber::new(&spec, &client_id, filters(args), memory)?;
    Ok(Feed::Broker(Box::new(Broker { subscriber, memory })))
}

/// The topics of Kafka, not yet connected.
fn kafka(args: &Args, spec: &UplinkSpec) -> Result<Kafka, Vec<UplinkError>> {
    let wrong = |key, message: String| vec![UplinkError { key, message }];
    let config = kafka::config::check(spec)?;
    if args.client_id.is_some() {
        return Err(wrong("--client-id", "is for MQTT; topics of Kafka keep what arrives".into()));
    }
    let from = match &args.from {
        None => From::Start,
        Some(text) => match time::parse(text) {
            Some(nanos) => From::Time(nanos.div_euclid(1_000_000)),
            None => {
                return Err(wrong("--from", format!("`{text}` is no time; write one such as 2026-11-23T02:00:00Z")));
            }
        },
    };
    let mut topics: Vec<Box<str>> = args.topic.iter().map(|topic| topic.as_str().into()).collect();
    if topics.is_empty() {
        topics.push(keyed::TOPIC.into());
    }
    let follow = if args.seconds.is_some() { Follow::Yes } else { Follow::No };
    Ok(Kafka::new(config, topics, from, follow))
}

fn password(args: &Args) -> Option<Password> {
    let file = args.password_file.clone().map(Secret::File);
    let secret = file.or_else(|| args.password_env.as_deref().map(|name| Secret::Env(name.into())))?;
    Some(Arc::new(move || secret.fetch()))
}

/// Topics that are asked for, with those on which the gateway tells of itself.
fn filters(args: &Args) -> Vec<Box<str>> {
    let mut filters: Vec<Box<str>> = args.topic.iter().map(|topic| topic.as_str().into()).collect();
    if let Some(gateway) = &args.gateway {
        let [gap, state] = ["gap", "state"].map(|word| own(gateway, word, Rules::Mqtt));
        let all = gap.replace("$gap", "#");
        if filters.is_empty() {
            filters.push(all.into());
        } else if !filters.iter().any(|filter| **filter == *all || **filter == *"#") {
            filters.extend([gap.into(), state.into()]);
        }
    }
    filters
}

/// Why listening ended.
enum Ended {
    /// The time was over, or somebody pressed Ctrl-C.
    Asked,
    /// Nothing more is on its way.
    Settled,
    /// The broker went away.
    Lost(String),
}

async fn audit(args: &Args, mut feed: Feed) -> io::Result<Exit> {
    let mut asked = Asked { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    if let Err(error) = feed.connect().await {
        eprintln!("{error}");
        return Ok(Exit::Failure);
    }
    let of = args.gateway.as_deref().map_or(Of::All, |name| Of::One(One::new(name)));
    let mut ledger = match feed {
        Feed::Broker(_) => Ledger::new(of),
        Feed::Kafka(_) => Ledger::whole(of),
    };
    let until = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let length = match (args.seconds, &feed) {
        (Some(seconds), _) => format!("for {seconds} s"),
        (None, Feed::Broker(_)) => "until Ctrl-C".to_owned(),
        (None, Feed::Kafka(_)) => "as it stands".to_owned(),
    };
    eprintln!("auditing {} {length}", feed.endpoint());
    let mut ended = listen(&mut feed, &mut ledger, until, &mut asked, |_| false).await;
    feed.settle(&mut ledger);
    ledger.freeze();
    if matches!((&ended, &feed), (Ended::Asked, Feed::Broker(_))) && ledger.lost() > 0 {
        eprintln!("waiting up to {} s for what may be on its way; Ctrl-C ends at once", SETTLE_WITHIN.as_secs());
        let until = Some(Instant::now() + SETTLE_WITHIN);
        ended = listen(&mut feed, &mut ledger, until, &mut asked, |ledger| ledger.lost() == 0).await;
    }
    if let Err(cause) = feed.close().await {
        eprintln!("{cause}");
    }
    print(&if args.json { format!("{:#}\n", report::json(&ledger)) } else { report::text(&ledger) });
    Ok(match ended {
        Ended::Lost(reason) => {
            eprintln!("the audit ended early: {reason}");
            Exit::Failure
        }
        Ended::Asked | Ended::Settled if ledger.is_complete() => Exit::Success,
        Ended::Asked | Ended::Settled => Exit::Incomplete,
    })
}

/// The ways in which a person or a service manager ends a command.
struct Asked {
    interrupt: Signal,
    terminate: Signal,
}

impl Asked {
    async fn comes(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Takes messages in until it is over.
async fn listen(
    feed: &mut Feed,
    ledger: &mut Ledger,
    until: Option<Instant>,
    asked: &mut Asked,
    is_settled: impl Fn(&Ledger) -> bool,
) -> Ended {
    let clock = WallClock::new();
    let begun = Instant::now();
    let progress = Progress::new(feed.left());
    let mut tick = interval(PROGRESS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Kept over ticks, because it may be calling a broker that went away.
        let mut next = pin!(feed.next());
        let arrived = loop {
            tokio::select! {
                arrived = &mut next => break arrived,
                () = asked.comes() => return progress.end(Ended::Asked),
                () = sleep_until(until.unwrap_or(begun)), if until.is_some() => return progress.end(Ended::Asked),
                _ = tick.tick() => progress.show(begun.elapsed(), ledger),
            }
        };
        match arrived {
            Ok(Some(heard)) => ledger.hear(&heard, clock.now().0.0),
            Ok(None) => return progress.end(Ended::Settled),
            Err(reason) => return progress.end(Ended::Lost(reason)),
        }
        if is_settled(ledger) {
            return progress.end(Ended::Settled);
        }
    }
}

/// A line on the terminal that is written over and over.
struct Progress {
    is_shown: bool,
    /// Records that are still to be read, where that is known.
    left: Option<Left>,
}

impl Progress {
    fn new(left: Option<Left>) -> Progress {
        Progress { is_shown: io::stderr().is_terminal(), left }
    }

    fn show(&self, since: Duration, ledger: &Ledger) {
        let readings = ledger.accounts().fold(0_u64, |sum, (_, account)| sum.saturating_add(account.readings));
        let (gateways, missing) = (ledger.accounts().count(), ledger.lost());
        let seconds = since.as_secs();
        let left = self.left.as_ref().map(|left| format!("  {} records to go", left.load(Ordering::Relaxed)));
        let left = left.unwrap_or_default();
        self.write(&format!("\r\x1b[K{seconds} s  {gateways} gateways  {readings} readings  {missing} missing{left}"));
    }

    fn end(&self, ended: Ended) -> Ended {
        self.write("\r\x1b[K");
        ended
    }

    /// A terminal that does not take the line loses nothing but the line.
    fn write(&self, text: &str) {
        if self.is_shown {
            eprint!("{text}");
        }
    }
}
