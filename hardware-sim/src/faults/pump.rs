//! Moves bytes through a lane.

use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::Link;
use super::lane::{End, Lane};
use super::link::Control;

/// The most bytes of one read.
const READ_MAX: usize = 16 * 1024;

/// How long before its time a precise alarm stops to trust the runtime's timer, which counts in milliseconds.
const TIMER_ERROR: Duration = Duration::from_millis(3);

/// Wakes at a time.
#[derive(Debug)]
pub(super) enum Alarm {
    /// To the millisecond.
    Timer,
    /// To some 60 microseconds, by a thread that sleeps the last milliseconds.
    Thread(Option<(Instant, JoinHandle<()>)>),
}

impl Alarm {
    /// Returns at once when the time is over. May be cancelled and called again.
    async fn until(&mut self, due: Instant) {
        let Self::Thread(slot) = self else { return sleep_until(due).await };
        if due.saturating_duration_since(Instant::now()) > TIMER_ERROR {
            sleep_until(due - TIMER_ERROR).await;
        }
        if slot.as_ref().is_none_or(|(set, _)| *set != due) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            *slot = Some((due, spawn_blocking(move || thread::sleep(left))));
        }
        if let Some((_, sleeping)) = slot {
            // A thread that cannot be had wakes too early, which the caller sees by the clock.
            drop(sleeping.await);
        }
        *slot = None;
    }
}

/// Runs until the connection ends, in this direction or altogether.
pub(super) async fn pump(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut lane: Lane,
    mut control: watch::Receiver<Control>,
    mut alarm: Alarm,
) -> End {
    let mut buffer = vec![0; READ_MAX];
    let mut is_finished = false;
    let mut is_lost = false;
    loop {
        let link = control.borrow_and_update().link;
        is_lost |= link == Link::BlackHole && !is_finished;
        if is_lost {
            lane.lose();
        }
        if is_finished && lane.is_empty() {
            return finish(writer).await;
        }
        let stalled = link == Link::Stalled;
        let due = lane.next_due().filter(|_| !stalled);
        // Every arm may be cancelled: a read that is cancelled has read nothing, and an alarm can be set again.
        tokio::select! {
            changed = control.changed() => if changed.is_err() { return End::Closed },
            read = reader.read(&mut buffer), if !is_finished && !stalled && lane.has_room() => {
                let Ok(len) = read else { return End::Reset };
                let now = Instant::now();
                match (len, is_lost) {
                    (0, true) => return End::Closed,
                    (0, false) => {
                        lane.finish(now, link);
                        is_finished = true;
                    }
                    (_, true) => {}
                    (len, false) => {
                        if let Some(end) = lane.take(buffer.get(..len).unwrap_or_default(), now, link) {
                            return end;
                        }
                    }
                }
            }
            () = alarm.until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let arrived = lane.due(Instant::now(), link);
                if writer.write_all(&arrived).await.is_err() || writer.flush().await.is_err() {
                    return End::Reset;
                }
                if matches!(link, Link::CutAfter(bytes) if lane.passed() >= bytes) {
                    return End::Reset;
                }
            }
        }
    }
}

/// Two directions as one connection: it ends when both have finished, or when either is closed or reset.
pub(super) async fn both(requests: impl Future<Output = End>, replies: impl Future<Output = End>) -> End {
    tokio::pin!(requests, replies);
    // Neither arm is cancelled unless the connection is given up.
    tokio::select! {
        end = &mut requests => if end == End::Finished { replies.await } else { end },
        end = &mut replies => if end == End::Finished { requests.await } else { end },
    }
}

async fn finish(mut writer: impl AsyncWrite + Unpin) -> End {
    match writer.shutdown().await {
        Ok(()) => End::Finished,
        Err(_) => End::Reset,
    }
}
