//! A server keeps a message until it is told that it need not: what has only arrived would be gone with the session.

use std::fs;
use std::path::Path;
use std::time::Duration;

use driver_core::{DeviceSpec, GroupId, Line, LineSpec, Reading, Readings, SystemClock, TagId, TagSpec};
use tests::opcua::{Far, Server};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::types::folder;

const EVERY: Duration = Duration::from_millis(100);

/// For each step of the test, on a machine that does more than this.
const WITHIN: Duration = Duration::from_secs(60);

/// The numbers of a subscription's messages, as the server notes them.
#[derive(Debug)]
struct Messages {
    sent: Vec<u32>,
    acknowledged: Vec<u32>,
}

impl Messages {
    fn read(notes: &Path) -> Messages {
        let notes = fs::read_to_string(notes).unwrap_or_default();
        let of = |word: &str| {
            let lines = notes.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            lines.filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
        };
        Messages { sent: of("sent "), acknowledged: of("acknowledged ") }
    }
}

/// The driver alone: it is polled when the test says so.
fn line(url: &str) -> Box<dyn Line> {
    let tag = TagSpec { id: TagId(0), address: "ns=2;s=counter", group: GroupId(0) };
    let device = DeviceSpec { groups: vec![EVERY], tags: [tag].into_iter().collect(), ..DeviceSpec::default() };
    let spec = LineSpec { url: url.parse().expect("a URL"), timeout: None, devices: vec![device] };
    drivers::by_scheme("opc.tcp").expect("a driver").line(&spec).expect("a line")
}

async fn poll(line: &mut dyn Line) {
    let mut readings = Vec::<Reading>::new();
    line.poll(0, GroupId(0), &mut Readings::new(&mut readings, &SystemClock)).await.expect("it answers");
}

#[test]
fn a_message_is_acknowledged_once_and_when_its_values_are_readings() {
    let folder = folder();
    let notes = folder.path().join("published");
    let arguments = ["--published", &notes.to_string_lossy()];
    let Some(far) = Far::start(Server::Asyncua, folder.path(), &arguments) else { return };
    let mut line = line(&format!("{}?policy=none&history=off", far.url()));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        line.listen();
        line.connect().await.expect("the server listens");
        let deadline = Instant::now() + WITHIN;
        while Messages::read(&notes).acknowledged.len() < 3 {
            assert!(Instant::now() < deadline, "{:?}", Messages::read(&notes));
            poll(line.as_mut()).await;
            sleep(EVERY).await;
        }
        // Of what the server sends from here on nothing is fetched from the driver.
        let fetched = Messages::read(&notes).sent.last().copied().expect("a message");
        let deadline = Instant::now() + WITHIN;
        let newest = |messages: &Messages| messages.sent.last().copied().unwrap_or_default();
        while newest(&Messages::read(&notes)) < fetched + 8 {
            assert!(Instant::now() < deadline, "{:?}", Messages::read(&notes));
            sleep(EVERY).await;
        }
        let messages = Messages::read(&notes);
        assert!(messages.acknowledged.iter().all(|number| *number <= fetched), "{fetched}: {messages:?}");
        let sent = newest(&messages);
        let deadline = Instant::now() + WITHIN;
        while Messages::read(&notes).acknowledged.last().is_none_or(|last| *last < sent) {
            assert!(Instant::now() < deadline, "{:?}", Messages::read(&notes));
            poll(line.as_mut()).await;
            sleep(EVERY).await;
        }
        let mut acknowledged = Messages::read(&notes).acknowledged;
        acknowledged.sort_unstable();
        let all: Vec<u32> = (1..=acknowledged.len() as u32).collect();
        assert_eq!(acknowledged, all, "each, once");
        line.close().await;
    });
}
