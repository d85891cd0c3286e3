//! When a line is woken for its next turn.
//!
//! Tokio's timer counts in milliseconds and rounds up, twice: it is late by one on average, and by two now and then. In the
//! real-time class that would be most of the lateness, so that a line there has a timer of the kernel's for itself.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::scheduling::Scheduling;

/// Wakes one line.
pub(super) enum Alarm {
    /// To the millisecond, at no cost.
    Coarse,
    /// To the microsecond, at the cost of a descriptor and of a system call a turn.
    Fine(Timer),
}

impl Alarm {
    /// The alarm of a line on a thread of this class, on whose runtime it is called.
    pub(super) fn new(scheduling: Scheduling) -> Alarm {
        if scheduling == Scheduling::Normal {
            return Alarm::Coarse;
        }
        Timer::new().map(Alarm::Fine).unwrap_or_else(|cause| {
            warn!("there is no timer of the kernel's for a line, whose polls are up to 2 ms late: {cause}");
            Alarm::Coarse
        })
    }

    /// Waits. May be cancelled at any time.
    pub(super) async fn until(&self, at: Instant) {
        let Alarm::Fine(timer) = self else { return sleep_until(at).await };
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if let Err(cause) = timer.ring(left).await {
            warn!("a timer of the kernel's failed, the clock of the runtime is used: {cause}");
            sleep_until(at).await;
        }
    }
}

/// A timer of the kernel's, which is read as a pipe is: eight bytes once it has rung.
pub(super) struct Timer(pipe::Receiver);

impl Timer {
    fn new() -> io::Result<Timer> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        pipe::Receiver::from_owned_fd_unchecked(timer).map(Timer)
    }

    async fn ring(&self, left: Duration) -> io::Result<()> {
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        // Also forgets a ring of an earlier wait that was cancelled.
        let setting = Itimerspec { it_interval: once, it_value: left };
        timerfd_settime(self.0.as_fd(), TimerfdTimerFlags::empty(), &setting)?;
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut [0; 8]) {
                Err(none) if none.kind() == io::ErrorKind::WouldBlock => {}
                rung => return rung.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_fine_alarm_rings_in_time_also_after_one_that_was_cancelled() {
        let alarm = Alarm::new(Scheduling::Realtime);
        assert!(matches!(alarm, Alarm::Fine(_)));
        let begun = Instant::now();
        assert!(timeout(MS, alarm.until(begun + 3_600_000 * MS)).await.is_err());
        alarm.until(begun + 20 * MS).await;
        let rang = begun.elapsed();
        assert!(rang >= 20 * MS, "too early: {rang:?}");
        alarm.until(begun).await;
        // One that has rung for a wait that was cancelled does not ring for the next.
        assert!(timeout(Duration::ZERO, alarm.until(Instant::now() + 300 * MS)).await.is_err());
        tokio::time::sleep(400 * MS).await;
        let again = Instant::now();
        alarm.until(again + 10 * MS).await;
        assert!(again.elapsed() >= 10 * MS, "too early: {:?}", again.elapsed());
    }
}
