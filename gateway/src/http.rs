//! The gateway's HTTP server: the status page, health, metrics, the API. Beyond the loopback only with TLS and a login.
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
//! | `POST /api/v1/commands` | one command as JSON |
//! | `/api/v1/quarantine/…` | the messages that a far side refused for good |
//! | `/api/v1/recordings/…` | the flight recorder |
//! | `/api/v1/config/…` | the configuration: shown, checked, applied, confirmed, taken back |
//! | `GET /api/v1/openapi.json` | all of it as an OpenAPI 3.1 document |
//!
//! With nothing one may look, where it listens on the loopback; all else needs a token or a login, see [`access`].
//!
//! Everything is bounded: clients, requests, bytes, time. It has a thread of its own, so that a slow client delays nothing.

mod server;
mod answer;
mod routes;
mod perform;
mod reply;
mod query;
mod body;

mod page;

mod status;
mod metrics;
mod tags;
mod values;
mod past;
mod history;
mod live;

mod access;
mod login;
mod users;
mod sessions;
mod lockout;
mod tls;

mod command;
mod devices;
mod quarantine;
mod recordings;
mod config;
mod openapi;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Secret;
use crate::events::Events;
use crate::pipeline::command::Role;
use crate::pipeline::vitals::Present;

pub use server::HttpThread;
pub use tls::Certificate;
pub(crate) use users::{PASSWORD_BYTES_MAX, check as check_hash, hash};
pub use users::{User, Users};

/// What was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// What it shows to those who come from elsewhere.
    pub certificate: Option<Certificate>,
    /// Who may log in.
    pub users: Users,
    /// Programs that may do something.
    pub tokens: Vec<Token>,
}

/// What a program logs in with.
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
    /// The certificate cannot be used.
    #[error("the HTTP server has no certificate to show: {0}. Put it right under `http: {{ tls: … }}`")]
    Certificate(String),
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
        HttpThread::start(address, self, vitals, events).map(Some)
    }
}
