//! Messages from a broker of MQTT that may go away and come back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Heard;
use crate::command::audit::latency::Arrival;
use crate::uplink::mqtt::subscriber::{Found, Memory, Subscriber};

/// How long a broker that went away is called.
const CALL_FOR: Duration = Duration::from_secs(60);

const CALL_EVERY: Duration = Duration::from_secs(1);

/// The messages of one audit.
pub(in crate::command::audit) struct Broker {
    pub(in crate::command::audit) subscriber: Subscriber,
    pub(in crate::command::audit) memory: Memory,
}

impl Broker {
    /// The next message. The error says why no more can come of which it is known that none is missing before it.
    pub(super) async fn next(&mut self) -> Result<Heard, String> {
        loop {
            let loss = match self.subscriber.next().await {
                Ok(message) => return Ok(Heard { message, arrival: Arrival::Now, marks: None }),
                Err(loss) => loss.reason,
            };
            match self.memory {
                Memory::Kept => self.call_again(&loss).await?,
                Memory::Connection => {
                    return Err(format!(
                        "{loss}. What arrived from then on was not seen; with --client-id NAME the broker keeps it"
                    ));
                }
            }
        }
    }

    async fn call_again(&mut self, loss: &str) -> Result<(), String> {
        let until = Instant::now() + CALL_FOR;
        loop {
            match self.subscriber.connect().await {
                Ok(Found::Remembered) => return Ok(()),
                Ok(Found::Nothing) => {
                    return Err(format!("{loss}. The broker came back without what it had kept for the audit"));
                }
                Err(error) if Instant::now() >= until => return Err(format!("{loss}. Then: {error}")),
                Err(_) => sleep(CALL_EVERY).await,
            }
        }
    }
}
