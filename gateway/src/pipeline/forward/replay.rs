//! Replay jobs: what is to be sent once more, a range of the log or messages out of the quarantine, as a small file that
//! anybody may look at.
//!
//! ```text
//! <buffer>/requests/replay-3.json
//! {"uplink":"cloud","from_ns":…,"to_ns":…,"tags":["press.*"],"state":"running","next":5120,"end":90000,"readings":4096}
//! {"uplink":"cloud","quarantined":["9f86d081884c7d659a2feaa0c55ad015"],"state":"done","messages":1,"refused":0}
//! ```
//!
//! A command writes the file and the gateway takes it up, keeps its progress in it, and goes on where it stood after a
//! restart. From then on the gateway alone writes it. The file is replaced as a whole, so a reader never sees half of it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use buffer::Seq;
use driver_core::{TagId, glob};
use serde_json::{Value, json};

use super::quarantine::Digest;
use crate::pipeline::schema::Schema;

const FOLDER: &str = "requests";
const PREFIX: &str = "replay-";

/// A request is small: a larger file is none.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// So many jobs are kept at most, the done ones among them; the oldest of those give way.
const JOBS_MAX: usize = 64;

/// What is to be sent once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number, which its messages bear.
    pub number: u32,
    /// The uplink that gets it.
    pub uplink: String,
    /// What it gets.
    pub what: What,
    /// How far it is.
    pub state: JobState,
    /// From where it goes on; `None` before it has begun.
    pub next: Option<Seq>,
    /// Where it ends; `None` before it has begun.
    pub end: Option<Seq>,
    /// Readings that were sent so far; of a quarantine, messages that the far side has now.
    pub sent: u64,
    /// Messages of a quarantine that the far side has refused once more.
    pub refused: u64,
}

/// What is to be sent once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Readings that the log still holds.
    Range(Range),
    /// Messages in the uplink's quarantine, by their digests; all that lie there when the job begins, without one.
    Quarantined(BTreeSet<Digest>),
}

/// Readings of the log by time and tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// From this time on, nanoseconds since 1970 UTC …
    pub from_ns: i64,
    /// … and before this one; `None`: up to the end of the log when the job begins.
    pub to_ns: Option<i64>,
    /// Patterns for `device.tag`; without one, all tags.
    pub tags: Vec<String>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// The gateway has not taken it up yet.
    Waiting,
    /// It is being sent.
    Running,
    /// The far side has all of it.
    Done,
}

impl JobState {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Waiting => "waiting",
            JobState::Running => "running",
            JobState::Done => "done",
        }
    }

    fn from_name(name: &str) -> Option<JobState> {
        [JobState::Waiting, JobState::Running, JobState::Done].into_iter().find(|state| state.name() == name)
    }
}

impl Job {
    /// One that nobody has taken up.
    pub fn asked(uplink: &str, what: What) -> Job {
        let (state, uplink) = (JobState::Waiting, uplink.to_owned());
        Job { number: 0, uplink, what, state, next: None, end: None, sent: 0, refused: 0 }
    }

    /// As it stands in its file.
    pub fn json(&self) -> Value {
        match &self.what {
            What::Range(Range { from_ns, to_ns, tags }) => json!({
                "uplink": self.uplink, "from_ns": from_ns, "to_ns": to_ns, "tags": tags,
                "state": self.state.name(), "next": self.next, "end": self.end, "readings": self.sent,
            }),
            What::Quarantined(digests) => json!({
                "uplink": self.uplink, "quarantined": digests.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "state": self.state.name(), "messages": self.sent, "refused": self.refused,
            }),
        }
    }

    /// Understands a file's text; `None` when it is none.
    fn parse(number: u32, text: &[u8]) -> Option<Job> {
        let content: Value = serde_json::from_slice(text).ok()?;
        let (what, sent) = match &content["quarantined"] {
            Value::Array(digests) => {
                let digests = digests.iter().map(|digest| Digest::parse(digest.as_str()?)).collect::<Option<_>>()?;
                (What::Quarantined(digests), "messages")
            }
            _ => (What::Range(Range::parse(&content)?), "readings"),
        };
        Some(Job {
            number,
            uplink: content["uplink"].as_str()?.to_owned(),
            what,
            state: JobState::from_name(content["state"].as_str()?)?,
            next: content["next"].as_u64(),
            end: content["end"].as_u64(),
            sent: content[sent].as_u64().unwrap_or(0),
            refused: content["refused"].as_u64().unwrap_or(0),
        })
    }
}

impl Range {
    fn parse(content: &Value) -> Option<Range> {
        let tags = content["tags"].as_array()?.iter().map(|tag| tag.as_str().map(str::to_owned));
        let (from_ns, to_ns) = (content["from_ns"].as_i64()?, content["to_ns"].as_i64());
        Some(Range { from_ns, to_ns, tags: tags.collect::<Option<_>>()? })
    }

    /// Whether a reading is wanted.
    pub fn wants(&self, at_ns: i64, tag: TagId, schema: Option<&Schema>) -> bool {
        at_ns >= self.from_ns && self.to_ns.is_none_or(|to_ns| at_ns < to_ns) && self.wants_tag(tag, schema)
    }

    fn wants_tag(&self, tag: TagId, schema: Option<&Schema>) -> bool {
        if self.tags.is_empty() {
            return true;
        }
        let name = match schema.and_then(|schema| schema.tag(tag)) {
            Some(names) => format!("{}.{}", names.device, names.tag),
            None => format!("unknown.tag-{}", tag.0),
        };
        self.tags.iter().any(|pattern| glob::matches(pattern, &name))
    }
}

