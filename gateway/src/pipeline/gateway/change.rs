//! Another configuration while the gateway runs: only what is another begins anew.
//!
//! The names of new tags are on disk before the first of them is polled. Lines that are the same miss no poll, uplinks that
//! are the same keep their connections; those that list all tags begin anew when the list is another.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use buffer::UplinkOptions;
use driver_core::TagId;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::error;

use super::north::North;
use super::start::tapped;
use super::{Gateway, RunningLine, RunningSpec, RunningUplink, StartError, health_of, names_of, site, with_lane};
use crate::config::UplinkConfig;
use crate::pipeline::acquire;
use crate::pipeline::command::desk::Plant;
use crate::pipeline::command::rule::Writables;
use crate::pipeline::deliver::{self, UplinkSetup};
use crate::pipeline::derive::Plan;
use crate::pipeline::poll::LineSetup;
use crate::pipeline::tags::Tags;
use crate::pipeline::vitals::Vitals;
use crate::pipeline::watched::Watched;
use crate::uplink::{ListsTags, TagType, find, format};

/// How long one of the threads may take for its part of a change.
const PART_WITHIN: Duration = Duration::from_secs(10);

/// What takes the place of what runs.
pub struct Next {
    /// All lines, in the order of the configuration.
    pub lines: Vec<NextLine>,
    /// All tags; those that go on have the ids that they had.
    pub tags: Arc<Tags>,
    /// All uplinks.
    pub uplinks: Vec<UplinkConfig>,
    /// The uplinks as the log has to know them.
    pub uplink_options: Vec<UplinkOptions>,
    /// The types of the tags, where a format announces them; else empty.
    pub types: Arc<[TagType]>,
    /// What commands may write.
    pub writables: Arc<Writables>,
    /// Tags that are read so rarely that who looks would wait for them.
    pub rare: Vec<TagId>,
    /// What is made of other tags.
    pub derived: Arc<Plan>,
}

/// A line of the next configuration.
pub enum NextLine {
    /// The running one with this index goes on.
    Same(usize),
    /// It begins.
    New(Box<LineSetup>),
}

/// What is done with the places of uplinks that are there no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The log keeps their readings, as the change may be taken back.
    Places,
    /// They are forgotten.
    Nothing,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The names of the tags cannot be kept. Nothing has changed.
    #[error(
        "the names of the tags cannot be written beside the buffer: {0}; make room, or give the right to write there"
    )]
    Names(io::Error),
    /// The log does not take the uplinks.
    #[error("the buffer does not take the uplinks: {0}")]
    Declare(buffer::Error),
    /// An uplink cannot be opened. Nothing has changed.
    #[error("{0}")]
    Uplink(StartError),
    /// A thread does not answer.
    #[error("the thread for {0} does not answer; please report this, and restart the gateway")]
    Silent(&'static str),
}

impl Gateway {
    /// The lines that are polled.
    pub fn specs(&self) -> Vec<RunningSpec> {
        self.lines.iter().map(|line| (line.names.name.clone(), line.spec.clone())).collect()
    }

    /// Goes on with another configuration.
    ///
    /// # Errors
    /// Nothing has changed, unless a thread does not answer.
    pub async fn change(&mut self, next: Next, keep: Keep) -> Result<(), ChangeError> {
        let Next { lines, tags, uplinks, uplink_options, types, writables, rare, derived } = next;
        let site = site(&tags, types.clone(), &self.buffer, &self.clock);
        let tags_listed = if *tags.live_schema() == *self.tags.live_schema() && types == self.types {
            Listed::Same
        } else {
            Listed::New
        };
        let north = North {
            gateway: &self.name,
            buffer: &self.buffer,
            site: &site,
            log: &self.log,
            redate: &self.redate,
            desk: &self.desk,
        };
        let (next_uplinks, beginning) = self.sort(&uplinks, tags_listed, &north).map_err(ChangeError::Uplink)?;
        within("the buffer", self.log.name(&tags)).await?.map_err(ChangeError::Names)?;

        let watched = Arc::new(Watched::new(tags.len(), writables.watched().chain(rare)));
        self.change_lines(lines, (&tags, derived), &watched).await?;
        self.desk_thread.change(Plant {
            tags: tags.clone(),
            writables: writables.clone(),
            watched: watched.clone(),
            derived: self.acquisition.derived_lane().clone(),
            lanes: self.lines.iter().map(|line| line.lane.clone()).collect(),
            uplinks: next_uplinks.iter().map(|uplink| uplink.counters.clone()).collect(),
        });
        self.change_uplinks(next_uplinks, beginning, uplink_options, keep).await?;
        (self.tags, self.types) = (tags, types);
        self.show(watched, writables);
        Ok(())
    }

    /// All uplinks of the next configuration, and those of them that begin anew.
    fn sort(
        &self,
        uplinks: &[UplinkConfig],
        listed: Listed,
        north: &North<'_>,
    ) -> Result<(Vec<RunningUplink>, Vec<UplinkSetup>), StartError> {
        let (mut all, mut beginning) = (Vec::new(), Vec::new());
        for config in uplinks {
            let before = self.uplinks.iter().find(|running| running.config.name == config.name);
            let counters = before.map(|running| running.counters.clone()).unwrap_or_default();
            let goes_on = before.is_some_and(|running| running.config == *config);
            if !goes_on || (listed == Listed::New && lists_tags(config)) {
                beginning.push(north.setup(config, counters.clone())?);
            }
            all.push(RunningUplink { config: config.clone(), counters });
        }
        Ok((all, beginning))
    }

