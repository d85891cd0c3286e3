//! A thread of its own with a runtime on it, and the tasks that live there together.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{interval, sleep};
use tracing::{debug, error};

use super::scheduling::Scheduling;

/// How often a crew shows that its thread comes round.
const ROUND_EVERY: Duration = Duration::from_secs(5);

/// How long files that are being saved when a crew ends may take beyond its grace.
const SAVE_GRACE: Duration = Duration::from_secs(2);

/// The running thread.
pub(crate) struct Crew {
    rounds: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Crew {
    /// Starts a thread and, on it, the tasks that `begin` adds. After the stop they have `grace` to end.
    pub(crate) fn start(
        name: &'static str,
        grace: Duration,
        begin: impl FnOnce(&mut JoinSet<()>) + Send + 'static,
    ) -> io::Result<Crew> {
        Crew::start_in(Scheduling::Normal, name, grace, begin)
    }

    /// The same in a class of the kernel's scheduler, for the thread alone: what it has done by others waits like all others.
    pub(crate) fn start_in(
        scheduling: Scheduling,
        name: &'static str,
        grace: Duration,
        begin: impl FnOnce(&mut JoinSet<()>) + Send + 'static,
    ) -> io::Result<Crew> {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().on_thread_start(move || scheduling.leave()).build()?;
        let (stop, stopped) = oneshot::channel();
        let rounds = Arc::new(AtomicU64::new(0));
        let counted = rounds.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            scheduling.enter();
            run(runtime, begin, &counted, stopped, grace);
        })?;
        Ok(Crew { rounds, stop, thread })
    }

    /// Raised every few seconds, for as long as no task keeps the thread to itself.
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Waits for the tasks to end, and cuts off those that do not. `false`: the thread had panicked.
    pub(crate) fn stop(self) -> bool {
        if self.stop.send(()).is_err() {
            debug!("the thread has already ended");
        }
        self.thread.join().is_ok()
    }
}

fn run(
    runtime: Runtime,
    begin: impl FnOnce(&mut JoinSet<()>),
    rounds: &AtomicU64,
    stopped: oneshot::Receiver<()>,
    grace: Duration,
) {
    LocalSet::new().block_on(&runtime, async {
        let mut tasks = JoinSet::new();
        begin(&mut tasks);
        // When one arm ends, what the others were at is over too.
        tokio::select! {
            () = stopped_and_ended(stopped, &mut tasks, grace) => {}
            () = count_rounds(rounds) => {}
        }
        tasks.shutdown().await;
    });
    runtime.shutdown_timeout(SAVE_GRACE);
}

async fn stopped_and_ended(mut stopped: oneshot::Receiver<()>, tasks: &mut JoinSet<()>, grace: Duration) {
    loop {
        // Both arms lose nothing when cancelled. An error of the first means that the crew was dropped: a stop too.
        tokio::select! {
            _ = &mut stopped => break,
            Some(ended) = tasks.join_next() => if let Err(cause) = ended {
                error!("a task failed and is not begun anew, please report this: {cause}");
            },
        }
    }
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => {}
        () = sleep(grace) => {}
    }
}

async fn count_rounds(rounds: &AtomicU64) {
    let mut every = interval(ROUND_EVERY);
    loop {
        every.tick().await;
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn tasks_that_do_not_end_are_cut_off() {
        let (sender, dropped) = channel::<()>();
        let crew = Crew::start("test", Duration::from_millis(5), |tasks| {
            tasks.spawn_local(async move {
                std::future::pending::<()>().await;
                drop(sender);
            });
        });
        let begun = Instant::now();
        assert!(crew.expect("a thread").stop());
        assert!(dropped.recv().is_err(), "its task is gone");
        assert!(begun.elapsed() < PATIENCE);
    }

    #[test]
    fn a_task_that_panics_leaves_the_others_alone() {
        let (sender, came) = channel();
        let crew = Crew::start("test", PATIENCE, |tasks| {
            tasks.spawn_local(async { panic!("as the test says") });
            tasks.spawn_local(async move {
                tokio::task::yield_now().await;
                sender.send(7).expect("the test waits for it");
            });
        });
        assert_eq!(came.recv_timeout(PATIENCE), Ok(7));
        assert!(crew.expect("a thread").stop());
    }
}
