//! What the gateway said lately: the last messages of its log, for whoever looks at it from elsewhere.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use driver_core::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::pipeline::recorder;

/// How many messages are kept.
pub const EVENTS_MAX: usize = 256;

/// The longest message, characters; a longer one is cut.
const TEXT_CHARS_MAX: usize = 500;

/// The last messages.
#[derive(Debug, Default)]
pub struct Events(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// The number of the last one.
    last: u64,
    kept: VecDeque<Event>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts from 1 since the start.
    pub number: u64,
    /// When it was said.
    pub time: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What was said, with its fields.
    pub text: String,
}

impl Events {
    /// Those after this number, oldest first; 0: all that are kept.
    pub fn after(&self, number: u64) -> Vec<Event> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.kept.iter().filter(|event| event.number > number).cloned().collect()
    }

    /// Keeps one, and forgets the oldest where there is no room.
    pub fn keep(&self, time: Timestamp, level: Level, text: String) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last += 1;
        let number = ring.last;
        if ring.kept.len() == EVENTS_MAX {
            ring.kept.pop_front();
        }
        ring.kept.push_back(Event { number, time, level, text });
    }
}

/// Listens to the log.
pub struct Listener(pub Arc<Events>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // Frames in words would push out all else.
        if event.metadata().target() == recorder::WIRE {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let mut text = said.message;
        text.push_str(&said.fields);
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
            text.push('…');
        }
        self.0.keep(Timestamp::from(SystemTime::now()), *event.metadata().level(), text);
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn what_was_said_is_kept_in_bounds_and_in_order() {
        let events = Arc::new(Events::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Listener(events.clone())), || {
            tracing::warn!(device = "press", tries = 3, "does not answer: {}", "why");
            tracing::info!(target: recorder::WIRE, "-> 00 01");
            tracing::info!("{}", "ö".repeat(2 * TEXT_CHARS_MAX));
        });
        let all = events.after(0);
        assert_eq!((all[0].level, all[0].text.as_str()), (Level::WARN, "does not answer: why device=press tries=3"));
        assert_eq!(all[1].text.chars().count(), TEXT_CHARS_MAX + 1);
        assert_eq!(events.after(1), all[1..]);
        (0..2 * EVENTS_MAX).for_each(|_| events.keep(Timestamp(0), Level::INFO, String::new()));
        let all = events.after(0);
        assert_eq!((all.len(), all[EVENTS_MAX - 1].number), (EVENTS_MAX, 2 * EVENTS_MAX as u64 + 2));
    }
}
