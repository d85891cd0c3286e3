//! The desk's task: judges what comes, notes it, hands it over, and answers.

mod outputs;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use driver_core::{Quality, TagId, Timestamp, Value, nearest};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, warn};

use super::super::super::panic::caught;
use super::super::super::poll::{Performed, Write};
use super::super::super::tags::DevicePlace;
use super::super::books::{Books, WhenAuditFails};
use super::super::guard::{Admitted, Now, Pace, check};
use super::super::life::{End, Held, Life, LifeEvent, Task};
use super::super::memory::{Memory, Recalled};
use super::super::record;
use super::super::rule::Writable;
use super::super::{Answer, Asked, Command, CommandDoor, Outcome, RefusedFor, Told};
use super::link_loss::LinkWatch;
use super::{DeskSetup, Plant, Promise, Queue, Submitted};
use outputs::has_link_loss;

/// How many commands are judged before what they need is made durable, once for all of them.
const BATCH_MAX: usize = 32;

/// How often is looked whether a reading has come, a link is lost, or something is to be made durable.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long writes that are under way are waited for at the end.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Takes commands until `stop` is sent or dropped; what panics is made anew.
pub(super) async fn supervise(
    setup: DeskSetup,
    mut queue: Queue,
    mut changes: watch::Receiver<Option<Plant>>,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        let plant = changes.borrow_and_update().clone().unwrap_or_else(|| setup.plant.clone());
        match caught(Work::begin(&setup, plant, &queue).run(&mut queue, &mut changes, &mut stop)).await {
            Ok(()) => return,
            Err(panic) => error!("the desk for commands failed: {panic}. It begins anew; please report this"),
        }
    }
}

struct Work<'a> {
    setup: &'a DeskSetup,
    plant: Plant,
    /// Whether some value is defined for the loss of the link.
    has_link_loss: bool,
    tally: Arc<super::Tally>,
    /// `None` until the first command: the trail is not read before it is needed.
    books: Option<Books>,
    memory: Memory,
    /// By the number of what is writable.
    paces: Vec<Pace>,
    link_watches: Vec<LinkWatch>,
    under_way: HashMap<u64, UnderWay>,
    last: u64,
    performed: JoinSet<(u64, Performed)>,
}

/// A command that the guard has let through.
struct UnderWay {
    command: Command,
    writable: Arc<Writable>,
    until: Instant,
    task: Task,
    old: Value,
    life: Life,
    promise: Promise,
}

