//! The flight recorder: the last bytes of each line, saved when its connection is lost or when somebody asks.
//!
//! ```text
//! session --bytes--> Recorder (a ring a line) --lost, or asked--> the saver's thread --> LINE-TIME.pcapng
//!                       | decoding on                                ^
//!                       v                                            | requests/*.json
//!                      log                                   `forebay record`, HTTP
//! ```
//!
//! A ring takes what it holds and no more, and a line waits for nothing: the disk is touched by the saver's thread and by
//! who asks over HTTP. What is
//! recorded is what the session sees: of a line with TLS the bytes without it.

mod ring;
mod pcapng;
mod folder;
mod saver;
mod request;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use driver_core::{AnyDriver, LineSpec, LinkError, Tap, Watch, Way};
use tracing::{info, warn};

use folder::Folder;
use pcapng::Ends;
use ring::Ring;
use saver::Saver;

pub use folder::Saved;
pub use request::{Answer, Request, Wanted};

/// Under what the log has frames in words.
pub const WIRE: &str = "wire";

/// Between two recordings of one line that were saved because its connection was lost.
const SAVE_PAUSE: Duration = Duration::from_secs(60);

/// The folder beside the log.
const FOLDER: &str = "recorder";

/// What was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecorderConfig {
    /// The bytes that the ring of a line holds; 0: nothing is recorded.
    pub line_bytes: u64,
    /// How many recordings are kept; the oldest go.
    pub files_max: u16,
}

/// The recorders of all lines.
pub struct Recorders {
    config: RecorderConfig,
    folder: Arc<Folder>,
    /// By the line's name; a line that is gone takes its recorder along.
    lines: Arc<Mutex<Vec<Weak<Recorder>>>>,
    saver: Saver,
}

/// The recorder of one line.
pub struct Recorder {
    line: Box<str>,
    devices: Box<[Box<str>]>,
    scheme: Box<str>,
    driver: &'static dyn AnyDriver,
    ends: Ends,
    is_decoding: AtomicBool,
    state: Mutex<State>,
    jobs: saver::Jobs,
}

struct State {
    ring: Ring,
    /// When a lost connection was last saved.
    saved_at: Option<Instant>,
}

/// What is recorded of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The line's name.
    pub line: Box<str>,
    /// Its devices.
    pub devices: Box<[Box<str>]>,
    /// What its ring holds, bytes.
    pub bytes: usize,
    /// Whether the log tells its frames.
    pub is_decoding: bool,
}

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No line has such a device.
    #[error("there is no device `{0}`, or its driver shows no bytes")]
    Unknown(String),
    /// Nothing was sent and nothing came.
    #[error("nothing was recorded of `{0}` yet")]
    Empty(String),
    /// The disk refused.
    #[error("the recording cannot be written to {path}: {cause}")]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Recorders {
    /// The recorders of a gateway whose log lies in `buffer`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn within(buffer: &Path, config: RecorderConfig) -> io::Result<Recorders> {
        let folder = Arc::new(Folder::new(folder_in(buffer), config.files_max));
        let lines: Arc<Mutex<Vec<Weak<Recorder>>>> = Arc::default();
        let saver = Saver::start(folder.clone(), lines.clone())?;
        Ok(Recorders { config, folder, lines, saver })
    }

    /// Where a line shows its bytes.
    pub fn tap(&self, line: &str, spec: &LineSpec) -> Tap {
        let Some(driver) = drivers::by_scheme(spec.url.scheme()).filter(|_| self.config.line_bytes > 0) else {
            return Tap::default();
        };
        let bytes_max = usize::try_from(self.config.line_bytes).unwrap_or(usize::MAX);
        let recorder = Arc::new(Recorder {
            line: line.into(),
            devices: spec.devices.iter().map(|device| device.name.clone()).collect(),
            scheme: spec.url.scheme().into(),
            driver,
            ends: Ends::of(spec.url.scheme(), spec.url.host().parse::<Ipv4Addr>().ok()),
            is_decoding: AtomicBool::new(false),
            state: Mutex::new(State { ring: Ring::new(bytes_max), saved_at: None }),
            jobs: self.saver.jobs(),
        });
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|known| known.strong_count() > 0);
        lines.push(Arc::downgrade(&recorder));
        Tap::to(recorder)
    }

    /// Where recordings are saved.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is recorded at the moment, line by line, in the order of their names.
    pub fn lines(&self) -> Vec<Recorded> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // The newest of a name is the one that counts, see `find`.
        let known: BTreeMap<Box<str>, Arc<Recorder>> =
            lines.iter().filter_map(Weak::upgrade).map(|recorder| (recorder.line.clone(), recorder)).collect();
        drop(lines);
        known.values().map(|recorder| recorder.recorded()).collect()
    }

    /// Saves what is recorded of a device's line now. Waits for the disk.
    ///
    /// # Errors
    /// There is nothing to save, or the disk refuses.
    pub fn save(&self, device: &str) -> Result<PathBuf, RecordError> {
        find(&self.lines, device)?.save(device, &self.folder)
    }

    /// The recordings that were saved, the newest first. Waits for the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn saved(&self) -> io::Result<Vec<Saved>> {
        self.folder.saved()
    }

    /// One of them, pcapng; `None` where none bears this name. Waits for the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.folder.read(name)
    }

    /// What is recorded of a device's line now, as pcapng.
    ///
    /// # Errors
    /// There is none.
    pub fn pcapng(&self, device: &str) -> Result<Vec<u8>, RecordError> {
        let recorder = find(&self.lines, device)?;
        recorder.pcapng().ok_or_else(|| RecordError::Empty(device.to_owned()))
    }

    /// Lets the log tell the frames of a device's line in words, or no more.
    ///
    /// # Errors
    /// There is no such device.
    pub fn set_decoding(&self, device: &str, is_on: bool) -> Result<(), RecordError> {
        find(&self.lines, device).map(|recorder| recorder.set_decoding(is_on))
    }
}