/// The jobs in a buffer's folder.
#[derive(Debug, Clone)]
pub struct Jobs {
    folder: PathBuf,
}

impl Jobs {
    /// Those in the folder of this buffer.
    pub fn beside(buffer: &Path) -> Jobs {
        Jobs { folder: buffer.join(FOLDER) }
    }

    /// All jobs by number; what is no job is passed over.
    ///
    /// # Errors
    /// The disk refuses; that there is no folder is no error.
    pub fn all(&self) -> io::Result<Vec<Job>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            numbers.extend(number_of(&entry?.file_name().to_string_lossy()));
        }
        numbers.sort_unstable();
        let jobs = numbers.into_iter().map(|number| self.get(number)).collect::<io::Result<Vec<_>>>()?;
        Ok(jobs.into_iter().flatten().collect())
    }

    /// A job by its number.
    ///
    /// # Errors
    /// The disk refuses; that there is none is no error.
    pub fn get(&self, number: u32) -> io::Result<Option<Job>> {
        let path = self.path(number);
        match fs::metadata(&path) {
            Ok(file) if file.len() <= FILE_BYTES_MAX => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(Job::parse(number, &fs::read(path)?))
    }

    /// The first job of this uplink that is not done.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn next(&self, uplink: &str) -> io::Result<Option<Job>> {
        // Made by the gateway, so that it may write to what somebody else puts there.
        fs::create_dir_all(&self.folder)?;
        Ok(self.all()?.into_iter().find(|job| job.uplink == uplink && job.state != JobState::Done))
    }

    /// Adds a job under the next free number, which it returns.
    ///
    /// # Errors
    /// The disk refuses, or too many jobs wait.
    pub fn add(&self, mut job: Job) -> io::Result<u32> {
        fs::create_dir_all(&self.folder)?;
        let jobs = self.all()?;
        let done = jobs.iter().filter(|job| job.state == JobState::Done);
        let surplus = (jobs.len() + 1).saturating_sub(JOBS_MAX);
        for old in done.take(surplus) {
            fs::remove_file(self.path(old.number))?;
        }
        if jobs.iter().filter(|job| job.state != JobState::Done).count() >= JOBS_MAX {
            return Err(io::Error::other(format!("{JOBS_MAX} replays wait already")));
        }
        job.number = jobs.last().map_or(1, |last| last.number + 1);
        if job.json().to_string().len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("more is named than a request holds: ask for less at once, or for all"));
        }
        self.write(&job)?;
        Ok(job.number)
    }

    /// Replaces a job's file as a whole.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, job: &Job) -> io::Result<()> {
        let path = self.path(job.number);
        let half = path.with_extension("half");
        fs::write(&half, job.json().to_string())?;
        fs::rename(half, path)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{PREFIX}{number}.json"))
    }
}

fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::schema::SchemaBuilder;

    fn range() -> Range {
        Range { from_ns: 10, to_ns: Some(20), tags: vec!["press.*".into()] }
    }

    fn job() -> Job {
        Job::asked("cloud", What::Range(range()))
    }

    #[test]
    fn a_job_of_the_quarantine_is_kept_with_its_digests_and_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = Jobs::beside(folder.path());
        let digests = |count: u32| What::Quarantined((0..count).map(|line| Digest::of(&line.to_le_bytes())).collect());
        let asked = Job { sent: 3, refused: 1, ..Job::asked("cloud", digests(2)) };
        let number = jobs.add(asked.clone()).expect("added");
        assert_eq!(jobs.get(number).expect("readable"), Some(Job { number, ..asked }));
        assert!(jobs.add(Job::asked("cloud", digests(10_000))).is_err(), "a file that nobody would read");
    }

    #[test]
    fn jobs_are_kept_in_files_and_taken_up_in_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = Jobs::beside(folder.path());
        assert_eq!(jobs.next("cloud").expect("readable"), None);
        assert_eq!(jobs.add(job()).expect("added"), 1);
        assert_eq!(jobs.add(Job { uplink: "other".into(), ..job() }).expect("added"), 2);
        assert_eq!(jobs.add(job()).expect("added"), 3);
        let first = jobs.next("cloud").expect("readable").expect("a job");
        assert_eq!(first, Job { number: 1, ..job() });
        jobs.write(&Job { state: JobState::Done, next: Some(9), ..first }).expect("written");
        assert_eq!(jobs.next("cloud").expect("readable").map(|job| job.number), Some(3));
        fs::write(folder.path().join("requests/replay-9.json"), "{\"uplink\":").expect("written");
        assert_eq!(jobs.all().expect("readable").len(), 3, "half a file is no job");
    }

    #[test]
    fn done_jobs_give_way_and_waiting_ones_are_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = Jobs::beside(folder.path());
        for _ in 0..JOBS_MAX + 5 {
            jobs.add(Job { state: JobState::Done, ..job() }).expect("added");
        }
        assert_eq!(jobs.all().expect("readable").len(), JOBS_MAX);
        for _ in 0..JOBS_MAX {
            jobs.add(job()).expect("added");
        }
        assert!(jobs.add(job()).is_err());
    }

    #[test]
    fn time_and_tag_choose_a_reading() {
        let mut schema = SchemaBuilder::default();
        schema.device("press");
        schema.tag("count", "");
        schema.device("mixer");
        schema.tag("count", "");
        let schema = schema.build();
        let wants = |at_ns, tag| range().wants(at_ns, TagId(tag), Some(&schema));
        assert_eq!(
            [wants(9, 0), wants(10, 0), wants(19, 0), wants(20, 0), wants(15, 1)],
            [false, true, true, false, false]
        );
        assert!(!range().wants(15, TagId(0), None));
    }
}
