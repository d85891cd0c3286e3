//! In which class the kernel schedules a thread: whether polls begin on time while others want the processor too.

use std::io;

use thread_priority::{
    Error, NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue,
    ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
};
use tracing::{info, warn};

/// Above everything that is scheduled normally, and below the kernel's threads for interrupts, which stand at 50.
const REALTIME_PRIORITY: u8 = 10;

/// What the crate makes a nice value of 0 of.
const NORMAL_PRIORITY: u8 = 47;

/// The class of the acquisition thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheduling {
    /// As every program.
    #[default]
    Normal,
    /// SCHED_FIFO: before every program that is not in it.
    Realtime,
}

impl Scheduling {
    /// Puts the calling thread into the class. Where the system does not permit it, the thread stays as it is, which is said.
    pub(super) fn enter(self) {
        if self == Scheduling::Normal {
            return;
        }
        match set(REALTIME_PRIORITY, REALTIME) {
            Ok(()) => info!(priority = REALTIME_PRIORITY, "polls are in the real-time class"),
            Err(cause) => warn!(
                "polls are not in the real-time class, and late when the processor is busy: {cause}. For the service, link \
                 /usr/share/forebay/realtime.conf into its drop-ins; elsewhere permit it (ulimit -r {REALTIME_PRIORITY}), or \
                 write `scheduling: normal`"
            ),
        }
    }

    /// Puts the calling thread back among all others: what a thread of the class starts begins in it.
    pub(super) fn leave(self) {
        if self == Scheduling::Normal || !is_realtime() {
            return;
        }
        // The crate sets the nice value after the class; that it may not be raised is no matter.
        let done = set(NORMAL_PRIORITY, NORMAL);
        if is_realtime() {
            warn!("a thread that waits for files stays in the class of the thread that polls: {done:?}");
        }
    }
}

const REALTIME: ThreadSchedulePolicy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
const NORMAL: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);

fn is_realtime() -> bool {
    thread_schedule_policy() == Ok(REALTIME)
}

fn set(priority: u8, class: ThreadSchedulePolicy) -> Result<(), String> {
    let priority = ThreadPriorityValue::try_from(priority).map_err(|cause| format!("{cause:?}"))?;
    let set = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), class);
    set.map_err(|cause| match cause {
        Error::OS(number) => io::Error::from_raw_os_error(number).to_string(),
        other => format!("{other:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_enters_the_class_where_it_may_and_what_it_starts_leaves_it() {
        let polls = thread::spawn(|| {
            Scheduling::Normal.enter();
            assert!(!is_realtime());
            let is_permitted = set(REALTIME_PRIORITY, REALTIME).is_ok();
            Scheduling::Realtime.enter();
            assert_eq!(is_realtime(), is_permitted, "where it may not it goes on as it was");
            let child = thread::spawn(|| {
                let inherited = is_realtime();
                Scheduling::Realtime.leave();
                (inherited, is_realtime())
            });
            assert_eq!(child.join().expect("a thread"), (is_permitted, false));
            assert_eq!(is_realtime(), is_permitted, "only the child left");
        });
        polls.join().expect("a thread");
    }

    #[test]
    fn the_nice_value_of_all_others_is_that_of_an_ordinary_program() {
        let value = ThreadPriorityValue::try_from(NORMAL_PRIORITY).expect("a priority");
        assert_eq!(ThreadPriority::Crossplatform(value).to_posix(NORMAL).ok(), Some(0));
    }
}
