//! Serves a PLC over `opc.tcp`, on a thread of its own: async-opcua's tasks end with the runtime that they run on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use opcua_server::{ANONYMOUS_USER_TOKEN_ID, Limits, ServerBuilder, ServerEndpoint};
use tokio::sync::Notify;

use super::manager;
use super::{OpcUaConfig, OpcUaPlc};

/// A running server; it stops when it is dropped, and what it knew of sessions and subscriptions is gone.
#[derive(Debug)]
pub struct OpcUaServer {
    address: SocketAddr,
    plc: OpcUaPlc,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl OpcUaServer {
    /// Listens at an address, without security; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn start(address: SocketAddr, plc: OpcUaPlc) -> io::Result<Self> {
        let (running, address) = Running::start(address, &plc)?;
        Ok(Self { address, plc, running: Some(running) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, sessions and subscriptions, as a restart of the device does, and listens again at once. What
    /// was put into the PLC since is there from now on.
    ///
    /// # Errors
    /// The address cannot be had again.
    pub fn restart(&mut self) -> io::Result<()> {
        self.running = None;
        self.running = Some(Running::start(self.address, &self.plc)?.0);
        Ok(())
    }
}

impl Running {
    fn start(address: SocketAddr, plc: &OpcUaPlc) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let store =
            Store(std::env::temp_dir().join(format!("forebay-opcua-{}-{}", std::process::id(), address.port())));
        let config = plc.with(|state| state.config.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = {
            // Its building starts tasks, which belong to its own runtime.
            let _entered = runtime.enter();
            let builder = builder(address, &config, &store).with_node_manager(manager::builder(plc.clone()));
            builder.build().map_err(io::Error::other)?.0
        };
        let stop = Arc::<Notify>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("opcua-sim".into()).spawn(move || {
            let _store = store;
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    // It ends by itself only when its listener fails: then it serves no more, which every client notices.
                    _ = server.run_with(listener) => {}
                    () = stopped.notified() => {}
                }
            });
            // Its connections are tasks of the runtime, which is dropped here.
        })?;
        Ok((Self { stop, thread: Some(thread) }, address))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended as well.
            drop(thread.join());
        }
    }
}

/// The folder that async-opcua makes for certificates, of which this server has none.
struct Store(PathBuf);

impl Drop for Store {
    fn drop(&mut self) {
        // Nothing of value is in it.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn builder(address: SocketAddr, config: &OpcUaConfig, store: &Store) -> ServerBuilder {
    let endpoint = ServerEndpoint::new_none("/", &[ANONYMOUS_USER_TOKEN_ID.to_owned()]);
    ServerBuilder::new()
        .application_name("Forebay simulator")
        .application_uri("urn:forebay:sim")
        .product_uri("urn:forebay:sim")
        .host(address.ip().to_string())
        .port(address.port())
        .pki_dir(store.0.clone())
        .add_endpoint("none", endpoint)
        .discovery_urls(vec!["/".to_owned()])
        .limits(limits(config))
}

fn limits(config: &OpcUaConfig) -> Limits {
    let mut limits = Limits { max_sessions: config.sessions_max, ..Limits::default() };
    limits.max_array_length = 1_000_000;
    limits.max_message_size = 64 * 1024 * 1024;
    limits.max_chunk_count = 4096;
    let operations = &mut limits.operational;
    for limit in [
        &mut operations.max_nodes_per_read,
        &mut operations.max_nodes_per_write,
        &mut operations.max_nodes_per_browse,
        &mut operations.max_nodes_per_register_nodes,
        &mut operations.max_nodes_per_translate_browse_paths_to_node_ids,
        &mut operations.max_monitored_items_per_call,
    ] {
        *limit = config.operations_max;
    }
    let subscriptions = &mut limits.subscriptions;
    subscriptions.max_monitored_items_per_sub = config.items_max;
    subscriptions.max_subscriptions_per_session = config.subscriptions_max;
    subscriptions.max_monitored_item_queue_size = 1000;
    subscriptions.max_queued_notifications = 1000;
    subscriptions.min_sampling_interval_ms = f64::from(config.interval_min_ms);
    subscriptions.min_publishing_interval_ms = f64::from(config.interval_min_ms);
    limits
}
