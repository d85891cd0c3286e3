//! How far the topic of commands has been read, and what of it is not answered yet. Pure but for its file.
//!
//! ```text
//! UPLINK.commands    {"topic":"plant.commands","id":"…32 hex digits…","next":{"0":17,"1":4}}
//! ```
//!
//! A partition is kept up to its first command without an answer: after a kill reading goes on there, and what was
//! executed meanwhile is recognised by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

use super::wire::TopicId;
use crate::uplink::file_of;

/// How far which partition has been read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    topic: Box<str>,
    /// `None` until the topic was seen for the first time.
    id: Option<TopicId>,
    parts: BTreeMap<i32, Part>,
    /// By the number that an answer bears.
    under_way: BTreeMap<u64, (i32, i64)>,
    last: u64,
    /// Whether it says something else than its file.
    pub(super) has_news: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    /// What is read next.
    next: i64,
    /// Commands without an answer.
    under_way: BTreeSet<i64>,
}

/// A partition as the broker has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) partition: i32,
    /// The first offset that is kept.
    pub(super) start: i64,
    /// Behind the last.
    pub(super) end: i64,
}

/// What was noticed of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noticed {
    /// So many records were gone before they were read.
    Gone(i32, i64),
    /// It ends before what was read.
    Shorter(i32),
    /// The topic was made anew.
    MadeAnew,
}

impl Offsets {
    /// What a file says of this topic; of another one it says nothing.
    pub(super) fn read(text: &str, topic: &str) -> Offsets {
        let fresh = Offsets { topic: topic.into(), has_news: true, ..Offsets::default() };
        let Ok(json) = serde_json::from_str::<Json>(text) else { return fresh };
        let id = json["id"].as_str().and_then(id_of);
        let next = json["next"].as_object().filter(|_| json["topic"] == topic);
        let (Some(id), Some(next)) = (id, next) else { return fresh };
        let part = |(partition, next): (&String, &Json)| {
            let next = next.as_i64().filter(|next| *next >= 0)?;
            Some((partition.parse().ok()?, Part { next, ..Part::default() }))
        };
        Offsets { id: Some(id), parts: next.iter().filter_map(part).collect(), has_news: false, ..fresh }
    }

    /// What its file is to say.
    pub(super) fn text(&self) -> String {
        let next: Map<String, Json> =
            self.parts.iter().map(|(partition, part)| (partition.to_string(), json!(part.settled()))).collect();
        let id: String = self.id.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "topic": &*self.topic, "id": id, "next": next }).to_string()
    }

    /// The topic as it is now. A topic that was never seen is read from its end: what was sent before the gateway first
    /// listened was not sent to it. What is new later on is read from its start.
    pub(super) fn saw(&mut self, id: TopicId, found: &[Found]) -> Vec<Noticed> {
        let mut noticed = Vec::new();
        let is_first = self.id.is_none();
        if self.id.is_some_and(|known| known != id) {
            noticed.push(Noticed::MadeAnew);
            self.parts.clear();
            self.under_way.clear();
        }
        self.has_news |= self.id != Some(id);
        self.id = Some(id);
        for Found { partition, start, end } in found {
            let Some(part) = self.parts.get_mut(partition) else {
                let next = if is_first { *end } else { *start };
                self.parts.insert(*partition, Part { next, ..Part::default() });
                self.has_news = true;
                continue;
            };
            if part.next < *start {
                noticed.push(Noticed::Gone(*partition, start - part.next));
            } else if part.next > *end {
                noticed.push(Noticed::Shorter(*partition));
            }
            let next = part.next.clamp(*start, *end);
            self.has_news |= next != part.next;
            part.next = next;
        }
        noticed
    }

    /// The partitions and what is read next of each.
    pub(super) fn wanted(&self) -> Vec<(i32, i64)> {
        self.parts.iter().map(|(partition, part)| (*partition, part.next)).collect()
    }

    /// How many commands have no answer yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// A command is handed over; its answer comes under this number.
    pub(super) fn begun(&mut self, partition: i32, offset: i64) -> u64 {
        self.last += 1;
        self.under_way.insert(self.last, (partition, offset));
        self.parts.entry(partition).or_default().under_way.insert(offset);
        self.read_to(partition, offset + 1);
        self.last
    }

    /// What lies before `next` was read.
    pub(super) fn read_to(&mut self, partition: i32, next: i64) {
        let part = self.parts.entry(partition).or_default();
        if next > part.next {
            part.next = next;
            self.has_news = true;
        }
    }

    /// An answer has been given.
    pub(super) fn answered(&mut self, number: u64) {
        let Some((partition, offset)) = self.under_way.remove(&number) else { return };
        if let Some(part) = self.parts.get_mut(&partition) {
            part.under_way.remove(&offset);
            self.has_news = true;
        }
    }
}

