//! The way to one cluster: moves what the producer asks and what brokers answer, and keeps the journal before them.

mod asking;
mod life;

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use self::asking::understood;
use self::life::{Life, SHORTEN_EVERY, back, brought_back, shortening};
use super::config::Config;
use super::fleet::{Fleet, Happened, NodeId};
use super::journal::{Journal, Memory};
use super::producer::{Answer, Figures, Producer};
use crate::backoff::{Backoff, Jitter};
use crate::uplink::stream::Failure;
use crate::uplink::{
    BoxFuture, CONNECT_WITHIN, ConnectError, Degraded, Delivered, EndedBy, Event, Hold, Loss, Message, Publisher,
    SeqRange, Traffic,
};

/// How seldom a broker is called that fails again and again.
const LEADER_BACKOFF: Backoff = Backoff {
    shortest: Duration::from_millis(100),
    first: Duration::from_millis(500),
    longest: Duration::from_secs(30),
    steady: Duration::from_secs(10),
};

/// A publisher to one cluster.
pub(super) struct KafkaPublisher {
    config: Arc<Config>,
    /// Where the journal is kept; without it nothing is remembered.
    folder: Option<PathBuf>,
    /// What the log knows to be delivered.
    delivered: Option<Delivered>,
    /// Keeps what may have to be sent again as it is.
    hold: Option<Hold>,
    /// What the log was told last.
    held: Vec<SeqRange>,
    life: Option<Life>,
    fleet: Fleet,
    is_connected: bool,
    /// Bootstrap hosts and brokers that could not be reached since the last answer.
    unreachable: Vec<NodeId>,
    /// How often in a row a broker could not be reached, or broke the connection before it had answered.
    failures: BTreeMap<NodeId, u32>,
    jitter: Jitter,
}

impl KafkaPublisher {
    pub(super) fn new(
        config: Arc<Config>,
        folder: Option<PathBuf>,
        delivered: Option<Delivered>,
        hold: Option<Hold>,
    ) -> KafkaPublisher {
        let fleet = Fleet::new(config.clone());
        KafkaPublisher {
            config,
            folder,
            delivered,
            hold,
            held: Vec::new(),
            life: None,
            fleet,
            is_connected: false,
            unreachable: Vec::new(),
            failures: BTreeMap::new(),
            jitter: Jitter::random(),
        }
    }

