//! What runs, as far as a change has to know it, and a text prepared to take its place.

use std::sync::Arc;

use driver_core::LineSpec;

use super::Refused;
use super::diff::{Diff, Part};
use super::packed::Packed;
use crate::config::{self, BufferConfig, Checked, CommandsConfig, Config, Kinds, LogConfig, Source, UplinkConfig};
use crate::http::HttpConfig;
use crate::pipeline::assemble;
use crate::pipeline::command::rule::Writables;
use crate::pipeline::derive::Plan;
use crate::pipeline::findings::{self, Findings};
use crate::pipeline::gateway::{Next, RunningSpec};
use crate::pipeline::learned::LearnedFolder;
use crate::pipeline::recorder::RecorderConfig;
use crate::pipeline::scheduling::Scheduling;
use crate::pipeline::tags::Tags;

/// What runs.
#[derive(Clone)]
pub struct Running {
    /// The text that it came from.
    pub(super) text: Packed,
    pub(super) tags: Arc<Tags>,
    pub(super) specs: Vec<RunningSpec>,
    pub(super) uplinks: Vec<UplinkConfig>,
    pub(super) writables: Arc<Writables>,
    derived: Arc<Plan>,
    /// What was found in its devices.
    pub(super) findings: Arc<Findings>,
    fixed: Fixed,
}

/// What cannot be changed while the gateway runs.
#[derive(Clone, PartialEq)]
struct Fixed {
    gateway: Box<str>,
    buffer: BufferConfig,
    commands: CommandsConfig,
    http: HttpConfig,
    log: LogConfig,
    recorder: RecorderConfig,
    scheduling: Scheduling,
}

/// A text that can take the place of what runs.
pub(super) struct Prepared {
    pub(super) next: Next,
    pub(super) running: Running,
    pub(super) diff: Diff,
    pub(super) warnings: String,
}

impl Running {
    /// What runs once this configuration has been started; the gateway adds the specifications of its lines.
    pub fn of(config: &Config, text: &str, findings: Arc<Findings>) -> Running {
        Running {
            text: Packed::new(text),
            tags: config.tags.clone(),
            specs: Vec::new(),
            uplinks: config.uplinks.clone(),
            writables: config.writables.clone(),
            derived: config.derived.clone(),
            findings,
            fixed: Fixed {
                gateway: config.gateway.clone(),
                buffer: config.buffer.clone(),
                commands: config.commands,
                http: config.http.clone(),
                log: config.log,
                recorder: config.recorder,
                scheduling: config.scheduling,
            },
        }
    }

    /// The same, with the specifications of the lines that are polled.
    pub(super) fn with_specs(self, specs: Vec<RunningSpec>) -> Running {
        Running { specs, ..self }
    }

    /// Where what was found is kept.
    pub(super) fn found_folder(&self) -> LearnedFolder {
        findings::folder_in(&self.fixed.buffer.path)
    }

    /// Checks and plans a text of the file `name`, with what was found by now. It waits for no network; a large file takes its time.
    pub(super) fn prepare(&self, name: &str, text: &str, findings: &Arc<Findings>) -> Result<Prepared, Refused> {
        let source = Source::new(name, text);
        let Checked { config, lines, warnings } =
            config::check_after(source, Kinds::of_this_build(), Some(&self.tags), findings).map_err(Refused::from)?;
        let running = Running::of(&config, text, findings.clone());
        let keys = self.fixed.differing(&running.fixed);
        if !keys.is_empty() {
            return Err(Refused::Restart(keys));
        }
        let before = self.specs.iter().map(|(name, spec)| -> (&str, &LineSpec) { (name, spec) });
        let after = config.lines.iter().map(|line| -> (&str, &LineSpec) { (&line.name, &line.spec) });
        let diff = Diff::between(&self.part(before.collect()), &running.part(after.collect()));
        let warnings = warnings.to_string();
        Ok(Prepared { next: assemble::next(config, lines, &self.specs), running, diff, warnings })
    }

    fn part<'a>(&'a self, lines: Vec<(&'a str, &'a LineSpec)>) -> Part<'a> {
        Part { lines, tags: &self.tags, uplinks: &self.uplinks, writables: &self.writables, derived: &self.derived }
    }
}

impl Fixed {
    fn differing(&self, other: &Fixed) -> Vec<&'static str> {
        let same = [
            ("gateway", self.gateway == other.gateway),
            ("buffer", self.buffer == other.buffer),
            ("commands", self.commands == other.commands),
            ("http", self.http == other.http),
            ("log", self.log == other.log),
            ("recorder", self.recorder == other.recorder),
            ("scheduling", self.scheduling == other.scheduling),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }
}
