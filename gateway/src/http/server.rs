//! The listener: connections in bounds, each request to its answer.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::access::Access;
use super::answer::{Site, answer};
use super::live::WATCHERS_MAX;
use super::{HttpConfig, HttpError, tls};
use crate::events::Events;
use crate::pipeline::crew::Crew;
use crate::pipeline::vitals::Present;

/// How many clients are served at once; the others wait to be accepted.
pub(super) const CLIENTS_MAX: usize = 32;

/// How many read the log at once.
const READERS_MAX: usize = 2;

/// How many ask a device at once.
const ASKERS_MAX: usize = 2;

/// How long a client may take for the head of a request, and be silent between two.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection lasts, however busy it is.
const CONNECTION_MAX: Duration = Duration::from_secs(120);

/// The largest head of a request, bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long is waited after the system refused a connection: it has no descriptors left.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

const STOP_GRACE: Duration = Duration::from_secs(1);

/// The running server.
pub struct HttpThread {
    stop: oneshot::Sender<()>,
    crew: Crew,
    bound: SocketAddr,
}

impl HttpThread {
    pub(super) fn start(
        address: SocketAddr,
        config: HttpConfig,
        vitals: Present,
        events: Arc<Events>,
    ) -> Result<HttpThread, HttpError> {
        let local = address.ip().is_loopback();
        let shown = config.certificate.map(|shown| tls::server(&shown, &vitals.get().buffer, address)).transpose();
        let acceptor = shown.map_err(HttpError::Certificate)?.map(TlsAcceptor::from);
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let site = Site {
            vitals,
            events,
            access: Access::new(config.users, config.tokens, local, acceptor.is_some()),
            local,
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            readers: Semaphore::new(READERS_MAX),
            askers: Semaphore::new(ASKERS_MAX),
        };
        let listener = StdListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|cause| HttpError::Listen { address, cause })?;
        let bound = listener.local_addr().unwrap_or(address);
        let (stop, stopped) = oneshot::channel();
        let crew = Crew::start("http", STOP_GRACE, move |tasks| {
            tasks.spawn_local(async move {
                match TcpListener::from_std(listener) {
                    // When the stop comes, what clients were at is over.
                    Ok(listener) => tokio::select! {
                        _ = stopped => {}
                        () = serve(listener, acceptor, site) => {}
                    },
                    Err(cause) => warn!("the HTTP server cannot be served: {cause}"),
                }
            });
        });
        let crew = crew.map_err(HttpError::Thread)?;
        info!("the status page is at {scheme}://{bound}/, the metrics at /metrics");
        Ok(HttpThread { stop, crew, bound })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.bound
    }

    /// Ends it. `false`: the thread had panicked.
    pub fn stop(self) -> bool {
        drop(self.stop);
        self.crew.stop()
    }
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, site: Site) {
    let site = Arc::new(site);
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (site, acceptor) = (site.clone(), acceptor.clone());
                clients.spawn_local(async move {
                    client(stream, acceptor.as_ref(), peer, &site).await;
                    drop(place);
                });
            }
            Err(cause) => {
                debug!("no connection can be accepted: {cause}");
                sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

async fn client(stream: TcpStream, acceptor: Option<&TlsAcceptor>, peer: SocketAddr, site: &Site) {
    let Some(acceptor) = acceptor else { return talk(stream, peer, site).await };
    match timeout(HEAD_WITHIN, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, peer, site).await,
        Ok(Err(cause)) => debug!(%peer, "a TLS handshake failed: {cause}"),
        Err(_) => debug!(%peer, "a TLS handshake took too long"),
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, peer: SocketAddr, site: &Site) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(request, peer, site).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_MAX, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => debug!(%peer, "an HTTP connection ended: {cause}"),
        Err(_) => debug!(%peer, "an HTTP connection has lasted long enough"),
    }
}