impl Part {
    /// Everything before is answered.
    fn settled(&self) -> i64 {
        self.under_way.first().copied().unwrap_or(self.next)
    }
}

fn id_of(hex: &str) -> Option<TopicId> {
    let mut id = TopicId::default();
    if hex.len() != 2 * id.len() || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(id)
}

/// The file of an uplink.
pub(super) fn path_of(folder: &Path, uplink: &str) -> PathBuf {
    file_of(folder, uplink, "commands")
}

/// What the file says; nothing where there is none. Waits for the disk.
///
/// # Errors
/// The disk refuses.
pub(super) fn load(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(String::new()),
        outcome => outcome,
    }
}

/// Writes the whole file or none of it, and waits until it is on the disk.
///
/// # Errors
/// The disk refuses; what stood there stands there still.
pub(super) fn store(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let half = path.with_extension("commands-half");
    let mut file = File::create(&half)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&half, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TopicId = [1; 16];
    const TWO: TopicId = [2; 16];

    fn found(partition: i32, start: i64, end: i64) -> Found {
        Found { partition, start, end }
    }

    #[test]
    fn a_topic_is_read_from_its_end_at_first_and_from_where_it_stood_later() {
        let mut offsets = Offsets::read("", "t");
        assert_eq!(offsets.saw(ONE, &[found(0, 3, 10)]), []);
        assert_eq!(offsets.wanted(), [(0, 10)]);
        let number = offsets.begun(0, 10);
        offsets.begun(0, 11);
        let again = |offsets: &Offsets| Offsets::read(&offsets.text(), "t");
        assert_eq!(again(&offsets).wanted(), [(0, 10)]);
        offsets.answered(number);
        assert_eq!(
            (again(&offsets).wanted(), offsets.wanted(), offsets.under_way()),
            (vec![(0, 11)], vec![(0, 12)], 1)
        );
        assert!(!again(&offsets).has_news && Offsets::read(&offsets.text(), "other").id.is_none());
    }

    #[test]
    fn answers_in_any_order_keep_what_stands_before_them() {
        let mut offsets = Offsets::read("", "t");
        offsets.saw(ONE, &[found(0, 0, 0)]);
        let numbers: Vec<u64> = (0..3).map(|offset| offsets.begun(0, offset)).collect();
        let kept = |offsets: &Offsets| Offsets::read(&offsets.text(), "t").wanted();
        offsets.answered(numbers[2]);
        assert_eq!(kept(&offsets), [(0, 0)]);
        offsets.answered(numbers[0]);
        assert_eq!(kept(&offsets), [(0, 1)]);
        offsets.answered(numbers[1]);
        offsets.answered(99);
        assert_eq!(kept(&offsets), [(0, 3)]);
    }

    #[test]
    fn partitions_that_are_added_and_topics_that_are_made_anew_are_read_from_their_start() {
        let mut offsets = Offsets::read("", "t");
        offsets.saw(ONE, &[found(0, 0, 5)]);
        assert_eq!(offsets.saw(ONE, &[found(0, 0, 6), found(1, 0, 2)]), []);
        assert_eq!(offsets.wanted(), [(0, 5), (1, 0)]);
        let of_old = offsets.begun(0, 5);
        assert_eq!(offsets.saw(TWO, &[found(0, 0, 9)]), [Noticed::MadeAnew]);
        offsets.answered(of_old);
        assert_eq!((offsets.wanted(), offsets.under_way()), (vec![(0, 0)], 0));
    }

    #[test]
    fn what_retention_took_and_what_was_cut_off_is_noticed() {
        let mut offsets = Offsets::read("", "t");
        offsets.saw(ONE, &[found(0, 0, 5), found(1, 0, 5)]);
        let noticed = offsets.saw(ONE, &[found(0, 8, 9), found(1, 0, 3)]);
        assert_eq!(noticed, [Noticed::Gone(0, 3), Noticed::Shorter(1)]);
        assert_eq!(offsets.wanted(), [(0, 8), (1, 3)]);
    }

    #[test]
    fn a_file_is_written_whole_and_a_damaged_one_is_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path_of(folder.path(), "la/ke");
        assert_eq!(load(&path).expect("no file is no error"), "");
        let mut offsets = Offsets::read("", "t");
        offsets.saw(ONE, &[found(0, 0, 5)]);
        store(&path, &offsets.text()).expect("writes");
        assert_eq!(Offsets::read(&load(&path).expect("reads"), "t").wanted(), [(0, 5)]);
        for damaged in ["{", "[]", r#"{"topic":"t","id":"ä","next":{}}"#, r#"{"topic":"t","id":"00","next":{}}"#] {
            assert_eq!(Offsets::read(damaged, "t").id, None, "{damaged}");
        }
    }
}
