//! What changes, as it changes: server-sent events for the status page.
//!
//! ```text
//! event: tags      {"tags":7,"shown":[{"device":…,"tag":…,"unit":…,"write":…},…]}   once
//! event: status    the same as /api/v1/status                                     each second
//! event: values    [[place in shown, value, quality, reason, time, last good value, its time],…]   those that changed
//! event: events    [{"number":…,"time":…,"level":…,"text":…},…]                   those that are new
//! ```
//!
//! Nothing runs between the connections: the next piece is made when the client has taken the one before, so that a slow
//! client makes none wait, and costs no memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use driver_core::{TagId, Timestamp, Value as Held};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::query::Query;
use super::reply::{Answer, Content, busy, of};
use super::tags::{Patterns, limit, named};
use super::{past, status};
use crate::events::{Event, Events};
use crate::pipeline::latest::Last;
use crate::pipeline::vitals::{Present, Vitals};

/// What a request may say.
pub(super) const PARAMETERS: [&str; 2] = ["match", "limit"];

/// How many watch at once.
pub(super) const WATCHERS_MAX: usize = 8;

const EVERY: Duration = Duration::from_secs(1);

/// After this long the stream ends, and the browser asks anew; before the connection's own end.
const LASTS: Duration = Duration::from_secs(100);

/// The longest value that is shown, characters.
const VALUE_CHARS_MAX: usize = 120;

/// Begins to tell.
pub(super) async fn answer(
    present: &Present,
    events: &Arc<Events>,
    places: &Arc<Semaphore>,
    query: &Query,
) -> Result<Answer, String> {
    let (patterns, limit) = (Patterns::of(query)?, limit(query)?);
    let Ok(place) = places.clone().try_acquire_owned() else {
        return Ok(busy(&format!("{WATCHERS_MAX} watch already, close a page elsewhere")));
    };
    let vitals = &*present.get();
    past::look(vitals).await;
    let chosen = patterns.choose(&vitals.tags, limit);
    let now = Instant::now();
    let watcher = Watcher {
        seen: vec![None; chosen.tags.len()],
        first: Some(first(vitals, &chosen.tags, chosen.meant)),
        tags: chosen.tags,
        present: present.clone(),
        events: events.clone(),
        told: 0,
        next: now,
        until: now + LASTS,
        _place: place,
    };
    Ok(of(StatusCode::OK, "text/event-stream", Content::Live(Live { turn: Box::pin(watcher.turn()) })))
}

fn first(vitals: &Vitals, tags: &[TagId], meant: usize) -> Value {
    let shown = tags.iter().filter_map(|tag| named(vitals, *tag));
    json!({ "tags": meant, "shown": shown.collect::<Value>() })
}

/// One that watches.
struct Watcher {
    tags: Vec<TagId>,
    /// The time of the reading that was told last.
    seen: Vec<Option<Timestamp>>,
    first: Option<Value>,
    present: Present,
    events: Arc<Events>,
    /// The number of the event that was told last.
    told: u64,
    next: Instant,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

/// Its next piece, which is being made.
pub(super) struct Live {
    turn: Turn,
}

type Turn = Pin<Box<dyn Future<Output = Option<(Watcher, Bytes)>>>>;

impl Live {
    /// The next piece; `None` at the end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some((watcher, bytes)) = ready!(self.turn.as_mut().poll(context)) else {
            self.turn = Box::pin(std::future::ready(None));
            return Poll::Ready(None);
        };
        self.turn = Box::pin(watcher.turn());
        Poll::Ready(Some(bytes))
    }
}

impl Watcher {
    async fn turn(mut self) -> Option<(Watcher, Bytes)> {
        sleep_until(self.next).await;
        let now = Instant::now();
        if now >= self.until {
            return None;
        }
        // A client that was slow is told what holds now, and not what it missed.
        self.next = now.max(self.next) + EVERY;
        let vitals = self.present.get();
        past::look(&vitals).await;
        let mut text = String::new();
        if let Some(first) = self.first.take() {
            put(&mut text, "tags", &first);
        }
        put(&mut text, "status", &status::json(&vitals, &vitals.log_state().await));
        let values = self.values(&vitals);
        if !values.is_empty() {
            put(&mut text, "values", &Value::from(values));
        }
        let events = self.events.after(self.told);
        if let Some(last) = events.last() {
            self.told = last.number;
            put(&mut text, "events", &events.iter().map(event_json).collect());
        }
        Some((self, Bytes::from(text)))
    }

    fn values(&mut self, vitals: &Vitals) -> Vec<Value> {
        let last = vitals.watched.latest.of(&self.tags);
        let mut changed = Vec::new();
        for (place, (last, seen)) in last.iter().zip(&mut self.seen).enumerate() {
            if let Some(last) = last.as_ref().filter(|last| *seen != Some(last.at)) {
                *seen = Some(last.at);
                changed.push(value_json(place, last));
            }
        }
        changed
    }
}

fn value_json(place: usize, last: &Last) -> Value {
    let good = last.good.as_ref().map(|good| (text_of(&good.0), millis(good.1)));
    let (good, good_at) = good.unzip();
    let reason = last.quality.reason().map(|reason| reason.name());
    json!([place, text_of(&last.value), last.quality.level().name(), reason, millis(last.at), good, good_at])
}

/// As text: a browser's numbers do not hold 64 bits.
fn text_of(value: &Held) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(VALUE_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn millis(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

/// One of the things that the gateway said.
pub(super) fn event_json(event: &Event) -> Value {
    json!({
        "number": event.number,
        "time": event.time.to_string(),
        "level": event.level.as_str().to_ascii_lowercase(),
        "text": event.text,
    })
}

/// One event (WHATWG HTML, 9.2.6); JSON holds no line ends.
fn put(text: &mut String, name: &str, value: &Value) {
    text.push_str("event: ");
    text.push_str(name);
    text.push_str("\ndata: ");
    text.push_str(&value.to_string());
    text.push_str("\n\n");
}
