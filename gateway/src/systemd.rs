//! The words that systemd understands, over the socket that it names in `$NOTIFY_SOCKET` (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

/// The way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The way that the environment names; `None` when the gateway was not started by systemd.
    pub fn from_env() -> io::Result<Option<Notifier>> {
        let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(None) };
        let number = |key: &str| env::var(key).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0).map(Duration::from_micros);
        Notifier::open(&socket, watchdog).map(Some)
    }

    /// A path, or after `@` the name of an abstract socket.
    fn open(socket: &OsStr, watchdog: Option<Duration>) -> io::Result<Notifier> {
        let address = match socket.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(socket)?,
        };
        let unbound = UnixDatagram::unbound()?;
        unbound.connect_addr(&address)?;
        unbound.set_nonblocking(true)?;
        Ok(Notifier { socket: unbound, watchdog })
    }

    /// How often [`Notifier::alive`] has to be said; systemd restarts a service that stays silent twice as long.
    pub fn watchdog_every(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// Polling has begun.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)))
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.send(&format!("STATUS={}", one_line(status)))
    }

    /// The pipeline moves.
    pub fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    /// The end has begun.
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send(message.as_bytes()).map(drop)
    }
}

/// A line break would begin another assignment.
fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let length = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn messages_arrive_at_a_socket_with_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("binds");
        let notifier = Notifier::open(path.as_os_str(), Some(Duration::from_secs(20))).expect("opens");
        notifier.ready("1 line\nEXTEND_TIMEOUT_USEC=1").expect("sends");
        assert_eq!(received(&manager), "READY=1\nSTATUS=1 line EXTEND_TIMEOUT_USEC=1");
        notifier.alive().expect("sends");
        assert_eq!(received(&manager), "WATCHDOG=1");
        notifier.stopping().expect("sends");
        assert_eq!(received(&manager), "STOPPING=1");
        assert_eq!(notifier.watchdog_every(), Some(Duration::from_secs(10)));
    }

    #[test]
    fn messages_arrive_at_an_abstract_socket() {
        let name = format!("forebay-test-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("binds");
        let notifier = Notifier::open(OsStr::new(&format!("@{name}")), None).expect("opens");
        notifier.status("polling").expect("sends");
        assert_eq!(received(&manager), "STATUS=polling");
        assert_eq!(notifier.watchdog_every(), None);
    }

    #[test]
    fn a_manager_that_is_gone_is_an_error_and_not_a_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Notifier::open(folder.path().join("nobody").as_os_str(), None).is_err());
    }
}
