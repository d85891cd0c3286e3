//! Finding out how many requests a device takes at once.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{LinkError, Session};
use crate::wire::{Request, Table};

/// The depths that are tried.
const DEPTHS: [usize; 3] = [2, 4, 8];
/// Each depth must be kept up for this many times its number of requests.
const ROUNDS: usize = 3;

/// What a device was found to take.
#[derive(Debug)]
pub struct InFlight {
    /// Requests at once that were all answered correctly; 1 if not even two were.
    pub accepted: usize,
    /// The error if going deeper ended the session: connect anew, with `accepted`.
    pub over: Option<LinkError>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// Tries 2, 4 and 8 requests at once, and keeps what the device answers correctly. Asks for `count` items of `table`
    /// from `start` and for fewer, so that an answer under the wrong id shows by its length.
    pub async fn probe_in_flight(
        &mut self,
        unit: u8,
        (table, start, count): (Table, u16, u16),
        timeout: Duration,
    ) -> InFlight {
        let mut accepted = 1;
        for depth in DEPTHS {
            self.set_max_in_flight(depth);
            if self.config.in_flight() < depth {
                break;
            }
            let requests = (0..depth * ROUNDS).map(|index| {
                let fewer = u16::try_from(index).unwrap_or(0) % count.max(1);
                (unit, Request::Read { table, start, count: count - fewer })
            });
            let dropped_before = self.stats.dropped.total();
            let mut answered = 0;
            let ran = self.run(requests, timeout, |_, result| answered += usize::from(result.is_ok())).await;
            if let Err(over) = ran {
                return InFlight { accepted, over: Some(over) };
            }
            if answered < depth * ROUNDS || self.stats.dropped.total() != dropped_before {
                break;
            }
            accepted = depth;
        }
        self.set_max_in_flight(accepted);
        InFlight { accepted, over: None }
    }
}
