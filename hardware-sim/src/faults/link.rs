//! How a whole line is, whatever passes on it.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::watch;

/// The state of a line, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Everything passes at once.
    Up,
    /// Everything passes, late and slowly.
    Slow {
        /// From one end to the other; a round trip takes it twice.
        latency: Duration,
        /// Each way; none is no limit.
        bytes_per_second: Option<NonZeroU32>,
    },
    /// Nothing passes now; what was sent passes when the line is up again. A cable that was pulled for a moment.
    Stalled,
    /// Connections are accepted and what is sent is lost, for ever on the connections that lost something, so that they
    /// stay half open when the line is up again.
    BlackHole,
    /// Connections are reset, and new ones refused. A serial adapter is unplugged.
    Refuse,
    /// Each connection is reset when so many bytes have passed on it in one direction.
    CutAfter(u64),
}

/// What the frames on a line are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Not understood: what one read gives is a frame.
    Stream,
    /// Modbus TCP.
    ModbusTcp,
    /// Modbus RTU, over a serial line or over TCP.
    ModbusRtu,
    /// ISO on TCP with S7 in it.
    S7,
}

/// What the tasks of a line are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) link: Link,
    /// How often all connections were reset.
    pub(super) resets: u64,
}

impl Control {
    pub(super) fn up() -> watch::Sender<Self> {
        watch::Sender::new(Self { link: Link::Up, resets: 0 })
    }
}

/// Returns when the connections that stood at `since` must end, or when nobody controls the line any more.
pub(super) async fn until_reset(control: &mut watch::Receiver<Control>, since: Control) {
    // An error says that the sender is gone: then the line ends as well.
    drop(control.wait_for(|now| now.resets != since.resets || now.link == Link::Refuse).await);
}