/// The folder of a gateway whose log lies in `buffer`.
pub fn folder_in(buffer: &Path) -> PathBuf {
    buffer.join(FOLDER)
}

fn find(lines: &Mutex<Vec<Weak<Recorder>>>, device: &str) -> Result<Arc<Recorder>, RecordError> {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    let has =
        |recorder: &Arc<Recorder>| recorder.devices.iter().any(|name| &**name == device) || &*recorder.line == device;
    // The newest comes last: after a change of the configuration an old one may still be there.
    let found = lines.iter().rev().filter_map(Weak::upgrade).find(has);
    found.ok_or_else(|| RecordError::Unknown(device.to_owned()))
}

impl Recorder {
    fn recorded(&self) -> Recorded {
        let bytes = self.state.lock().unwrap_or_else(PoisonError::into_inner).ring.held();
        let is_decoding = self.is_decoding.load(Ordering::Relaxed);
        Recorded { line: self.line.clone(), devices: self.devices.clone(), bytes, is_decoding }
    }

    fn save(&self, device: &str, folder: &Folder) -> Result<PathBuf, RecordError> {
        let file = self.pcapng().ok_or_else(|| RecordError::Empty(device.to_owned()))?;
        folder.save(&self.line, &file)
    }

    fn pcapng(&self) -> Option<Vec<u8>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (!state.ring.is_empty()).then(|| pcapng::file(&self.line, self.ends, state.ring.frames()))
    }

    fn set_decoding(&self, is_on: bool) {
        self.is_decoding.store(is_on, Ordering::Relaxed);
        info!(line = &*self.line, is_on, "frames in the log");
    }
}

impl Watch for Recorder {
    fn bytes(&self, way: Way, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ring.push(SystemTime::now(), way, bytes);
        drop(state);
        if self.is_decoding.load(Ordering::Relaxed) {
            let text = self.driver.frame_text(&self.scheme, way, bytes).unwrap_or_else(|| plain(way, bytes));
            for frame in text.lines() {
                info!(target: WIRE, line = &*self.line, "{frame}");
            }
        }
    }

    fn over(&self, error: &LinkError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ring.is_empty() || state.saved_at.is_some_and(|at| at.elapsed() < SAVE_PAUSE) {
            return;
        }
        state.saved_at = Some(Instant::now());
        let file = pcapng::file(&self.line, self.ends, state.ring.frames());
        drop(state);
        if !self.jobs.save(&self.line, file) {
            warn!(line = &*self.line, %error, "its recording was not saved: the disk is behind");
        }
    }
}

fn plain(way: Way, bytes: &[u8]) -> String {
    let mut text = String::from(if way == Way::Out { "->" } else { "<-" });
    for byte in bytes.iter().take(300) {
        write!(text, " {byte:02X}").expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests;
