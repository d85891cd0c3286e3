//! What systemd is told: ready when it polls, alive while it does, stopping when it ends.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tests::field::Field;
use tests::site::Site;
use tests::wait;

use crate::rig::{Counting, PLC, counting_device, embedded, file, running, tcp};

#[test]
fn tells_systemd_that_it_is_ready_alive_and_stopping() {
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, &tcp(plc.address)), &url));
    let path = site.folder().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket in the site's folder");
    socket.set_nonblocking(true).expect("a socket");
    let path = path.display().to_string();
    let gateway = site.start_with(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "1000000")]);
    let mut said = String::new();
    let mut says = |what: &str, times: usize, limit: Duration| {
        wait::for_it(&format!("{what} is said"), limit, || {
            let mut message = [0; 4096];
            while let Ok(length) = socket.recv(&mut message) {
                said.push_str(&String::from_utf8_lossy(&message[..length]));
                said.push('\n');
            }
            said.matches(what).count() >= times
        });
    };
    says("READY=1", 1, wait::SOON);
    running(&recorder);
    says("WATCHDOG=1", 4, Duration::from_secs(5));
    says("STATUS=", 1, Duration::from_secs(5));
    gateway.signal("TERM");
    says("STOPPING=1", 1, wait::SOON);
}
