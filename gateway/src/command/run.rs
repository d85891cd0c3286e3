//! `forebay run`: the gateway, until it is told to stop.

use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::Exit;
use super::logging;
use super::one_shot::block_on;
use crate::config::{self, Checked, Kinds, Source};
use crate::events::Events;
use crate::http::HttpThread;
use crate::pipeline::assemble;
use crate::pipeline::findings::Findings;
use crate::pipeline::gateway::Gateway;
use crate::reload::{Keeper, Reload, Running};
use crate::systemd::Notifier;
use crate::uplink::validity::Watched;

/// How often the gateway looks after itself; more often where the service manager wants to hear of it more often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the line for the service manager is renewed.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// How often the uplinks' certificates are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(3600);

/// Run the gateway: poll, store, forward, until SIGTERM or SIGINT.
#[derive(clap::Args)]
#[command(after_help = "\
The log goes to standard error. FOREBAY_LOG chooses what it says (error, warn, info, debug, trace),
FOREBAY_LOG_FORMAT=json writes it for machines.
A changed file is applied while the gateway runs, once it has been the same for a second and is right; SIGHUP reads it at
once. What did not change goes on undisturbed; a file that is wrong is reported, and what ran goes on.
The first SIGTERM or SIGINT ends the gateway in order, a second one at once.
Exit codes: 0 stopped as asked, 1 the configuration is wrong, 2 the command line is wrong, 3 failed or ended at once.")]
pub(super) struct Args {
    /// What to poll and where to send it
    #[arg(short, long, value_name = "FILE", default_value = "gateway.yaml")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    match started(args) {
        Ok(started) => block_on(serve(started)).unwrap_or_else(|exit| exit),
        Err(exit) => exit,
    }
}

struct Started {
    gateway: Gateway,
    http: Option<HttpThread>,
    keeper: Keeper,
}

fn started(args: &Args) -> Result<Started, Exit> {
    let wrong = |what: &dyn std::fmt::Display| {
        eprint!("{what}");
        Exit::Configuration
    };
    let source = Source::read(&args.config).map_err(|cause| wrong(&format_args!("{cause}\n")))?;
    let read = source.clone();
    let first = config::check(source.clone(), Kinds::of_this_build()).map_err(|report| wrong(&report))?;
    eprint!("{}", first.warnings);
    let (Checked { config, lines, .. }, findings) = with_findings(source, first);
    let events = Arc::new(Events::default());
    logging::start(&config.log, events.clone()).map_err(|cause| wrong(&format_args!("{cause}\n")))?;
    let (begun, http) = (Instant::now(), config.http.clone());
    let running = Running::of(&config, read.text(), Arc::new(findings));
    let (reload, keeper) = Reload::new(args.config.clone(), running);
    let mut setup = assemble::setup(config, lines);
    setup.reload = Some(reload);
    let (tags, lines, uplinks) = (setup.tags.len(), setup.lines.len(), setup.uplinks.len());
    let devices: usize = setup.lines.iter().map(|line| line.devices.len()).sum();
    let buffer = setup.buffer.path.clone();
    let gateway = Gateway::start(setup).map_err(|cause| {
        error!("the gateway did not start: {cause}");
        Exit::Failure
    })?;
    keeper.started(&gateway);
    info!(tags, devices, lines, uplinks, buffer = %buffer.display(), after = ?begun.elapsed(), "polling");
    // Readings are worth more than their figures: a port that is taken stops no gateway.
    let http = http.start(gateway.vitals().clone(), events).unwrap_or_else(|cause| {
        warn!("{cause}");
        None
    });
    Ok(Started { gateway, http, keeper })
}

/// The configuration with what was found in its devices before; without it where the two do not go together.
fn with_findings(source: Source, first: Checked) -> (Checked, Findings) {
    let findings = Findings::load(&first.config);
    if findings.is_empty() {
        return (first, findings);
    }
    match config::check_after(source, Kinds::of_this_build(), None, &findings) {
        Ok(checked) => (checked, findings),
        Err(report) => {
            eprint!("what was found in devices before is left away, and looked for anew:\n{report}");
            (first, Findings::default())
        }
    }
}

