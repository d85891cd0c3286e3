//! The gateway's HTTP server: the status page, health, metrics, the API. On the loopback only.
//!
//! | path | what |
//! |---|---|
//! | `GET /` | the status page |
//! | `GET /healthz` | 200 while the pipeline moves |
//! | `GET /readyz` | 200 when readings flow, else 503 with the reasons |
//! | `GET /metrics` | all figures as Prometheus reads them |
//! | `GET /api/v1/status` | the same as JSON, with names |
//! | `GET /api/v1/values` | the last reading of some tags |
//! | `GET /api/v1/history` | the readings of some tags out of the log |
//! | `GET /api/v1/events` | what the gateway said lately |
//! | `GET /api/v1/live` | status, values and events as they change: server-sent events |
//! | `POST /api/v1/commands` | one command as JSON; `Authorization: Bearer TOKEN` |
//!
//! Everything is bounded: clients, requests, bytes, time. It has a thread of its own, so that a slow client delays nothing.

mod server;
mod answer;
mod reply;
mod query;

mod page;

mod status;
mod metrics;
mod tags;
mod values;
mod past;
mod history;
mod live;

mod login;
mod command;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Secret;
use crate::events::Events;
use crate::pipeline::command::Role;
use crate::pipeline::vitals::Present;

pub use server::HttpThread;

/// What was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Who may send commands.
    pub tokens: Vec<Token>,
}

/// Somebody who may send commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who, for the audit trail.
    pub name: Box<str>,
    /// What is shown.
    pub secret: Secret,
    /// What they may do.
    pub role: Role,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The port cannot be had.
    #[error("the HTTP server cannot listen on {address}: {cause}. Write another `http: {{ listen: … }}`, or `off`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}; the limits of the service or the memory are too small")]
    Thread(io::Error),
}

impl HttpConfig {
    /// Starts the server, where one is wanted. `events` is what the gateway said lately.
    ///
    /// # Errors
    /// The port or a thread cannot be had.
    pub fn start(self, vitals: Present, events: Arc<Events>) -> Result<Option<HttpThread>, HttpError> {
        let Some(address) = self.listen else { return Ok(None) };
        HttpThread::start(address, self.tokens, vitals, events).map(Some)
    }
}
