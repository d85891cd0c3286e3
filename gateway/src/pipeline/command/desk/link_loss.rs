//! When a tag gets the value that is defined for the loss of the link to the north: one enum, one pure step.
//!
//! ```text
//! up --Down--> lost --after--> acting --Done--> acted
//!  ^            ^                 |               |
//!  |            +---- not done ---+               |
//!  +------------------- Up -----------------------+
//! ```

use std::time::{Duration, Instant};

/// How long after a try that did not succeed the next one comes.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Where the output of one tag stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkWatch {
    /// An uplink is connected.
    Up,
    /// None is; the value is written at this time.
    Lost {
        /// When.
        act_at: Instant,
    },
    /// It is being written.
    Acting,
    /// It was written.
    Acted,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkWatchEvent {
    /// An uplink is connected.
    Up,
    /// No uplink is connected.
    Down,
    /// The device holds the value.
    Done,
    /// It does not, or nobody knows.
    NotDone,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkWatchAction {
    /// Nothing.
    Wait,
    /// The value is to be written.
    Write,
}

impl LinkWatch {
    /// What comes next. `after` is how long the link has to be away.
    pub(super) fn step(self, event: LinkWatchEvent, after: Duration, now: Instant) -> (LinkWatch, LinkWatchAction) {
        use LinkWatchEvent::{Done, Down, NotDone, Up};
        match (self, event) {
            (LinkWatch::Up | LinkWatch::Lost { .. } | LinkWatch::Acting | LinkWatch::Acted, Up) => {
                (LinkWatch::Up, LinkWatchAction::Wait)
            }
            (LinkWatch::Up, Down) => (LinkWatch::Lost { act_at: now + after }, LinkWatchAction::Wait),
            (LinkWatch::Lost { act_at }, Down) if now >= act_at => (LinkWatch::Acting, LinkWatchAction::Write),
            (LinkWatch::Acting, Done) => (LinkWatch::Acted, LinkWatchAction::Wait),
            (LinkWatch::Acting, NotDone) => (LinkWatch::Lost { act_at: now + AGAIN_AFTER }, LinkWatchAction::Wait),
            (same @ (LinkWatch::Lost { .. } | LinkWatch::Acting | LinkWatch::Acted), Down)
            | (same @ (LinkWatch::Up | LinkWatch::Lost { .. } | LinkWatch::Acted), Done | NotDone) => {
                (same, LinkWatchAction::Wait)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LinkWatchEvent::{Done, Down, NotDone, Up};
    use super::*;

    /// The seconds at which the value is written, when each event comes a second after the one before.
    fn written(events: impl IntoIterator<Item = LinkWatchEvent>) -> Vec<u64> {
        let start = Instant::now();
        let (mut watch, mut written) = (LinkWatch::Up, Vec::new());
        for (event, second) in events.into_iter().zip(0..) {
            let action;
            (watch, action) = watch.step(event, Duration::from_secs(3), start + Duration::from_secs(second));
            if action == LinkWatchAction::Write {
                written.push(second);
            }
        }
        written
    }

    #[test]
    fn the_value_is_written_once_for_each_loss_and_again_until_it_is_held() {
        let downs = |count| std::iter::repeat_n(Down, count);
        assert_eq!(written(downs(3).chain([Up]).chain(downs(2))), Vec::<u64>::new());
        assert_eq!(written(downs(4).chain([Done]).chain(downs(50))), [3]);
        assert_eq!(written(downs(4).chain([NotDone]).chain(downs(50))), [3, 14]);
        assert_eq!(written(downs(4).chain([Done, Up]).chain(downs(9))), [3, 9]);
        assert_eq!(written(downs(4).chain([Up, Done]).chain(downs(9))), [3, 9], "the link came back meanwhile");
    }
}