    async fn change_lines(
        &mut self,
        lines: Vec<NextLine>,
        (tags, derived): (&Arc<Tags>, Arc<Plan>),
        watched: &Arc<Watched>,
    ) -> Result<(), ChangeError> {
        let mut ending: Vec<Option<RunningLine>> = self.lines.iter().cloned().map(Some).collect();
        let (mut running, mut begin) = (Vec::new(), Vec::new());
        for line in lines {
            match line {
                NextLine::Same(at) => running.extend(ending.get_mut(at).and_then(Option::take)),
                NextLine::New(mut setup) => {
                    // Its figures count on where it has the same devices and intervals.
                    let names = names_of(&setup);
                    if let Some(before) = self.lines.iter().find(|line| *line.names == names) {
                        setup.health = before.health.clone();
                    }
                    let (line, started) = with_lane(tapped(*setup, self.vitals.get().recorders.as_deref()));
                    running.push(line);
                    begin.push(started);
                }
            }
        }
        let end = ending.into_iter().flatten().map(|line| line.names.name.clone()).collect();
        let (done, changed) = oneshot::channel();
        let change = acquire::Change { tags: tags.clone(), derived, watched: watched.clone(), end, begin, done };
        if self.acquisition.changes().send(change).await.is_err() {
            return Err(ChangeError::Silent("polls"));
        }
        within("polls", changed).await?;
        self.lines = running;
        Ok(())
    }

    async fn change_uplinks(
        &mut self,
        next: Vec<RunningUplink>,
        beginning: Vec<UplinkSetup>,
        options: Vec<UplinkOptions>,
        keep: Keep,
    ) -> Result<(), ChangeError> {
        let goes_on = |name: &str| {
            next.iter().any(|uplink| &*uplink.config.name == name)
                && !beginning.iter().any(|setup| &*setup.spec.name == name)
        };
        let names = self.uplinks.iter().map(|uplink| uplink.config.name.clone());
        let names: Vec<Box<str>> = names.filter(|name| !goes_on(name)).collect();
        if !names.is_empty() {
            let (done, ended) = oneshot::channel();
            self.tell_uplinks(deliver::Change::End { names, done }).await?;
            within("uplinks", ended).await?;
        }
        self.declare(options, keep).await?;
        if !beginning.is_empty() {
            self.tell_uplinks(deliver::Change::Begin(beginning)).await?;
        }
        self.uplinks = next;
        Ok(())
    }

    async fn tell_uplinks(&self, change: deliver::Change) -> Result<(), ChangeError> {
        self.delivery.changes().send(change).await.map_err(|_| ChangeError::Silent("uplinks"))
    }

    /// Tells the log which uplinks there are; while a change may be taken back, those that it took away are still there.
    async fn declare(&self, mut options: Vec<UplinkOptions>, keep: Keep) -> Result<(), ChangeError> {
        if keep == Keep::Places {
            let gone = self.uplinks.iter().filter(|uplink| !options.iter().any(|one| *one.name == *uplink.config.name));
            let gone = gone
                .map(|uplink| UplinkOptions { name: uplink.config.name.to_string(), lag_max: uplink.config.lag_max });
            options.extend(gone.collect::<Vec<_>>());
        }
        within("the buffer", self.log.declare(&options)).await?.map_err(ChangeError::Declare)
    }

    /// Forgets the places of uplinks that the last change took away, now that it stays.
    pub async fn forget_places(&self) {
        let options = self
            .uplinks
            .iter()
            .map(|uplink| UplinkOptions { name: uplink.config.name.to_string(), lag_max: uplink.config.lag_max });
        if let Err(cause) = self.declare(options.collect(), Keep::Nothing).await {
            error!("readings are kept for uplinks that are there no more until the next start: {cause}");
        }
    }

    fn show(&mut self, watched: Arc<Watched>, writables: Arc<Writables>) {
        self.health = health_of(&self.lines);
        self.vitals.replace(Vitals {
            gateway: self.name.clone(),
            since: self.begun,
            lines: self.lines.iter().map(|line| line.names.clone()).collect(),
            tags: self.tags.clone(),
            watched,
            health: self.health.clone(),
            log: self.log.clone(),
            buffer: self.buffer.clone(),
            buffer_bytes_max: self.buffer_bytes_max,
            redate: self.redate.clone(),
            uplinks: self.uplinks.iter().map(RunningUplink::vitals).collect(),
            writables,
            desk: self.desk.clone(),
            clock: self.clock.clone(),
            reload: self.reload.clone(),
            recorders: self.vitals.get().recorders.clone(),
        });
    }
}

/// Whether the list of all tags is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Same,
    New,
}

fn lists_tags(uplink: &UplinkConfig) -> bool {
    let itself = find(uplink.url.scheme()).is_some_and(|kind| kind.info().lists_tags == ListsTags::Uplink);
    itself || format::announces_types(uplink.format.as_deref())
}

/// A thread's answer, in time.
async fn within<T, E>(who: &'static str, answer: impl Future<Output = Result<T, E>>) -> Result<T, ChangeError> {
    match timeout(PART_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(ChangeError::Silent(who)),
    }
}
