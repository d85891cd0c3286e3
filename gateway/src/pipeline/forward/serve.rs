//! What goes on while there is a connection: messages leave, what comes back is taken in.

use buffer::Seq;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::backlog::Backlog;
use super::counters::{count, state};
use super::poison::About;
use super::replay::{Job, What};
use super::window::Returned;
use super::{ACKNOWLEDGED_WITHIN, Ended, Forward, Over, is_news};
use crate::pipeline::store::StoreClosed;
use crate::uplink::{EndedBy, Event, Lasting, Loss, Refusal, Token};

impl<B: Backlog> Forward<B> {
    /// Sends and takes in what comes back for as long as there is a connection.
    pub(super) async fn serve(&mut self, stop: &mut oneshot::Receiver<()>) -> Over {
        let mut events = Vec::new();
        self.heard_at = Instant::now();
        self.lanes.connected(self.heard_at.into_std());
        self.window.connected(self.heard_at.into_std(), &mut self.jitter);
        loop {
            self.keep_convicted().await;
            self.fill();
            let end = *self.end.borrow();
            self.lanes.read_on(&self.log, &self.delivered, end);
            if let Some(job) = self.lanes.job_news(&mut self.window, Instant::now().into_std()) {
                self.requests.keep(&job).await;
            }
            let until = self.wake_at();
            // Every arm may be cancelled: the read goes on where it was, events are taken in as a whole or not at all.
            tokio::select! {
                biased;
                _ = &mut *stop => return Over::Ended(Ended::Stopped),
                arrived = self.lanes.arrived(&self.delivered) => if arrived.is_err() {
                    return Over::Ended(Ended::StoreClosed);
                },
                () = self.publisher.events(&mut events) => {}
                job = self.requests.next(), if !self.lanes.is_sending_again() => if self.begin(job, end).await.is_err() {
                    return Over::Ended(Ended::StoreClosed);
                },
                (to, answer) = self.commands.answered() => self.publisher.answer(to, &answer),
                () = sleep_until(until) => {}
            }
            if let Some(loss) = self.take_in(&mut events).await {
                return Over::Lost(loss);
            }
            if let Some(loss) = self.overdue().await {
                return Over::Lost(loss);
            }
            if self.commit_at.is_some_and(|at| at <= Instant::now()) {
                self.commit();
            }
        }
    }

    /// Begins with a job.
    async fn begin(&mut self, job: Job, end: Seq) -> Result<(), StoreClosed> {
        match job.what.clone() {
            What::Range(range) => {
                let from = self.log.seek(range.from_ns).await?;
                self.lanes.replay(job, range, from, end);
            }
            What::Quarantined(_) => self.lanes.retry(job, self.quarantine.clone()),
        }
        Ok(())
    }

    /// Hands over as much as the window and the far side take.
    fn fill(&mut self) {
        let now = Instant::now();
        self.window.wake(now.into_std());
        loop {
            let (room, was_idle) = (self.publisher.room(), self.window.sent() == 0);
            if room == 0 {
                break;
            }
            if let Some(message) = self.window.next_to_send(room, now.into_std()) {
                self.publisher.send(message);
                count(&self.counters.sent, 1);
                if was_idle {
                    self.heard_at = now;
                }
            } else if !self.lanes.make_message(&mut self.window, now.into_std()) {
                break;
            }
        }
        if self.window.has_done() {
            self.commit_soon();
        }
        state(&self.counters.in_flight, self.window.sent() as u64);
    }

    fn wake_at(&self) -> Instant {
        let waiting =
            [self.window.wake_at(), self.lanes.wake_at(Instant::now().into_std())].map(|at| at.map(Instant::from_std));
        let overdue = self.heard_at + ACKNOWLEDGED_WITHIN;
        waiting.into_iter().chain([self.commit_at]).flatten().fold(overdue, Instant::min)
    }

    pub(super) async fn take_in(&mut self, events: &mut Vec<Event>) -> Option<Loss> {
        if events.is_empty() {
            return None;
        }
        self.commit_soon();
        self.heard_at = Instant::now();
        let now = self.heard_at.into_std();
        for event in events.drain(..) {
            match event {
                Event::Acknowledged(token) => {
                    let returned = self.window.acknowledged(token, now);
                    if let Returned::Delivered(message, took) = &returned {
                        self.accepted.note(message);
                        self.lanes.returned(message, Some(*took), now);
                    }
                    self.note_returned(&returned);
                }
                Event::Refused(token, refusal) => {
                    self.refused(token, refusal).await;
                    // To keep it elsewhere may have taken long.
                    self.heard_at = Instant::now();
                }
                Event::Lost(loss) => return Some(loss),
                Event::Command(inbound) => self.commands.submit(*inbound),
            }
        }
        None
    }

    fn note_returned(&mut self, returned: &Returned) {
        match returned {
            Returned::Delivered(..) => count(&self.counters.acknowledged, 1),
            Returned::Unknown => count(&self.counters.unknown, 1),
            Returned::Again | Returned::Poison(_) => count(&self.counters.refused, 1),
        }
    }

    async fn refused(&mut self, token: Token, refusal: Refusal) {
        let returned = self.window.refused(token, refusal.lasting, Instant::now().into_std());
        self.note_returned(&returned);
        if is_news(&refusal.reason, &mut self.told.refused) {
            warn!(uplink = &*self.name, "the far side refuses messages: {}. They are offered again.", refusal.reason);
        }
        if let Returned::Poison(token) = returned {
            let about = match refusal.lasting {
                Lasting::ForThisSize => About::ItsSize,
                Lasting::ForThisMessage | Lasting::ForNow => About::TheMessage,
            };
            self.refused_for_good(token, about, &refusal.reason).await;
        }
    }

    /// Leaves a far side that takes messages and acknowledges none, be they those of the log or what the publisher sent of
    /// itself and has no room beside.
    async fn overdue(&mut self) -> Option<Loss> {
        if self.publisher.waits() || (self.window.sent() == 0 && self.publisher.room() > 0) {
            self.heard_at = Instant::now();
            return None;
        }
        if self.heard_at.elapsed() < ACKNOWLEDGED_WITHIN {
            return None;
        }
        self.publisher.close().await;
        let (sent, seconds) = (self.window.sent(), ACKNOWLEDGED_WITHIN.as_secs());
        let reason = format!(
            "nothing was acknowledged for {seconds} s, {sent} messages were on their way. They are sent again; look into \
             the far side's log"
        );
        Some(Loss { reason, by: EndedBy::Network })
    }
}