    async fn open(&mut self) -> Result<(), ConnectError> {
        self.fleet.drop_all();
        self.unreachable.clear();
        self.failures.clear();
        let outcome = match self.begin() {
            Ok(()) => match timeout(CONNECT_WITHIN * 2, self.first_answer()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure {
                    cause: format!("no answer within {} s", CONNECT_WITHIN.as_secs() * 2),
                    advice: "Check that Kafka brokers listen there: the ports, and whether they want TLS (kafkas://)",
                }),
            },
            Err(cause) => Err(Failure {
                cause: format!("the journal of what was sent cannot be opened: {cause}"),
                advice: "Look after the disk and the rights of the buffer's folder",
            }),
        };
        outcome.map_err(|Failure { cause, advice }| {
            self.over();
            ConnectError { endpoint: self.config.endpoint.to_string(), cause, advice }
        })
    }

    /// Reads the journal, once.
    fn begin(&mut self) -> io::Result<()> {
        if self.life.is_some() {
            return Ok(());
        }
        let (journal, memory) = match &self.folder {
            Some(folder) => {
                let (journal, memory) = Journal::open(folder, &self.config.name, &boot())?;
                (Some(journal), memory)
            }
            None => (None, Memory::default()),
        };
        self.life = Some(Life {
            journal,
            away: None,
            must_mend: false,
            producer: Producer::new(&self.config, memory),
            asks: HashMap::new(),
            waiting: Vec::new(),
            write_at: None,
            unwritten: Vec::new(),
            entries: Vec::new(),
            write_told: false,
            shorten_at: Instant::now() + SHORTEN_EVERY,
            shortening: None,
        });
        self.hold();
        Ok(())
    }

    /// Has the log keep as it is what may have to go again under the same sequences: the same records then come of it.
    fn hold(&mut self) {
        let (Some(hold), Some(life)) = (&self.hold, &self.life) else { return };
        let open = life.producer.open_seqs();
        if open != self.held {
            hold(open.clone());
            self.held = open;
        }
    }

    /// Waits until one broker has told of the cluster.
    async fn first_answer(&mut self) -> Result<(), Failure> {
        self.is_connected = true;
        loop {
            if let Err(loss) = self.drive() {
                return Err(Failure { cause: loss.reason, advice: "" });
            }
            let happened = tokio::select! {
                biased;
                happened = poll_fn(|cx| self.fleet.poll(cx)) => happened,
                () = brought_back(&mut self.life, &self.config.name) => continue,
            };
            match happened {
                Happened::Failed(node, failure) => {
                    self.unreachable.push(node);
                    if self.candidates().next().is_none() {
                        return Err(failure);
                    }
                    self.give_up_on(node);
                }
                happened => {
                    let answered = matches!(happened, Happened::Answered(..));
                    if let Err(loss) = self.took(happened) {
                        return Err(Failure { cause: loss.reason, advice: "Look into the broker's log" });
                    }
                    if answered {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Brokers that may be asked anything, the open ones first.
    fn candidates(&self) -> impl Iterator<Item = NodeId> {
        let open = self.fleet.any_open();
        let known = self.fleet.known();
        let unreachable = self.unreachable.clone();
        open.into_iter().chain(known).filter(move |node| !unreachable.contains(node))
    }

    /// Lets the producer work, writes the journal, and sends.
    fn drive(&mut self) -> Result<(), Loss> {
        loop {
            let now = Instant::now();
            let Some(life) = &mut self.life else { return Ok(()) };
            if life.unwritten.is_empty() {
                life.unwritten = life.producer.work(now.into_std()).map_err(|cause| Loss {
                    reason: format!("a batch cannot be compressed: {cause}. Free memory"),
                    by: EndedBy::Network,
                })?;
            }
            life.entries.extend(life.producer.take_entries());
            self.hold();
            let Some(life) = &mut self.life else { return Ok(()) };
            if !life.write(now, &self.config.name) {
                return Ok(());
            }
            if life.unwritten.is_empty() {
                return Ok(());
            }
            for (target, ask) in std::mem::take(&mut life.unwritten) {
                self.send_to(target, ask);
            }
        }
    }

    /// Takes in what happened. The cluster is lost when no broker of it can be reached any more.
    fn took(&mut self, happened: Happened) -> Result<(), Loss> {
        match happened {
            Happened::Opened(node) => self.send_waiting(node),
            Happened::Answered(node, correlation, body) => {
                self.unreachable.clear();
                self.failures.remove(&node);
                let Some(life) = &mut self.life else { return Ok(()) };
                let Some(ask) = life.asks.remove(&(node, correlation)) else { return Ok(()) };
                let answer = match understood(&ask, body) {
                    Ok(answer) => answer,
                    Err(cause) => {
                        life.producer.failed(ask, Instant::now().into_std());
                        let broken = self.fleet.nonsense(node, cause);
                        return self.took(broken);
                    }
                };
                life.producer.reached(node);
                if let Answer::Metadata(seen) = &answer {
                    for broker in &seen.brokers {
                        self.fleet.learn(broker.node, &broker.host, broker.port);
                    }
                }
                life.producer.answered(ask, answer, Instant::now().into_std());
                if life.producer.takes_no_old_answers() {
                    life.asks.clear();
                    life.waiting.clear();
                }
            }
            Happened::Failed(node, Failure { cause, advice }) => {
                self.give_up_on(node);
                self.unreachable.push(node);
                self.leave_alone(node);
                if self.fleet.any_open().is_none() && self.candidates().next().is_none() {
                    return Err(Loss { reason: format!("{cause}. {advice}"), by: EndedBy::Network });
                }
            }
            Happened::Broken(node, loss) => {
                self.give_up_on(node);
                self.leave_alone(node);
                if self.fleet.any_open().is_none() {
                    // A broker says in words what it does not take. An end tells nothing of a record, and what went once goes
                    // again as it is.
                    return Err(Loss { by: EndedBy::Network, ..loss });
                }
            }
        }
        Ok(())
    }

    /// A broker that fails again and again is called more and more seldom.
    fn leave_alone(&mut self, node: NodeId) {
        let failures = self.failures.entry(node).or_default();
        let until = Instant::now() + LEADER_BACKOFF.wait(*failures, &mut self.jitter);
        *failures = failures.saturating_add(1);
        if let Some(life) = &mut self.life {
            life.producer.unreachable(node, until.into_std());
        }
    }

    async fn serve(&mut self, events: &mut Vec<Event>) {
        loop {
            if !self.is_connected {
                return;
            }
            if let Err(loss) = self.drive() {
                return self.end_with(loss, events);
            }
            let Some(life) = &mut self.life else { return };
            if life.producer.has_events() {
                return life.producer.take_events(events);
            }
            let now = Instant::now();
            let wake_at = Instant::from_std(life.producer.wake_at(now.into_std()));
            let wake_at = life.write_at.map_or(wake_at, |at| at.min(wake_at)).min(life.shorten_at);
            // Every arm may be cancelled: what has moved is in the links, and what was begun for the journal goes on.
            let happened = tokio::select! {
                biased;
                happened = poll_fn(|cx| self.fleet.poll(cx)) => Some(happened),
                outcome = back(&mut life.away) => {
                    life.brought_back(outcome, &self.config.name);
                    None
                }
                cursor = shortening(&mut life.shortening), if life.away.is_none() => {
                    life.shorten(cursor);
                    None
                }
                () = sleep_until(wake_at) => {
                    life.look_at_the_length(now, self.delivered.as_ref());
                    None
                }
            };
            if let Some(happened) = happened
                && let Err(loss) = self.took(happened)
            {
                return self.end_with(loss, events);
            }
        }
    }

    fn end_with(&mut self, loss: Loss, events: &mut Vec<Event>) {
        if let Some(life) = &mut self.life {
            life.producer.take_events(events);
        }
        self.over();
        events.push(Event::Lost(loss));
    }

    /// All connections are over; what the producer remembers stays.
    fn over(&mut self) {
        self.is_connected = false;
        self.fleet.drop_all();
        if let Some(life) = &mut self.life {
            life.asks.clear();
            life.waiting.clear();
            // What was to be written is written before anything leaves again.
            life.unwritten.clear();
            life.producer.lost();
        }
    }
}

/// The id of this boot of the machine. Where the kernel tells none, each start counts as one.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_else(|_| format!("process {}", std::process::id()))
}

impl Drop for KafkaPublisher {
    /// Whoever comes after it reads the journal and says what is to stay.
    fn drop(&mut self) {
        if let Some(hold) = &self.hold {
            hold(Vec::new());
        }
    }
}

impl Publisher for KafkaPublisher {
    fn endpoint(&self) -> &str {
        &self.config.endpoint
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(self.open())
    }

    fn room(&self) -> usize {
        self.life.as_ref().filter(|_| self.is_connected).map_or(0, |life| life.producer.room())
    }

    fn send(&mut self, message: &Arc<Message>) {
        if let Some(life) = &mut self.life {
            life.producer.send(message);
        }
    }

    fn events<'a>(&'a mut self, events: &'a mut Vec<Event>) -> BoxFuture<'a, ()> {
        Box::pin(self.serve(events))
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.over() })
    }

    fn degraded(&self) -> Degraded {
        let Some(life) = &self.life else { return Degraded::default() };
        let Figures { perhaps_doubled, readings_behind_a_fence, topics_made_anew } = life.producer.figures();
        Degraded { perhaps_doubled, tails_read: readings_behind_a_fence, made_anew: topics_made_anew }
    }

    fn traffic(&self) -> Traffic {
        self.fleet.traffic()
    }
}
