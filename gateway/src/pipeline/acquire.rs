//! The acquisition thread: one task a line.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use driver_core::Reading;
use tokio::sync::mpsc;

use super::crew::Crew;
use super::poll::{Door, LineSetup, Shared, WRITES_WAITING_MAX, Write, supervise};
use super::store::Intake;

/// How long lines may take to end what they are at and to take leave; a poll that waits for a dead device is cut off.
const STOP_GRACE: Duration = Duration::from_secs(1);

impl Door for Intake {
    fn spare(&self) -> Vec<Reading> {
        Intake::spare(self)
    }

    fn offer(&self, readings: Vec<Reading>) -> bool {
        Intake::offer(self, readings)
    }
}

/// The running thread, and the way into its lines.
pub struct Acquisition {
    lanes: Vec<mpsc::Sender<Write>>,
    crew: Crew,
}

impl Acquisition {
    /// Begins to poll all lines.
    pub fn start(lines: Vec<LineSetup>, shared: Shared) -> io::Result<Acquisition> {
        let (lanes, writes): (Vec<_>, Vec<_>) = lines.iter().map(|_| mpsc::channel(WRITES_WAITING_MAX)).unzip();
        let crew = Crew::start("acquisition", STOP_GRACE, move |tasks| {
            let shared = Rc::new(shared);
            for (setup, lane) in lines.into_iter().zip(writes) {
                let shared = shared.clone();
                tasks.spawn_local(async move { supervise(setup, &shared, lane).await });
            }
        })?;
        Ok(Acquisition { lanes, crew })
    }

    /// Where writes go in, by the line's index.
    pub fn lanes(&self) -> Vec<mpsc::Sender<Write>> {
        self.lanes.clone()
    }

    /// Raised every few seconds, for as long as no line keeps the thread to itself.
    pub fn rounds(&self) -> u64 {
        self.crew.rounds()
    }

    /// Ends all polls, once nobody else can write any more; in good order where a device answers. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        drop(self.lanes);
        self.crew.stop()
    }
}
