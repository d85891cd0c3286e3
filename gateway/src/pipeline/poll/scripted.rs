//! A driver's line that does as a script says, for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use driver_core::{
    BoxFuture, Contact, Fact, GroupId, Line, LinkError, Plan, Readings, Reason, TagId, TagText, Value, WriteOutcome,
};
use tokio::time::Instant;

/// How a scripted device or connect behaves, and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Answers(Duration),
    /// A poll of so many requests, each of which takes so long; all else takes as long as one of them.
    AnswersInParts(u32, Duration),
    Silent(Duration),
    Breaks(Duration),
    /// With this advice.
    Refuses(Duration, &'static str),
    Panics,
}

/// One line's far side, and what was done to it when.
pub(crate) struct World {
    pub(crate) connect: Act,
    pub(crate) devices: Vec<Act>,
    pub(crate) done: Vec<(Duration, Done)>,
    pub(crate) made: u32,
    pub(crate) connected: bool,
    pub(crate) learned: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Connect,
    Poll(usize),
    Touch(usize),
    Write(usize),
    Close,
}

/// A driver's line that does as its world says.
pub(crate) struct Scripted {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) begun: Instant,
    /// Requests of a poll in parts that were made.
    made: u32,
}

/// Each device has one tag.
pub(crate) fn tag_of(device: usize) -> TagId {
    TagId(device as u32)
}

impl World {
    /// A world in which nothing has been done yet.
    pub(crate) fn new(connect: Act, devices: &[Act]) -> Arc<Mutex<World>> {
        let (done, learned) = (Vec::new(), Some("hr 7 is refused".into()));
        let devices = devices.to_vec();
        Arc::new(Mutex::new(World { connect, devices, done, made: 0, connected: false, learned }))
    }
}

/// The world, though a script may have panicked while it held it.
pub(crate) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scripted {
    /// A new line in a world.
    pub(crate) fn make(world: &Arc<Mutex<World>>, begun: Instant) -> Scripted {
        let mut made = lock(world);
        (made.made, made.connected) = (made.made + 1, false);
        Scripted { world: world.clone(), begun, made: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    async fn act(&self, done: Done, act: Act) -> Result<Contact, LinkError> {
        self.lock().done.push((self.begun.elapsed(), done));
        match act {
            Act::Answers(after) | Act::AnswersInParts(_, after) => {
                tokio::time::sleep(after).await;
                Ok(Contact::Answered)
            }
            Act::Silent(after) => {
                tokio::time::sleep(after).await;
                Ok(Contact::Silent)
            }
            Act::Breaks(after) => {
                tokio::time::sleep(after).await;
                self.lock().connected = false;
                Err(LinkError::Lost { endpoint: "scripted".into(), cause: "as the script says".into() })
            }
            Act::Refuses(after, advice) => {
                tokio::time::sleep(after).await;
                Err(LinkError::Connect { endpoint: "scripted".into(), cause: "as the script says".into(), advice })
            }
            Act::Panics => panic!("as the script says"),
        }
    }

    fn device(&self, device: usize) -> Act {
        self.lock().devices[device]
    }
}

impl Line for Scripted {
    fn devices(&self) -> usize {
        self.lock().devices.len()
    }

    fn plan(&self, _: usize) -> Plan {
        Plan::default()
    }

    fn tag_text(&self, _: usize, _: usize) -> TagText {
        unreachable!("nobody asks for texts here")
    }

    fn learned(&mut self, device: usize) -> Option<String> {
        if device == 0 { self.lock().learned.take() } else { None }
    }

    fn is_connected(&self) -> bool {
        self.lock().connected
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            let act = self.lock().connect;
            self.act(Done::Connect, act).await?;
            self.lock().connected = true;
            Ok(())
        })
    }

    fn poll<'a>(
        &'a mut self,
        device: usize,
        group: GroupId,
        readings: &'a mut Readings<'_>,
    ) -> BoxFuture<'a, Result<Contact, LinkError>> {
        Box::pin(async move {
            let act = self.device(device);
            let mut result = self.act(Done::Poll(device), act).await;
            if let Act::AnswersInParts(requests, _) = act {
                self.made += 1;
                while self.made < requests && result.is_ok() {
                    if readings.must_pause() {
                        readings.pause();
                        return result;
                    }
                    result = self.act(Done::Poll(device), act).await;
                    self.made += 1;
                }
                self.made = 0;
            }
            match &result {
                Ok(Contact::Answered) => readings.good(tag_of(device), Value::Int(7)),
                Ok(Contact::Silent) => self.absent(device, group, Reason::Timeout, readings),
                Err(_) => self.absent(device, group, Reason::Disconnected, readings),
            }
            result
        })
    }

    fn absent(&self, device: usize, _: GroupId, reason: Reason, readings: &mut Readings<'_>) {
        readings.bad(tag_of(device), reason, 0);
    }

    fn write<'a>(
        &'a mut self,
        device: usize,
        _: TagId,
        value: &'a Value,
    ) -> BoxFuture<'a, Result<WriteOutcome, LinkError>> {
        Box::pin(async move {
            self.act(Done::Write(device), self.device(device)).await?;
            Ok(WriteOutcome::Written(value.clone()))
        })
    }

    fn touch(&mut self, device: usize) -> BoxFuture<'_, Result<Contact, LinkError>> {
        Box::pin(async move { self.act(Done::Touch(device), self.device(device)).await })
    }

    fn identify(&mut self, _: usize) -> BoxFuture<'_, Result<Vec<Fact>, LinkError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let at = self.begun.elapsed();
            let mut world = self.lock();
            world.connected = false;
            world.done.push((at, Done::Close));
        })
    }
}

/// The specification of a line that is made without one.
pub(in crate::pipeline) fn no_spec() -> Arc<driver_core::LineSpec> {
    let url = "modbus-tcp://127.0.0.1".parse().expect("a URL");
    Arc::new(driver_core::LineSpec { url, timeout: None, devices: Vec::new() })
}
