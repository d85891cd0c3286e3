//! Who changes the configuration: looks after its file, takes requests, applies, confirms, goes back.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::diff::Diff;
use super::packed::Packed;
use super::running::Prepared;
use super::watch::{Stamp, Watch};
use super::{Applied, Refused, Request, Running, Shared};
use crate::config::Source;
use crate::pipeline::findings::{Findings, Found, keep};
use crate::pipeline::gateway::{Gateway, Keep};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The file is read at most this often, however many signals come.
const READ_PACE: Duration = Duration::from_millis(500);

/// Does what is asked, in the task that owns the gateway.
pub struct Keeper {
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    finds: mpsc::Receiver<Found>,
    watch: Watch,
    look_at: Instant,
    /// When the file is to be read because of a signal.
    signalled: Option<Instant>,
    not_before: Instant,
    /// What ran before the last change.
    before: Option<Packed>,
    confirm: Option<Confirm>,
    /// What was told of the file last that was refused.
    refused: Option<String>,
}

/// An applied change that has to be confirmed.
struct Confirm {
    until: Instant,
}

/// What there is to be done.
pub enum Due {
    /// Somebody asks.
    Asked(Asked),
    /// A device was looked through.
    Found(Found),
    /// The file has changed.
    File,
    /// A signal asks for the file.
    Signal,
    /// An applied change was not confirmed in time.
    NotConfirmed,
}