/// Waits for the end, and meanwhile looks after the gateway and tells the service manager of it.
async fn serve(Started { mut gateway, http, mut keeper }: Started) -> Exit {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(cause) => {
            error!("the gateway cannot listen for signals: {cause}");
            gateway.stop();
            return Exit::Failure;
        }
    };
    let notifier = Notifier::from_env().unwrap_or_else(|cause| {
        warn!("the service manager cannot be told anything: {cause}. Check NOTIFY_SOCKET");
        None
    });
    let ended = watch(&mut gateway, &mut keeper, notifier.as_ref(), &mut signals).await;
    info!("stopping: {}", gateway.status());
    tell(notifier.as_ref(), Notifier::stopping);
    let stop = move || {
        if http.is_some_and(|http| !http.stop()) {
            error!("the HTTP thread had panicked; please report this");
        }
        gateway.stop();
    };
    // The stop goes on in its own thread when the other arms end; they end the process.
    tokio::select! {
        stopped = spawn_blocking(stop) => match stopped {
            Ok(()) => ended,
            Err(cause) => {
                error!("the gateway did not stop in order: {cause}; please report this");
                Exit::Failure
            }
        },
        () = signals.end() => at_once(),
    }
}

/// The signals that are listened for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The gateway is to end. Loses nothing when it is cancelled.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Looks after the gateway and its configuration until a signal comes, or there is nothing left to look after.
async fn watch(gateway: &mut Gateway, keeper: &mut Keeper, notifier: Option<&Notifier>, signals: &mut Signals) -> Exit {
    tell(notifier, |notifier| notifier.ready(&status(gateway)));
    let every = notifier.and_then(Notifier::watchdog_every).map_or(LOOK_EVERY, |every| every.min(LOOK_EVERY));
    let mut looks = interval(every.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let log = gateway.log().clone();
    let (mut stuck, mut status_at) = (None, Instant::now() + STATUS_EVERY);
    let (mut certificates, mut certificates_at) = (Watched::default(), Instant::now());
    loop {
        // All arms lose nothing when cancelled.
        tokio::select! {
            _ = signals.terminate.recv() => return Exit::Success,
            _ = signals.interrupt.recv() => return Exit::Success,
            () = log.over() => {
                error!("the store has ended, and the gateway with it: the service manager starts it again");
                return Exit::Failure;
            }
            _ = signals.hangup.recv() => {
                keeper.signal();
                continue;
            }
            due = keeper.due() => {
                keeper.act(due, gateway).await;
                tell(notifier, |notifier| notifier.status(&status(gateway)));
            }
            _ = looks.tick() => {}
        }
        let now = Instant::now();
        let found = gateway.look(now);
        if let Some(found) = found.filter(|_| found != stuck) {
            error!(
                "the pipeline stands still: {found}. The service manager's watchdog is served no longer; please report this"
            );
        }
        stuck = found;
        if stuck.is_none() {
            tell(notifier, Notifier::alive);
        }
        if now >= certificates_at {
            certificates_at = now + CERTIFICATES_EVERY;
            certificates = look_at(certificates, gateway.certificates()).await;
        }
        if now >= status_at {
            status_at = now + STATUS_EVERY;
            tell(notifier, |notifier| notifier.status(&status(gateway)));
        }
    }
}

/// Tells what is to be told of the certificates, once for each change.
async fn look_at(mut watched: Watched, files: Vec<PathBuf>) -> Watched {
    let looked = spawn_blocking(move || {
        let news = watched.look(&files, SystemTime::now().into());
        (watched, news)
    });
    let (watched, news) = looked.await.unwrap_or_default();
    for (file, says) in news {
        warn!(file = %file.display(), "a certificate of an uplink {says}; it is read again at each connect, and needs no restart");
    }
    watched
}

/// One line for the service manager.
fn status(gateway: &Gateway) -> String {
    let status = gateway.status();
    match gateway.vitals().get().reload.as_ref().and_then(|reload| reload.state().error) {
        None => status.to_string(),
        Some(error) => {
            let first = error.lines().next().unwrap_or_default();
            format!("{status}; the configuration file was not applied: {first}")
        }
    }
}

/// The service manager may be busy, or restart; the next word comes soon.
fn tell(notifier: Option<&Notifier>, word: impl FnOnce(&Notifier) -> std::io::Result<()>) {
    if let Some(Err(cause)) = notifier.map(word) {
        warn!("the service manager was not told: {cause}");
    }
}

/// The second signal: what is not in the log is lost.
fn at_once() -> Exit {
    warn!("ended at once: what was not yet in the buffer is lost");
    process::exit(Exit::Failure as i32)
}
