//! Another configuration without a restart: when its file changes, on SIGHUP, or through the HTTP API.
//!
//! check -> difference -> apply only what is another. What is wrong never takes the place of what runs; why, the operator
//! sees in the log, in the status and in the metrics. [`Reload`] is the handle for who asks, [`Keeper`] does it, in the task
//! that owns the gateway; [`watch`] and [`diff`] are without I/O.

pub mod diff;
mod keeper;
mod packed;
mod running;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use crate::config::Report;
use crate::pipeline::findings::Found;
use diff::Diff;
use driver_core::Timestamp;

pub use keeper::Keeper;
pub use running::Running;

/// How many requests wait; more are told so.
const REQUESTS_MAX: usize = 4;

/// How many devices' findings wait; more are taken when there is room.
const FINDS_MAX: usize = 16;

/// The longest time within which an applied change is confirmed.
pub const CONFIRM_WITHIN_MAX: Duration = Duration::from_secs(3600);

/// The handle for who asks for a change.
#[derive(Clone)]
pub struct Reload {
    requests: mpsc::Sender<Request>,
    finds: mpsc::Sender<Found>,
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    state: RwLock<State>,
    running: RwLock<Arc<Running>>,
}

/// What is known of the configuration.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// How many changes were applied since the start.
    pub generation: u64,
    /// When the last one was.
    pub applied_at: Option<SystemTime>,
    /// What the last one changed, in words.
    pub changed: Option<String>,
    /// Why the file is not what runs: the whole report, with places.
    pub error: Option<String>,
    /// Until when an applied change has to be confirmed.
    pub confirm_until: Option<SystemTime>,
    /// Whether what runs stands in the file too, so that a restart begins with it.
    pub kept: bool,
}

/// What is asked of the keeper.
enum Request {
    Reread { reply: oneshot::Sender<Result<Applied, Refused>> },
    Apply { text: Arc<str>, confirm_within: Option<Duration>, reply: oneshot::Sender<Result<Applied, Refused>> },
    Confirm { reply: oneshot::Sender<Result<Applied, Refused>> },
    RollBack { reply: oneshot::Sender<Result<Applied, Refused>> },
}

/// What a text would change.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The difference to what runs.
    pub diff: Diff,
    /// What may not be as it was meant; empty when there is nothing.
    pub warnings: String,
}

/// What became of a change.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What was changed; empty where it was the same.
    pub diff: Diff,
    /// Whether it stands in the file too; why not, where it does not.
    pub kept: Result<(), String>,
}

/// Why nothing was changed. Its `Display` is for the operator and never shows a secret.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// The file cannot be read.
    File(String),
    /// The text is wrong: the report as text, and its faults as JSON.
    Wrong {
        /// For people.
        text: String,
        /// For programs: see [`Report::json`].
        faults: Value,
    },
    /// These keys cannot be changed while the gateway runs.
    Restart(Vec<&'static str>),
    /// The change could not be made.
    Failed(String),
    /// There is nothing to confirm, or nothing to go back to.
    Nothing(&'static str),
    /// Too many changes wait, or the gateway is stopping.
    Busy,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::File(cause) => f.write_str(cause),
            Refused::Wrong { text, .. } => f.write_str(text.trim_end()),
            Refused::Restart(keys) => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                let keys = keys.join(", ");
                write!(
                    f,
                    "{keys} cannot be changed while the gateway runs: restart it with this file, or undo that part"
                )
            }
            Refused::Failed(cause) => f.write_str(cause),
            Refused::Nothing(what) => f.write_str(what),
            Refused::Busy => f.write_str("another change is being made; try again in a moment"),
        }
    }
}

impl From<Report> for Refused {
    fn from(report: Report) -> Refused {
        Refused::Wrong { text: report.to_string(), faults: report.json() }
    }
}

impl Reload {
    /// A handle for the configuration `running`, which came from `file`, and the keeper that does what it asks.
    pub fn new(file: PathBuf, running: Running) -> (Reload, Keeper) {
        let (requests, received) = mpsc::channel(REQUESTS_MAX);
        let (finds, found) = mpsc::channel(FINDS_MAX);
        let state = RwLock::new(State { kept: true, ..State::default() });
        let shared = Arc::new(Shared { file, state, running: RwLock::new(Arc::new(running)) });
        (Reload { requests, finds, shared: shared.clone() }, Keeper::new(shared, received, found))
    }

    /// Where it is told what was found in devices.
    pub fn finds(&self) -> &mpsc::Sender<Found> {
        &self.finds
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.shared.file
    }

    /// The text that runs. It may hold a secret where the operator asked for that.
    pub fn text(&self) -> String {
        self.shared.running().text.text()
    }

    /// What is known of the configuration.
    pub fn state(&self) -> State {
        self.shared.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a text would change. Nothing is changed.
    ///
    /// # Errors
    /// It cannot be applied.
    pub async fn check(&self, text: &str) -> Result<Preview, Refused> {
        let (running, name, text) = (self.shared.running(), self.shared.name(), Arc::<str>::from(text));
        let prepared = spawn_blocking(move || running.prepare(&name, &text, &running.findings)).await;
        let prepared = prepared.map_err(|panic| Refused::Failed(panic.to_string()))??;
        Ok(Preview { diff: prepared.diff, warnings: prepared.warnings })
    }

    /// Reads the file again and applies what changed.
    ///
    /// # Errors
    /// It cannot be applied; what ran goes on.
    pub async fn reread(&self) -> Result<Applied, Refused> {
        self.ask(|reply| Request::Reread { reply }).await
    }

    /// Applies a text and keeps it in the file. With `confirm_within`, it goes into the file when it is confirmed, and is
    /// taken back when it is not: a change that cuts off who made it undoes itself.
    ///
    /// # Errors
    /// It cannot be applied; what ran goes on.
    pub async fn apply(&self, text: &str, confirm_within: Option<Duration>) -> Result<Applied, Refused> {
        let (text, within) = (Arc::<str>::from(text), confirm_within.map(|within| within.min(CONFIRM_WITHIN_MAX)));
        self.ask(|reply| Request::Apply { text, confirm_within: within, reply }).await
    }

    /// Lets the last change stay.
    ///
    /// # Errors
    /// No change waits for that.
    pub async fn confirm(&self) -> Result<Applied, Refused> {
        self.ask(|reply| Request::Confirm { reply }).await
    }

    /// Goes back to what ran before the last change, once.
    ///
    /// # Errors
    /// There is nothing to go back to, or it cannot be applied any more.
    pub async fn roll_back(&self) -> Result<Applied, Refused> {
        self.ask(|reply| Request::RollBack { reply }).await
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<Applied, Refused>>) -> Request,
    ) -> Result<Applied, Refused> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(request(reply)).map_err(|_| Refused::Busy)?;
        answer.await.unwrap_or(Err(Refused::Busy))
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}

impl Shared {
    fn running(&self) -> Arc<Running> {
        self.running.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn name(&self) -> String {
        self.file.display().to_string()
    }

    fn set_running(&self, running: Running) {
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(running);
    }

    fn state(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    /// All of it, for the status.
    pub fn json(&self) -> Value {
        let time = |at: Option<SystemTime>| at.map(|at| Timestamp::from(at).to_string());
        json!({
            "valid": self.error.is_none(),
            "error": self.error,
            "changes": self.generation,
            "applied_at": time(self.applied_at),
            "changed": self.changed,
            "confirm_until": time(self.confirm_until),
            "in_file": self.kept,
        })
    }
}

#[cfg(test)]
mod tests;
