//! `forebay check --connect`: every device and every uplink of the file is tried once, beside a gateway that may run.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use driver_core::{Contact, DeviceSpec, GroupId, Line, LineSpec, LinkError, Reading, Readings, SystemClock};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::command::advice::words;
use crate::config::{Checked, LineConfig, UplinkConfig};
use crate::pipeline::schema::Schema;
use crate::uplink;

/// How many lines and uplinks are tried at once: enough for a plant, and few enough for its network.
const AT_ONCE_MAX: usize = 64;

/// How long one device may take for all its tags: at a second a request, many more are not read.
const DEVICE_WITHIN: Duration = Duration::from_secs(15);

/// What came of one device or uplink.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) what: What,
    pub(super) name: Box<str>,
    pub(super) url: Box<str>,
    /// The error says what is wrong and what to do.
    pub(super) outcome: Result<Found, String>,
}

/// Which part of the file was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Device,
    Uplink,
}

/// What answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A device; its tags were read once.
    Tags(TagsRead),
    /// A destination, in its own words.
    FarSide(String),
}

/// How a device's tags were read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TagsRead {
    pub(super) good: usize,
    /// The names of the others, by the reason and what is to be said of it.
    pub(super) bad: BTreeMap<(&'static str, String), Vec<Box<str>>>,
}

impl Tried {
    /// Whether all is as the file has it.
    pub(super) fn is_good(&self) -> bool {
        match &self.outcome {
            Ok(Found::Tags(read)) => read.bad.is_empty(),
            Ok(Found::FarSide(_)) => true,
            Err(_) => false,
        }
    }
}

/// Tries everything, in the order of the file: devices, then uplinks.
pub(super) async fn connect(checked: Checked) -> Vec<Tried> {
    let Checked { config, lines, .. } = checked;
    let names = config.tags.schema().clone();
    let gateway: Arc<str> = config.gateway.into();
    let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut tasks = JoinSet::new();
    for (place, (line_config, line)) in config.lines.into_iter().zip(lines).enumerate() {
        let (names, turns) = (names.clone(), turns.clone());
        tasks.spawn(async move { (place, in_turn(&turns, try_line(line_config, line, &names)).await) });
    }
    let before = tasks.len();
    for (place, uplink) in config.uplinks.into_iter().enumerate() {
        let (gateway, turns) = (gateway.clone(), turns.clone());
        tasks.spawn(async move { (before + place, vec![in_turn(&turns, try_uplink(&gateway, uplink)).await]) });
    }
    let (all, mut tried) = (tasks.len(), Vec::new());
    let is_shown = io::stderr().is_terminal();
    while let Some(outcome) = tasks.join_next().await {
        tried.push(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())));
        if is_shown {
            eprint!("\r\x1b[K{} of {all} connections tried", tried.len());
        }
    }
    if is_shown {
        eprint!("\r\x1b[K");
    }
    tried.sort_by_key(|(place, _)| *place);
    tried.into_iter().flat_map(|(_, of_one)| of_one).collect()
}

async fn in_turn<T>(turns: &Semaphore, task: impl Future<Output = T>) -> T {
    // The semaphore is never closed; without a turn it would only be tried at once.
    let turn = turns.acquire().await;
    let outcome = task.await;
    drop(turn);
    outcome
}

async fn try_uplink(gateway: &str, config: UplinkConfig) -> Tried {
    let spec = config.spec(gateway, "");
    let trial = match uplink::find(spec.url.scheme()) {
        Some(uplink) => uplink.trial(&spec).map_err(|errors| joined(&errors)),
        None => Err(format!("there is no uplink for `{}` in this build", spec.url.scheme())),
    };
    let outcome = match trial {
        Ok(trial) => trial.await.map(Found::FarSide).map_err(|error| error.to_string()),
        Err(cause) => Err(cause),
    };
    Tried { what: What::Uplink, name: config.name, url: spec.url.as_str().into(), outcome }
}

fn joined(errors: &[impl Display]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The devices of a line, one after another; what does not answer is asked once and no more.
async fn try_line(config: LineConfig, mut line: Box<dyn Line>, names: &Schema) -> Vec<Tried> {
    let LineConfig { spec, .. } = config;
    let mut tried = Vec::with_capacity(spec.devices.len());
    for (index, device) in spec.devices.iter().enumerate() {
        let outcome = try_device(line.as_mut(), index, &spec, names).await;
        let (name, url) = (device.name.clone(), spec.url.as_str().into());
        tried.push(Tried { what: What::Device, name, url, outcome: outcome.map(Found::Tags) });
    }
    line.close().await;
    tried
}

async fn try_device(line: &mut dyn Line, index: usize, spec: &LineSpec, names: &Schema) -> Result<TagsRead, String> {
    let device = &spec.devices[index];
    if !line.is_connected() {
        line.connect().await.map_err(|error| error.to_string())?;
    }
    let mut readings = Vec::new();
    match timeout(DEVICE_WITHIN, read(line, index, device, &mut readings)).await {
        Ok(Ok(Contact::Answered)) => Ok(sorted(&readings, spec.url.scheme(), names)),
        Ok(Ok(Contact::Silent)) => Err(format!(
            "it did not answer, though the line is up{}. Check its power, its cable and its unit number",
            device.unit.map(|unit| format!(" (unit {unit})")).unwrap_or_default()
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => {
            // What was on its way would be taken for the next device's: the connection is given up.
            line.close().await;
            Err(format!(
                "its tags were not read within {} s, {} of them were. Poll fewer, or less often; `forebay plan` shows the \
                 load of the line",
                DEVICE_WITHIN.as_secs(),
                readings.len()
            ))
        }
    }
}

/// Reads every tag once, unless the device is silent from the start.
async fn read(
    line: &mut dyn Line,
    index: usize,
    device: &DeviceSpec,
    readings: &mut Vec<Reading>,
) -> Result<Contact, LinkError> {
    if line.touch(index).await? == Contact::Silent {
        return Ok(Contact::Silent);
    }
    for group in (0..device.groups.len()).filter_map(|group| u16::try_from(group).ok()) {
        line.poll(index, GroupId(group), &mut Readings::new(readings, &SystemClock)).await?;
    }
    Ok(Contact::Answered)
}

fn sorted(readings: &[Reading], scheme: &str, names: &Schema) -> TagsRead {
    let mut read = TagsRead::default();
    for reading in readings {
        match reading.quality.reason() {
            None => read.good += 1,
            Some(reason) => {
                let name = names.tag(reading.tag).map(|names| names.tag).unwrap_or_default();
                let said = words(scheme, reason, reading.status);
                read.bad.entry((reason.name(), said)).or_default().push(name.into());
            }
        }
    }
    read
}
