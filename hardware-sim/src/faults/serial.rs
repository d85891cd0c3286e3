//! Faults on a serial line, and its speed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::lane::{Lane, LastRequest, Pace};
use super::link::{Control, until_reset};
use super::pty::Pty;
use super::pump::{Alarm, both, pump};
use super::{Fault, Faults, Framing, Link};
use crate::frame::Way;

/// So many characters arrive together, as from the buffer of a 16550.
const CHARACTERS_TOGETHER: usize = 16;

/// How long an adapter that was reset stays away.
const PLUG_AGAIN: Duration = Duration::from_millis(100);

/// How fast characters pass. A pseudo-terminal knows no speed of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSpeed {
    /// Bits a second.
    pub baud: u32,
    /// Bits of a character with start, parity and stop: 11 by the standard, 10 for 8N1.
    pub bits_per_character: u32,
}

/// A serial line with two ends, between which the faults happen; it is unplugged when it is dropped.
#[derive(Debug)]
pub struct SerialJoint {
    client: PathBuf,
    server: PathBuf,
    control: watch::Sender<Control>,
    requests: Faults,
    replies: Faults,
    task: JoinHandle<()>,
}

/// What the task of a joint needs.
struct Line {
    client: PathBuf,
    server: Pty,
    control: watch::Receiver<Control>,
    requests: Faults,
    replies: Faults,
    pace: Option<Pace>,
}

impl SerialJoint {
    /// Makes `client` and `server` in a directory, links to two pseudo-terminals that are joined by RTU. Without a speed
    /// everything passes at once.
    ///
    /// # Errors
    /// There are no more pseudo-terminals, or the links cannot be made.
    pub fn open(directory: &Path, speed: Option<LineSpeed>) -> io::Result<Self> {
        let (client, server) = (directory.join("client"), directory.join("server"));
        let control = Control::up();
        let (requests, replies) = (Faults::none(), Faults::none());
        let line = Line {
            client: client.clone(),
            server: Pty::plug(&server)?,
            control: control.subscribe(),
            requests: requests.clone(),
            replies: replies.clone(),
            pace: speed.map(LineSpeed::pace),
        };
        let plugged = Pty::plug(&client)?;
        let task = tokio::spawn(line.run(plugged));
        Ok(Self { client, server, control, requests, replies, task })
    }

    /// The port for the client: the gateway.
    pub fn client(&self) -> &Path {
        &self.client
    }

    /// The port for the server: the devices.
    pub fn server(&self) -> &Path {
        &self.server
    }

    /// The faults of what the client sends.
    pub fn requests(&self) -> &Faults {
        &self.requests
    }

    /// The faults of what the devices send.
    pub fn replies(&self) -> &Faults {
        &self.replies
    }

    /// Every reply meets this fault from now on. See [`Faults`] for scripts and mixes.
    pub fn set(&self, fault: Fault) {
        self.replies.set(fault);
    }

    /// Changes the line. A line with a speed keeps it; with [`Link::Refuse`] the client's port vanishes until another
    /// state comes, and is then a new one under the same path.
    pub fn link(&self, link: Link) {
        self.control.send_modify(|control| control.link = link);
    }
}

impl Drop for SerialJoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LineSpeed {
    fn pace(self) -> Pace {
        let per_byte = Duration::from_secs(1) * self.bits_per_character / self.baud.max(1);
        Pace { latency: Duration::ZERO, per_byte, chunk: CHARACTERS_TOGETHER }
    }
}

impl Line {
    async fn run(mut self, plugged: Pty) {
        let mut plugged = Some(plugged);
        while self.control.wait_for(|control| control.link != Link::Refuse).await.is_ok() {
            // Without a pseudo-terminal the port stays away, which is what the client then sees.
            let Some(mut client) = plugged.take().or_else(|| Pty::plug(&self.client).ok()) else { return };
            self.join(&mut client).await;
            drop(client);
            sleep(PLUG_AGAIN).await;
        }
    }

    /// Returns when the client's end must be plugged in anew.
    async fn join(&mut self, client: &mut Pty) {
        let since = *self.control.borrow_and_update();
        let last_request = LastRequest::default();
        let lane = |way, faults| Lane::new(Framing::ModbusRtu, way, faults, &last_request, self.pace);
        let requests = lane(Way::Request, &self.requests);
        let replies = lane(Way::Reply, &self.replies);
        let alarm = || if self.pace.is_some() { Alarm::Thread(None) } else { Alarm::Timer };
        let (from_client, to_client) = tokio::io::split(&mut client.near);
        let (from_server, to_server) = tokio::io::split(&mut self.server.near);
        let mut control = self.control.clone();
        let both = both(
            pump(from_client, to_server, requests, control.clone(), alarm()),
            pump(from_server, to_client, replies, control.clone(), alarm()),
        );
        // Either arm may be cancelled: the client's end is unplugged then.
        tokio::select! {
            _ = both => {}
            () = until_reset(&mut control, since) => {}
        }
    }
}