impl Work<'_> {
    fn begin<'a>(setup: &'a DeskSetup, plant: Plant, queue: &Queue) -> Work<'a> {
        let count = plant.writables.list().len();
        Work {
            setup,
            has_link_loss: has_link_loss(&plant),
            plant,
            tally: queue.tally.clone(),
            books: None,
            memory: Memory::default(),
            paces: vec![Pace::default(); count],
            link_watches: vec![LinkWatch::Up; count],
            under_way: HashMap::new(),
            last: 0,
            performed: JoinSet::new(),
        }
    }

    async fn run(
        mut self,
        queue: &mut Queue,
        changes: &mut watch::Receiver<Option<Plant>>,
        stop: &mut oneshot::Receiver<()>,
    ) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut look_at = Instant::now();
        loop {
            let has_to_look =
                self.has_link_loss || self.is_looking() || self.books.as_ref().is_some_and(Books::is_behind);
            // All arms lose nothing when cancelled.
            tokio::select! {
                biased;
                _ = &mut *stop => break,
                Some(done) = self.performed.join_next() => self.done(done),
                Ok(()) = changes.changed() => {
                    let plant = changes.borrow_and_update().clone();
                    plant.into_iter().for_each(|plant| self.change(plant));
                }
                count = queue.receiver.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.take(batch.drain(..));
                }
                () = sleep_until(look_at), if has_to_look => {
                    look_at = Instant::now() + LOOK_EVERY;
                    self.look();
                }
            }
        }
        self.end(queue).await;
    }

    /// Goes on with another plant. What was sent in the last time counts on, and a defined value is not written twice.
    fn change(&mut self, plant: Plant) {
        let (mut paces, mut watches) = (Vec::new(), Vec::new());
        for writable in plant.writables.list() {
            let number = self.plant.writables.find(&writable.target);
            paces.push(number.map_or_else(Pace::default, |number| std::mem::take(&mut self.paces[number])));
            let same = number
                .filter(|number| self.plant.writables.list()[*number].rule.on_link_loss == writable.rule.on_link_loss);
            watches.push(same.map_or(LinkWatch::Up, |number| self.link_watches[number]));
        }
        self.has_link_loss = has_link_loss(&plant);
        (self.paces, self.link_watches, self.plant) = (paces, watches, plant);
    }

    /// Judges commands, makes durable that they begin, and hands them over.
    fn take(&mut self, batch: impl Iterator<Item = Submitted>) {
        let admitted: Vec<u64> = batch.filter_map(|submitted| self.judge(submitted)).collect();
        if admitted.is_empty() {
            return;
        }
        let noted = self.sync();
        for id in admitted {
            if noted || self.setup.when_audit_fails == WhenAuditFails::Execute {
                self.hand_over(id);
            } else {
                self.refuse_unnoted(id);
            }
        }
    }

    /// Answers what is refused; what is admitted is under way from here on, and its number is given back.
    fn judge(&mut self, Submitted { asked, promise }: Submitted) -> Option<u64> {
        self.open_books();
        let judged = match &asked {
            Asked::Unreadable { why, .. } => {
                Err(Box::new(asked.refused(RefusedFor::Unreadable, why.clone(), self.at())))
            }
            Asked::Command(command) => self.judge_command(command),
        };
        match (judged, asked) {
            (Ok((number, admitted)), Asked::Command(command)) => Some(self.admit(command, number, admitted, promise)),
            (Ok(_), Asked::Unreadable { .. }) => None,
            (Err(answer), asked) => {
                self.answer(&asked, *answer, promise);
                None
            }
        }
    }

    fn judge_command(&self, command: &Command) -> Result<(usize, Admitted), Box<Answer>> {
        let refused = |why, reason: String| Box::new(Asked::Command(command.clone()).refused(why, reason, self.at()));
        match self.memory.recall(command) {
            Recalled::New => {}
            Recalled::Ended(answer) => return Err(answer),
            Recalled::UnderWay => {
                let reason = "a command with this id is being executed; its answer goes to who sent it first";
                return Err(refused(RefusedFor::Repeated, reason.into()));
            }
            Recalled::KeyOfAnother => {
                return Err(refused(
                    RefusedFor::Repeated,
                    "this id was used for another command; use a new one".into(),
                ));
            }
        }
        let Some(number) = self.plant.writables.find(&command.target) else {
            let (why, reason) = self.not_writable(command);
            return Err(refused(why, reason));
        };
        let writable = &*self.plant.writables.list()[number];
        check(command, writable, &self.paces[number], self.now(), |tag| self.plant.watched.last(tag))
            .map(|admitted| (number, admitted))
            .map_err(|(why, reason)| refused(why, reason))
    }

    fn not_writable(&self, command: &Command) -> (RefusedFor, String) {
        let (target, schema) = (&command.target, self.plant.tags.live_schema());
        let mut names = (0..schema.tags()).filter_map(|id| schema.tag(TagId(id as u32)));
        if names.any(|names| names.device == &*target.device && names.tag == &*target.tag) {
            return (RefusedFor::ReadOnly, format!("{target} is read-only; `write:` at the tag makes it writable"));
        }
        let writable: Vec<String> = self.plant.writables.list().iter().map(|one| one.target.to_string()).collect();
        let near = nearest(&target.to_string(), writable.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        (RefusedFor::UnknownTag, format!("there is no tag {target}{near}"))
    }

    fn admit(&mut self, command: Command, number: usize, admitted: Admitted, promise: Promise) -> u64 {
        let writable = self.plant.writables.list()[number].clone();
        let old = self.plant.watched.last(writable.tag).filter(|seen| seen.quality == Quality::Good);
        let old = old.map_or(Value::None, |seen| seen.value);
        self.paces[number].note(writable.rule.rate, Instant::now().into_std());
        self.memory.begin(&command);
        let record = record::begun(&command, &old, self.at());
        if let Some(books) = &mut self.books {
            books.add(record);
        }
        let raw = admitted.fitted.raw;
        let shown = shown(&raw, &writable);
        let task = Task { raw, shown, form: writable.form, verify: writable.rule.verify };
        let until = Instant::from_std(admitted.until);
        self.last += 1;
        self.under_way.insert(self.last, UnderWay { command, writable, until, task, old, life: Life::Noted, promise });
        self.last
    }

    fn hand_over(&mut self, id: u64) {
        let Some(under_way) = self.under_way.get(&id) else { return };
        let writable = &under_way.writable;
        let (reply, outcome) = oneshot::channel();
        let write = Write {
            device: writable.place.device as usize,
            tag: writable.tag,
            value: under_way.task.raw.clone(),
            until: under_way.until.into_std(),
            reply,
        };
        let lane = match writable.place.line {
            DevicePlace::DERIVED => Some(&self.plant.derived),
            line => self.plant.lanes.get(line as usize),
        };
        if lane.is_some_and(|lane| lane.try_send(write).is_ok()) {
            self.performed.spawn_local(async move { (id, outcome.await.unwrap_or(Performed::Gone)) });
            self.step(id, LifeEvent::HandedOver);
        } else {
            self.step(id, LifeEvent::NoRoom);
        }
    }

    fn refuse_unnoted(&mut self, id: u64) {
        let Some(UnderWay { command, promise, .. }) = self.under_way.remove(&id) else { return };
        let asked = Asked::Command(command);
        let reason = "the audit trail cannot be written, and without it nothing is executed; see the gateway's log";
        let answer = asked.refused(RefusedFor::Audit, reason, self.at());
        self.answer(&asked, answer, promise);
    }

    fn done(&mut self, done: Result<(u64, Performed), tokio::task::JoinError>) {
        match done {
            Ok((id, performed)) => self.step(id, LifeEvent::Performed(performed)),
            Err(cause) => error!("what became of a command is lost: {cause}; please report this"),
        }
    }

    fn step(&mut self, id: u64, event: LifeEvent) {
        let now = Instant::now().into_std();
        let Some(under_way) = self.under_way.get_mut(&id) else { return };
        let (life, end) = under_way.life.step(event, &under_way.task, now);
        under_way.life = life;
        let Some(End { outcome, reason, held }) = end else { return };
        let Some(UnderWay { command, writable, old, promise, .. }) = self.under_way.remove(&id) else { return };
        let held = match held {
            Held::NotRead => Value::None,
            Held::Scaled(value) => value,
            Held::Raw(raw) => shown(&raw, &writable),
        };
        let answer = Answer {
            key: command.key.clone(),
            target: Some(command.target.clone()),
            outcome,
            reason,
            old,
            held,
            at: self.at(),
            told: Told::First,
        };
        self.answer(&Asked::Command(command), answer, promise);
    }

    /// Records and gives an answer. What was told before is told again, and recorded again.
    fn answer(&mut self, asked: &Asked, answer: Answer, promise: Promise) {
        self.tally.count(answer.outcome);
        if asked.origin().door == CommandDoor::LinkLoss {
            self.link_loss_ended(&answer);
        }
        if answer.told == Told::First {
            self.memory.end(asked, &answer);
        }
        let (now, at, record) = (Instant::now().into_std(), self.at(), record::ended(asked, &answer));
        if let Some(books) = &mut self.books {
            books.add(record);
            books.write(now, at);
        }
        promise.keep(answer);
    }

    /// What time brings: readings after a write that was not answered, links that are lost, records to be made durable.
    fn look(&mut self) {
        let looking = self.under_way.iter().filter(|(_, one)| matches!(one.life, Life::Looking { .. }));
        let looking: Vec<(u64, TagId)> = looking.map(|(id, one)| (*id, one.writable.tag)).collect();
        for (id, tag) in looking {
            match self.plant.watched.last(tag).filter(|seen| seen.quality == Quality::Good) {
                Some(seen) => {
                    self.step(id, LifeEvent::Seen(seen.value, seen.at));
                    self.step(id, LifeEvent::Tick);
                }
                None => self.step(id, LifeEvent::Tick),
            }
        }
        self.look_at_the_link();
        if self.books.as_ref().is_some_and(Books::is_behind) {
            self.sync();
        }
    }

    fn is_looking(&self) -> bool {
        self.under_way.values().any(|one| matches!(one.life, Life::Looking { .. }))
    }

    /// The trail is read when the first command comes.
    fn open_books(&mut self) {
        if self.books.is_some() {
            return;
        }
        let DeskSetup { folder, audit_bytes_max, .. } = self.setup;
        let (memory, now) = (&mut self.memory, Instant::now().into_std());
        let books = Books::open(folder.clone(), *audit_bytes_max, now, &mut |record| memory.take(record));
        self.books = Some(books);
        let at = self.at();
        self.memory.settle(|key| Answer {
            key: Some(key.into()),
            target: None,
            outcome: Outcome::Unknown,
            reason: "the gateway ended before the device had answered: whether it took it is not known".into(),
            old: Value::None,
            held: Value::None,
            at,
            told: Told::Again,
        });
    }

    fn sync(&mut self) -> bool {
        let (now, at) = (Instant::now().into_std(), self.at());
        self.books.as_mut().is_some_and(|books| books.sync(now, at))
    }

    fn now(&self) -> Now {
        let (time, clock) = self.setup.clock.now();
        Now { instant: Instant::now().into_std(), time, clock }
    }

    fn at(&self) -> Timestamp {
        self.setup.clock.now().0
    }

    /// Refuses what waits, and gives what is under way a moment.
    async fn end(mut self, queue: &mut Queue) {
        queue.receiver.close();
        while let Ok(Submitted { asked, promise }) = queue.receiver.try_recv() {
            self.open_books();
            let answer = asked.refused(RefusedFor::Stopping, "the gateway is stopping", self.at());
            self.answer(&asked, answer, promise);
        }
        let finish = async {
            while let Some(done) = self.performed.join_next().await {
                self.done(done);
            }
        };
        if timeout(END_WITHIN, finish).await.is_err() {
            warn!("the gateway ends before a device has answered a command");
        }
        let left: Vec<u64> = self.under_way.keys().copied().collect();
        left.into_iter().for_each(|id| self.step(id, LifeEvent::Stop));
        if let Some(books) = &mut self.books {
            books.try_at_once();
        }
        if self.books.as_ref().is_some_and(Books::is_behind) && !self.sync() {
            error!("the audit trail lacks the last commands: the disk refuses");
        }
    }
}

/// A device's value as a reading of the tag shows it.
fn shown(raw: &Value, writable: &Writable) -> Value {
    match &writable.form.scale {
        Some(scale) => scale.value(raw).unwrap_or(Value::None),
        None => raw.clone(),
    }
}
