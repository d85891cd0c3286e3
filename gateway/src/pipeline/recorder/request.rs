//! What `forebay record` asks of a running gateway, in a file beside the log, and the answer beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const REQUESTS: &str = "requests";
/// How long a request is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is wanted of a device's recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The recording in a file.
    Save,
    /// Its frames in the log from now on.
    Decode,
    /// No frames in the log any more.
    Quiet,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The device, or its line.
    pub device: String,
    /// What is wanted.
    pub wanted: Wanted,
}

/// What became of a request: the file, if one was asked for; or why nothing did.
pub type Answer = Result<Option<PathBuf>, String>;

impl Wanted {
    const ALL: [(Wanted, &'static str); 3] =
        [(Wanted::Save, "save"), (Wanted::Decode, "decode"), (Wanted::Quiet, "quiet")];
}

impl Request {
    /// Puts the request into the recorder's folder and waits for the answer.
    ///
    /// # Errors
    /// The folder cannot be written, or nobody answers.
    pub fn ask(&self, folder: &Path) -> io::Result<Answer> {
        let requests = folder.join(REQUESTS);
        std::fs::create_dir_all(&requests)?;
        let name = format!("{}-{}", std::process::id(), self.wanted.name());
        let (asked, answered) = (requests.join(format!("{name}.json")), requests.join(format!("{name}.answer")));
        let draft = requests.join(format!("{name}.draft"));
        std::fs::write(&draft, json!({ "device": self.device, "wanted": self.wanted.name() }).to_string())?;
        std::fs::rename(&draft, &asked)?;
        let until = Instant::now() + ANSWER_WITHIN;
        while Instant::now() < until {
            if let Ok(text) = std::fs::read_to_string(&answered) {
                std::fs::remove_file(&answered)?;
                return Ok(answer_of(&text));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        // Nobody is to find it later.
        std::fs::remove_file(&asked)?;
        Err(io::Error::new(io::ErrorKind::TimedOut, "no gateway answers that keeps its log there"))
    }
}

impl Wanted {
    fn name(self) -> &'static str {
        Wanted::ALL.iter().find(|(wanted, _)| *wanted == self).map_or("", |(_, name)| name)
    }
}

/// The requests that wait, each taken away; what is none is removed.
pub(super) fn waiting(folder: &Path) -> Vec<(PathBuf, Request)> {
    let Ok(entries) = std::fs::read_dir(folder.join(REQUESTS)) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let asked = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    asked
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::remove_file(&path).ok()?;
            Some((path.with_extension("answer"), request_of(&text)?))
        })
        .collect()
}

/// Puts an answer where it is looked for.
pub(super) fn answer(path: &Path, answer: &Answer) -> io::Result<()> {
    let value = match answer {
        Ok(file) => json!({ "file": file }),
        Err(cause) => json!({ "error": cause }),
    };
    let draft = path.with_extension("answering");
    std::fs::write(&draft, value.to_string())?;
    std::fs::rename(draft, path)
}

fn request_of(text: &str) -> Option<Request> {
    let value: Value = serde_json::from_str(text).ok()?;
    let word = value["wanted"].as_str()?;
    let wanted = Wanted::ALL.iter().find(|(_, name)| *name == word)?.0;
    Some(Request { device: value["device"].as_str()?.to_owned(), wanted })
}

fn answer_of(text: &str) -> Answer {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => match value["error"].as_str() {
            Some(cause) => Err(cause.to_owned()),
            None => Ok(value["file"].as_str().map(PathBuf::from)),
        },
        Err(cause) => Err(format!("the answer cannot be read: {cause}")),
    }
}
