//! What every driver's connection must keep to, whatever the far side does.
//!
//! A poll yields exactly one reading for each tag; no value is made up, none is taken from an answer that came too late;
//! what ends the connection is an error, and a new connection heals it. How the far side behaves stands in dialogues, of
//! which a driver must have at least one for each of [`FAR_SIDES`].

use std::path::Path;

use super::dialogue::{Act, Dialogue, What};
use super::far::Far;
use crate::{
    Connection, Contact, Device, DeviceSpec, Driver, GroupId, LinkError, Quality, Reading, Readings, SystemClock,
    TagId, TagSpec, Value, WriteOutcome, parse_value,
};

/// With one of these the name of a dialogue's file begins; each is needed.
pub const FAR_SIDES: [&str; 7] =
    ["answers", "refuses", "is-silent", "sends-garbage", "sends-too-little", "closes", "answers-late"];

/// Tags have these ids, so that an index is not taken for one.
const FIRST_ID: u32 = 700;
const GROUP: GroupId = GroupId(0);

/// Plays all dialogues (`*.txt`) of a folder.
///
/// # Errors
/// Every dialogue that did not go as it says, and every kind of far side that is missing.
pub async fn suite<D: Driver>(driver: &D, folder: &Path) -> Result<(), String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".txt"))
        .collect();
    names.sort();
    let missing = FAR_SIDES.iter().filter(|kind| !names.iter().any(|name| name.starts_with(**kind)));
    let mut failures: Vec<String> = missing.map(|kind| format!("no dialogue begins with `{kind}`")).collect();
    for name in names {
        let text = std::fs::read_to_string(folder.join(&name)).map_err(|error| format!("{name}: {error}"))?;
        if let Err(failure) = play(driver, &text).await {
            failures.push(format!("{name}: {failure}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Plays one dialogue.
///
/// # Errors
/// What did not go as it says.
pub async fn play<D: Driver>(driver: &D, text: &str) -> Result<(), String> {
    let dialogue = Dialogue::parse(text)?;
    let far = Far::listen(dialogue.steps).await.map_err(|error| error.to_string())?;
    let url = dialogue.url.replace("{far}", &far.address.to_string()).parse().map_err(|error| format!("{error}"))?;
    let endpoint = driver.endpoint(&url, None).map_err(|errors| format!("{errors:?}"))?;
    let device = driver.device(&endpoint, 0, &spec(&dialogue.tags)).map_err(|errors| format!("{errors:?}"))?;
    let mut near = Near { driver, endpoint, device, connection: None };
    let mut failure = None;
    for act in &dialogue.acts {
        if let Err(message) = near.act(act, dialogue.tags.len()).await {
            failure = Some(format!("line {}: {message}", act.line));
            break;
        }
    }
    drop(near);
    match (failure, far.finish().await) {
        (Some(near), Err(far)) => Err(format!("{near}; the far side: {far}")),
        (Some(near), Ok(())) => Err(near),
        (None, far) => far,
    }
}

fn spec(tags: &[String]) -> DeviceSpec {
    let tags = (FIRST_ID..).zip(tags).map(|(id, address)| TagSpec { id: TagId(id), address, group: GROUP });
    DeviceSpec { groups: vec![std::time::Duration::from_secs(1)], tags: tags.collect(), ..DeviceSpec::default() }
}

struct Near<'d, D: Driver> {
    driver: &'d D,
    endpoint: D::Endpoint,
    device: D::Device,
    connection: Option<D::Connection>,
}

impl<D: Driver> Near<'_, D> {
    async fn act(&mut self, act: &Act, tags: usize) -> Result<(), String> {
        if self.connection.is_none() {
            let connected = self.driver.connect(&self.endpoint).await;
            self.connection = Some(connected.map_err(|error| error.to_string())?);
        }
        let Some(connection) = &mut self.connection else { return Err("no connection".into()) };
        let got = match &act.what {
            What::Poll(expected) => {
                let mut out = Vec::new();
                let result = connection.poll(&mut self.device, GROUP, &mut Readings::new(&mut out, &SystemClock)).await;
                self.came_to(expected, result)?;
                one_for_each(&out, tags)?
            }
            What::Touch(expected) => {
                let result = connection.touch(&mut self.device).await;
                self.came_to(expected, result)?;
                Vec::new()
            }
            What::Write(tag, text) => {
                let of = self.device.tag_text(*tag);
                let value = parse_value(text, of.data_type, of.elements)?;
                let id = TagId(FIRST_ID + *tag as u32);
                vec![written(connection.write(&mut self.device, id, &value).await)]
            }
            What::Identify => {
                let facts = connection.identify(&mut self.device).await.map_err(|error| error.to_string())?;
                facts.into_iter().map(|fact| format!("{}={}", fact.label, fact.text)).collect()
            }
        };
        if got == act.expected { Ok(()) } else { Err(format!("expected {:?}, got {got:?}", act.expected)) }
    }

    fn came_to(&mut self, expected: &str, result: Result<Contact, LinkError>) -> Result<(), String> {
        let (word, more) = match result {
            Ok(Contact::Answered) => ("answered", String::new()),
            Ok(Contact::Silent) => ("silent", String::new()),
            Err(error) => {
                self.connection = None;
                ("lost", format!(" ({error})"))
            }
        };
        if word == expected { Ok(()) } else { Err(format!("expected {expected}, it came to {word}{more}")) }
    }
}

fn written(result: Result<WriteOutcome, LinkError>) -> String {
    match result {
        Ok(WriteOutcome::Written(value)) => format!("written {value}"),
        Ok(WriteOutcome::Failed(_)) => "failed".into(),
        Err(_) => "lost".into(),
    }
}

/// The readings by tag, as text.
fn one_for_each(readings: &[Reading], tags: usize) -> Result<Vec<String>, String> {
    (FIRST_ID..)
        .take(tags)
        .map(|id| {
            let mut of_tag = readings.iter().filter(|reading| reading.tag == TagId(id));
            match (of_tag.next(), of_tag.next()) {
                (Some(reading), None) => Ok(as_text(reading)),
                (None, _) => Err(format!("tag {} has no reading", id - FIRST_ID)),
                (Some(_), Some(_)) => Err(format!("tag {} has more than one reading", id - FIRST_ID)),
            }
        })
        .collect::<Result<Vec<_>, _>>()
        .and_then(|all| if readings.len() == tags { Ok(all) } else { Err("a reading of no tag".into()) })
}

fn as_text(reading: &Reading) -> String {
    match (reading.quality, &reading.value) {
        (Quality::Good, value) if *value != Value::None => value.to_string(),
        (Quality::Bad(reason), Value::None) if reading.status == 0 => format!("bad {reason}"),
        (Quality::Bad(reason), Value::None) => format!("bad {reason} {}", reading.status),
        (quality, value) => format!("{quality:?} with {value:?}"),
    }
}