/// What somebody asks.
pub struct Asked(Request);

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, requests: mpsc::Receiver<Request>, finds: mpsc::Receiver<Found>) -> Keeper {
        let watch = Watch::new(stamp_of(&shared.file));
        let now = Instant::now();
        Keeper {
            shared,
            requests,
            finds,
            watch,
            look_at: now + LOOK_EVERY,
            signalled: None,
            not_before: now,
            before: None,
            confirm: None,
            refused: None,
        }
    }

    /// The gateway was started with what it has been told.
    pub fn started(&self, gateway: &Gateway) {
        let running = Running::clone(&self.shared.running());
        self.shared.set_running(running.with_specs(gateway.specs()));
    }

    /// SIGHUP came: the file is read as soon as its pace allows. Many signals make one reading.
    pub fn signal(&mut self) {
        self.signalled.get_or_insert(self.not_before.max(Instant::now()));
    }

    /// Waits until there is something to be done. Loses nothing when it is cancelled.
    pub async fn due(&mut self) -> Due {
        loop {
            let wakes = [self.signalled, self.confirm.as_ref().map(|confirm| confirm.until)];
            let wake = wakes.into_iter().flatten().fold(self.look_at, Instant::min);
            tokio::select! {
                Some(request) = self.requests.recv() => return Due::Asked(Asked(request)),
                Some(found) = self.finds.recv() => return Due::Found(found),
                () = sleep_until(wake) => {}
            }
            let now = Instant::now();
            if self.confirm.as_ref().is_some_and(|confirm| confirm.until <= now) {
                return Due::NotConfirmed;
            }
            if self.signalled.is_some_and(|at| at <= now) {
                self.signalled = None;
                return Due::Signal;
            }
            if self.look_at <= now {
                self.look_at = now + LOOK_EVERY;
                // A look at a folder's entry: it waits for no more than the disk that the buffer is on.
                if self.watch.look(stamp_of(&self.shared.file)) {
                    return Due::File;
                }
            }
        }
    }

    /// Does it. What is refused has been told to who asked, and for the file in log and status.
    pub async fn act(&mut self, due: Due, gateway: &mut Gateway) {
        match due {
            Due::File | Due::Signal => drop(self.reread(gateway).await),
            Due::Found(found) => self.found(found, gateway).await,
            Due::NotConfirmed => {
                warn!(
                    "the last change of the configuration was not confirmed in time: what ran before takes its place"
                );
                drop(self.roll_back(gateway).await);
            }
            Due::Asked(Asked(request)) => {
                let (reply, outcome) = match request {
                    Request::Reread { reply } => (reply, self.reread(gateway).await),
                    Request::Apply { text, confirm_within, reply } => {
                        (reply, self.apply_asked(text, confirm_within, gateway).await)
                    }
                    Request::Confirm { reply } => (reply, self.confirm(gateway).await),
                    Request::RollBack { reply } => (reply, self.roll_back(gateway).await),
                };
                tell(reply, outcome);
            }
        }
    }

    /// Reads the file and applies what is another in it. A file that was put there by hand is more than a change that waits
    /// for its confirmation.
    async fn reread(&mut self, gateway: &mut Gateway) -> Result<Applied, Refused> {
        self.not_before = Instant::now() + READ_PACE;
        let file = self.shared.file.clone();
        let read = spawn_blocking(move || (stamp_of(&file), Source::read(&file))).await;
        let (stamp, read) = read.map_err(|panic| Refused::Failed(panic.to_string()))?;
        self.watch.was_read(stamp);
        let outcome = match read.map_err(Refused::File) {
            Ok(source) => self.apply(source.text().into(), Keep::Nothing, gateway).await,
            Err(refused) => Err(refused),
        };
        match outcome {
            Ok(diff) => {
                self.refused = None;
                self.settle(gateway).await;
                self.shared.state(|state| (state.error, state.kept) = (None, true));
                Ok(Applied { diff, kept: Ok(()) })
            }
            Err(refused) => {
                let text = refused.to_string();
                if self.refused.as_deref() != Some(&*text) {
                    error!("the configuration file was not applied, what ran goes on:\n{text}");
                    self.refused = Some(text.clone());
                }
                self.shared.state(|state| state.error = Some(text));
                Err(refused)
            }
        }
    }

    async fn apply_asked(
        &mut self,
        text: Arc<str>,
        confirm_within: Option<Duration>,
        gateway: &mut Gateway,
    ) -> Result<Applied, Refused> {
        let keep = if confirm_within.is_some() { Keep::Places } else { Keep::Nothing };
        if self.confirm.is_some() {
            return Err(Refused::Nothing(
                "the last change waits for its confirmation: confirm it or take it back first",
            ));
        }
        let diff = self.apply(text, keep, gateway).await?;
        self.shared.state(|state| state.error = None);
        let Some(within) = confirm_within else { return Ok(Applied { diff, kept: self.keep().await }) };
        self.confirm = Some(Confirm { until: Instant::now() + within });
        self.shared.state(|state| {
            (state.confirm_until, state.kept) = (Some(SystemTime::now() + within), false);
        });
        info!(?within, "the change of the configuration is taken back unless it is confirmed");
        Ok(Applied { diff, kept: Err("it goes into the file when it is confirmed".into()) })
    }

    async fn confirm(&mut self, gateway: &mut Gateway) -> Result<Applied, Refused> {
        if self.confirm.is_none() {
            return Err(Refused::Nothing("no change waits for its confirmation"));
        }
        self.settle(gateway).await;
        Ok(Applied { diff: Diff::default(), kept: self.keep().await })
    }

    /// Whatever waits for a confirmation stays.
    async fn settle(&mut self, gateway: &mut Gateway) {
        if self.confirm.take().is_some() {
            gateway.forget_places().await;
            self.shared.state(|state| state.confirm_until = None);
        }
    }

    /// Goes back. A change that was never confirmed does not stand in the file, which then is what runs again.
    async fn roll_back(&mut self, gateway: &mut Gateway) -> Result<Applied, Refused> {
        let unconfirmed = self.confirm.take().is_some();
        self.shared.state(|state| state.confirm_until = None);
        let Some(text) = self.before.as_ref().map(|before| Arc::from(before.text())) else {
            return Err(Refused::Nothing("the configuration has not been changed since the start"));
        };
        let applied = self.apply(text, Keep::Nothing, gateway).await;
        if let Err(refused) = &applied {
            error!("what ran before cannot be applied any more:\n{refused}");
        }
        let diff = applied?;
        self.before = None;
        let kept = if unconfirmed { Ok(()) } else { self.keep().await };
        self.shared.state(|state| state.kept = kept.is_ok());
        Ok(Applied { diff, kept })
    }

    /// Takes in what was found in a device. The file stays as it is, and so does what one may go back to.
    async fn found(&mut self, found: Found, gateway: &mut Gateway) {
        let running = self.shared.running();
        let (device, folder, one) = (found.device.clone(), running.found_folder(), found.clone());
        let kept = spawn_blocking(move || keep(&folder, &one)).await.map_err(io::Error::other).flatten();
        if let Err(cause) = kept {
            warn!(device = &*device, "what was found is not kept for the next start: {cause}");
        }
        let mut findings = Findings::clone(&running.findings);
        findings.add(found);
        if findings == *running.findings {
            return;
        }
        let places = if self.confirm.is_some() { Keep::Places } else { Keep::Nothing };
        let text = running.text.text().into();
        if let Err(refused) = self.exchange(text, Arc::new(findings), places, gateway).await {
            error!(device = &*device, "the tags that were found are not polled:\n{refused}");
        }
    }

    /// Checks a text, and goes on with it where it is right.
    async fn apply(&mut self, text: Arc<str>, keep: Keep, gateway: &mut Gateway) -> Result<Diff, Refused> {
        let running = self.shared.running();
        if running.text == Packed::new(&text) {
            return Ok(Diff::default());
        }
        let diff = self.exchange(text, running.findings.clone(), keep, gateway).await?;
        self.before = Some(running.text.clone());
        Ok(diff)
    }

    /// Goes on with this text and these findings where they are right.
    async fn exchange(
        &mut self,
        text: Arc<str>,
        findings: Arc<Findings>,
        keep: Keep,
        gateway: &mut Gateway,
    ) -> Result<Diff, Refused> {
        let (running, name, begun) = (self.shared.running(), self.shared.name(), Instant::now());
        let prepared = spawn_blocking(move || running.prepare(&name, &text, &findings)).await;
        let Prepared { next, running, diff, warnings } =
            prepared.map_err(|panic| Refused::Failed(panic.to_string()))??;
        if !warnings.is_empty() {
            warn!("{}", warnings.trim_end());
        }
        let (checked, changing) = (begun.elapsed(), Instant::now());
        gateway.change(next, keep).await.map_err(|cause| Refused::Failed(cause.to_string()))?;
        self.shared.set_running(running.with_specs(gateway.specs()));
        let (what, change) = (diff.to_string(), changing.elapsed());
        info!(?checked, applied = ?change, "the configuration was changed: {what}");
        self.shared.state(|state| {
            state.generation += 1;
            (state.applied_at, state.changed) = (Some(SystemTime::now()), Some(what));
        });
        Ok(diff)
    }

    /// Writes what runs into the file.
    async fn keep(&mut self) -> Result<(), String> {
        let (file, text) = (self.shared.file.clone(), self.shared.running().text.text());
        let written = spawn_blocking(move || {
            let written = replace(&file, &text);
            (written, stamp_of(&file))
        });
        let kept = match written.await {
            Ok((Ok(()), stamp)) => {
                self.watch.was_read(stamp);
                Ok(())
            }
            Ok((Err(cause), _)) => {
                let file = self.shared.file.display();
                Err(format!("what runs does not stand in {file}, and a restart begins with what stands there: {cause}"))
            }
            Err(panic) => Err(panic.to_string()),
        };
        if let Err(cause) = &kept {
            warn!("{cause}");
        }
        self.shared.state(|state| state.kept = kept.is_ok());
        kept
    }
}

/// Whoever asked may have gone meanwhile.
fn tell(reply: oneshot::Sender<Result<Applied, Refused>>, outcome: Result<Applied, Refused>) {
    drop(reply.send(outcome));
}

fn stamp_of(file: &Path) -> Option<Stamp> {
    let of = |found: Metadata| Stamp {
        bytes: found.len(),
        changed_ns: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
        inode: (found.dev(), found.ino()),
    };
    fs::metadata(file).ok().map(of)
}

/// The whole text or none of it, with the rights that the file has.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let half = file.with_extension("half");
    let mut new = File::create(&half)?;
    new.set_permissions(fs::metadata(&file)?.permissions())?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&half, &file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
