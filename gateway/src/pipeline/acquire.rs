//! The acquisition thread: one runtime on one thread, one task a line.

use std::io;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;
use tracing::{debug, error};

use super::poll::{Door, LineSetup, Shared, WRITES_WAITING_MAX, Write, supervise};
use super::store::Intake;

/// How long lines may take to end what they are at and to take leave; a poll that waits for a dead device is cut off.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How long files that are being saved may take beyond that.
const SAVE_GRACE: Duration = Duration::from_secs(2);

impl Door for Intake {
    fn spare(&self) -> Vec<driver_core::Reading> {
        Intake::spare(self)
    }

    fn offer(&self, readings: Vec<driver_core::Reading>) -> bool {
        Intake::offer(self, readings)
    }
}

/// The running thread, and the way into its lines.
pub struct Acquisition {
    lanes: Vec<mpsc::Sender<Write>>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Acquisition {
    /// Begins to poll all lines.
    pub fn start(lines: Vec<LineSetup>, shared: Shared) -> io::Result<Acquisition> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (lanes, writes): (Vec<_>, Vec<_>) = lines.iter().map(|_| mpsc::channel(WRITES_WAITING_MAX)).unzip();
        let (stop, stopped) = oneshot::channel();
        let lines = lines.into_iter().zip(writes).collect();
        let thread =
            thread::Builder::new().name("acquisition".into()).spawn(move || run(runtime, lines, shared, stopped))?;
        Ok(Acquisition { lanes, stop, thread })
    }

    /// Where writes to a line's devices go in.
    pub fn lane(&self, line: usize) -> Option<&mpsc::Sender<Write>> {
        self.lanes.get(line)
    }

    /// Ends all polls, in good order where a device answers. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        drop(self.lanes);
        if self.stop.send(()).is_err() {
            debug!("the acquisition thread has already ended");
        }
        self.thread.join().is_ok()
    }
}

fn run(
    runtime: Runtime,
    lines: Vec<(LineSetup, mpsc::Receiver<Write>)>,
    shared: Shared,
    stopped: oneshot::Receiver<()>,
) {
    let shared = Rc::new(shared);
    LocalSet::new().block_on(&runtime, async {
        let mut tasks = JoinSet::new();
        for (setup, lane) in lines {
            let shared = shared.clone();
            tasks.spawn_local(async move { supervise(setup, &shared, lane).await });
        }
        // Ended tasks that were not looked at when the arm is cancelled are looked at by nobody: they are over.
        tokio::select! {
            () = ended(&mut tasks) => {}
            () = cut_off(stopped) => {}
        }
        tasks.shutdown().await;
    });
    runtime.shutdown_timeout(SAVE_GRACE);
}

/// Waits until all lines have ended; without a stop they never do, and then this waits for the stop.
async fn ended(tasks: &mut JoinSet<()>) {
    let mut lines = 0;
    while let Some(ended) = tasks.join_next().await {
        lines += 1;
        if let Err(cause) = ended {
            error!("a line's task failed and is not polled any more, please report this: {cause}");
        }
    }
    if lines == 0 {
        std::future::pending().await
    }
}

/// Waits for the stop and for what it grants.
async fn cut_off(stopped: oneshot::Receiver<()>) {
    // An error means that the gateway was dropped without a stop, which is one too.
    drop(stopped.await);
    sleep(STOP_GRACE).await;
}
