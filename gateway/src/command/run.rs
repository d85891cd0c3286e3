//! `forebay run`: the gateway, until it is told to stop.

use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::Exit;
use super::logging;
use super::one_shot::block_on;
use crate::config::{self, Checked};
use crate::events::Events;
use crate::http::HttpThread;
use crate::pipeline::assemble;
use crate::pipeline::gateway::Gateway;
use crate::systemd::Notifier;

/// How often the gateway looks after itself; more often where the service manager wants to hear of it more often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the line for the service manager is renewed.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Run the gateway: poll, store, forward, until SIGTERM or SIGINT.
#[derive(clap::Args)]
#[command(after_help = "\
The log goes to standard error. FOREBAY_LOG chooses what it says (error, warn, info, debug, trace),
FOREBAY_LOG_FORMAT=json writes it for machines.
The first SIGTERM or SIGINT ends the gateway in order, a second one at once.
Exit codes: 0 stopped as asked, 1 the configuration is wrong, 2 the command line is wrong, 3 failed or ended at once.")]
pub(super) struct Args {
    /// What to poll and where to send it
    #[arg(short, long, value_name = "FILE", default_value = "gateway.yaml")]
    config: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    match started(args) {
        Ok((gateway, http)) => block_on(serve(gateway, http)).unwrap_or_else(|exit| exit),
        Err(exit) => exit,
    }
}

fn started(args: &Args) -> Result<(Gateway, Option<HttpThread>), Exit> {
    let Checked { config, lines, warnings } = config::read(&args.config).map_err(|unusable| {
        eprint!("{unusable}");
        Exit::Configuration
    })?;
    eprint!("{warnings}");
    let events = Arc::new(Events::default());
    logging::start(&config.log, events.clone()).map_err(|wrong| {
        eprintln!("{wrong}");
        Exit::Configuration
    })?;
    let (begun, http) = (Instant::now(), config.http.clone());
    let setup = assemble::setup(config, lines);
    let summary = setup.to_string();
    let gateway = Gateway::start(setup).map_err(|cause| {
        error!("the gateway did not start: {cause}");
        Exit::Failure
    })?;
    info!(after = ?begun.elapsed(), "polling {summary}");
    // Readings are worth more than their figures: a port that is taken stops no gateway.
    let http = http.start(gateway.vitals().clone(), events).unwrap_or_else(|cause| {
        warn!("{cause}");
        None
    });
    Ok((gateway, http))
}

/// Waits for the end, and meanwhile looks after the gateway and tells the service manager of it.
async fn serve(mut gateway: Gateway, http: Option<HttpThread>) -> Exit {
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(cause), _) | (_, Err(cause)) => {
            error!("the gateway cannot listen for signals: {cause}");
            gateway.stop();
            return Exit::Failure;
        }
    };
    let notifier = Notifier::from_env().unwrap_or_else(|cause| {
        warn!("the service manager cannot be told anything: {cause}. Check NOTIFY_SOCKET");
        None
    });
    watch(&mut gateway, notifier.as_ref(), &mut terminate, &mut interrupt).await;
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
            Ok(()) => Exit::Success,
            Err(cause) => {
                error!("the gateway did not stop in order: {cause}; please report this");
                Exit::Failure
            }
        },
        _ = terminate.recv() => at_once(),
        _ = interrupt.recv() => at_once(),
    }
}

/// Looks after the gateway until a signal comes.
async fn watch(gateway: &mut Gateway, notifier: Option<&Notifier>, terminate: &mut Signal, interrupt: &mut Signal) {
    tell(notifier, |notifier| notifier.ready(&gateway.status().to_string()));
    let every = notifier.and_then(Notifier::watchdog_every).map_or(LOOK_EVERY, |every| every.min(LOOK_EVERY));
    let mut looks = interval(every.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut stuck, mut status_at) = (None, Instant::now() + STATUS_EVERY);
    loop {
        // All arms lose nothing when cancelled.
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
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
        if now >= status_at {
            status_at = now + STATUS_EVERY;
            tell(notifier, |notifier| notifier.status(&gateway.status().to_string()));
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
