//! The status page and what it stands on: what is dead says so within its interval, values move, and everything is bounded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hardware_sim::faults::{FaultProxy, Framing, Link};
use serde_json::Value;
use tests::field::{Field, free_port};
use tests::gateway::Gateway;
use tests::http::{Live, get};
use tests::site::Site;
use tests::wait;

use crate::rig::{Counting, PLC, counting_device, embedded, file, tcp};

const SECOND: Duration = Duration::from_secs(1);

/// A poll each second, and half a second for an answer.
struct Plant {
    field: Field,
    alive: Counting,
    proxy: FaultProxy,
    http: SocketAddr,
    _site: Site,
    _gateway: Gateway,
}

impl Plant {
    fn start() -> Plant {
        let field = Field::new();
        let alive = Counting::tcp(&field);
        let proxy = field.proxy(alive.address, Framing::ModbusTcp);
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let devices = counting_device("press", &tcp(proxy.address())) + &counting_device("pump", &tcp(alive.address));
        let site = Site::new(&format!("gateway: g\nevery: 1s\nhttp: {{ listen: {http} }}\ndevices:\n{devices}"));
        let gateway = site.start();
        let plant = Plant { field, alive, proxy, http, _site: site, _gateway: gateway };
        wait::for_it("both are up", wait::SOON, || plant.state("press").0 == "up" && plant.state("pump").0 == "up");
        plant
    }

    fn json(&self, path: &str) -> Value {
        get(self.http, path)
            .ok()
            .filter(|(status, _)| *status == 200)
            .and_then(|(_, body)| serde_json::from_str(&body).ok())
            .unwrap_or_default()
    }

    /// A device's state and its reason.
    fn state(&self, name: &str) -> (String, String) {
        state(&self.json("/api/v1/status"), name)
    }
}

fn state(status: &Value, name: &str) -> (String, String) {
    let lines = status["lines"].as_array().into_iter().flatten();
    let mut devices = lines.flat_map(|line| line["devices"].as_array().into_iter().flatten());
    let device = devices.find(|device| device["name"] == name).cloned().unwrap_or_default();
    let text = |key: &str| device[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

#[test]
fn a_device_that_is_killed_turns_red_within_its_interval_and_says_why() {
    let plant = Plant::start();
    let mut live = Live::open(plant.http, "/api/v1/live").expect("a stream");
    live.until("status", |status| state(status, "press").0 == "up");
    let is_all_good =
        |values: &Value| values.as_array().is_some_and(|all| all.len() > 1 && all.iter().all(|one| one[2] == "good"));
    live.until("values", is_all_good);
    plant.proxy.link(Link::Refuse);
    let killed = Instant::now();
    let status = live.until("status", |status| state(status, "press").0 != "up");
    let took = killed.elapsed();
    // The poll's interval, the page's second, and a machine that does much else.
    assert!(took < 4 * SECOND, "it took {took:?}");
    let (word, why) = state(&status, "press");
    assert!(word == "not connected" && !why.is_empty(), "{word}: {why}");
    assert_eq!(state(&status, "pump").0, "up");
    let bad = live.until("values", |values| values.as_array().is_some_and(|all| all.iter().any(|one| one[2] == "bad")));
    let bad = bad.as_array().and_then(|all| all.iter().find(|one| one[2] == "bad")).cloned().unwrap_or_default();
    assert!(bad[3].is_string() && bad[5].is_string(), "a reason, and the last good value: {bad}");
    wait::for_it("the loss stands among the events", wait::SOON, || {
        let events = plant.json("/api/v1/events").to_string();
        events.contains("not connected") && events.contains("\"warn\"")
    });
    plant.proxy.link(Link::Up);
    live.until("status", |status| state(status, "press").0 == "up");

    plant.proxy.link(Link::BlackHole);
    let status = live.until("status", |status| state(status, "press").0 != "up");
    assert!(!state(&status, "press").1.is_empty(), "{status}");
}

#[test]
fn what_waits_for_a_broker_that_never_came_is_counted() {
    let field = Field::new();
    let alive = Counting::tcp(&field);
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let site = Site::new(&format!(
        "gateway: g\nevery: 100ms\nhttp: {{ listen: {http} }}\nuplinks: {{ cloud: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n\
         devices:\n{}",
        free_port(),
        counting_device("press", &tcp(alive.address))
    ));
    let mut gateway = site.start();
    let waiting = || {
        let (_, body) = get(http, "/api/v1/status").ok()?;
        serde_json::from_str::<Value>(&body).ok()?["uplinks"][0]["lag_readings"].as_u64()
    };
    wait::for_it("what waits is counted", wait::SOON, || waiting().is_some_and(|waiting| waiting > 20));
    let metrics = get(http, "/metrics").expect("an answer").1;
    let lag = metrics.lines().find_map(|line| line.strip_prefix("forebay_uplink_lag_readings{uplink=\"cloud\"} "));
    assert!(lag.and_then(|lag| lag.parse::<u64>().ok()).is_some_and(|lag| lag > 20), "{lag:?}");
    gateway.signal("TERM");
    wait::for_it("it ends", wait::SOON, || gateway.ended().is_some());
    let log = gateway.log();
    let told = log.lines().find(|line| line.contains("stopped uplink=")).unwrap_or_default().to_owned();
    assert!(!told.is_empty() && !told.contains("waiting=0"), "the leave tells it too: {told}");
}

#[test]
fn values_move_and_the_log_has_their_history() {
    let plant = Plant::start();
    let value = || {
        let values = plant.json("/api/v1/values?match=pump.*");
        (values["tags"] == 1 && values["values"][0]["quality"] == "good")
            .then(|| values["values"][0]["value"].as_u64())?
    };
    let first = wait::until("a value", wait::SOON, value);
    wait::for_it("it moves", wait::SOON, || value().is_some_and(|now| now > first));
    let history = plant.json("/api/v1/history?match=pump.n&from=-60");
    let readings = history["tags"][0]["readings"].as_array().cloned().unwrap_or_default();
    let counts: Vec<u64> = readings.iter().filter_map(|reading| reading[1].as_u64()).collect();
    assert!(history["complete"] == true && counts.len() >= 2, "{history}");
    assert!(counts.is_sorted() && counts.last() <= Some(&plant.alive.oracle.last()), "{counts:?}");
    let cut = plant.json("/api/v1/history?limit=1");
    assert!(cut["complete"] == false && cut["next"].is_string(), "{cut}");
    for wrong in
        ["history?from=yesterday", "history?limit=0", "values?mach=x", "live?limit=99999999", "history?match=%zz"]
    {
        assert_eq!(get(plant.http, &format!("/api/v1/{wrong}")).expect("an answer").0, 400, "{wrong}");
    }
    drop(plant.field);
}

/// What is delivered goes from the log, unless it is to be kept: whoever asks for a longer time is told so.
#[test]
fn history_says_from_when_on_the_log_has_readings() {
    let field = Field::new();
    let counting = Counting::tcp(&field);
    let (_broker, uplink, recorder) = embedded(&field);
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let site = Site::new(&format!(
        "{}http: {{ listen: {http} }}\n",
        file(&counting_device(PLC, &tcp(counting.address)), &uplink)
    ));
    let _gateway = site.start();
    let history = || {
        let (status, body) = get(http, "/api/v1/history?from=-600").ok()?;
        (status == 200).then(|| serde_json::from_str::<Value>(&body).expect("JSON"))
    };
    let begins = |history: &Value| history["log_begins"].as_str().map(str::to_owned);
    let told =
        wait::until("a reading is delivered", wait::SOON, || Some(recorder.readings().first()?.time().to_owned()));
    let first = begins(&history().expect("an answer")).expect("the log has something");
    assert!(first <= told, "{first}, and {told} was told");
    let history = wait::until("what was delivered went", Duration::from_secs(60), || {
        history().filter(|history| begins(history).is_some_and(|begins| begins > told))
    });
    let readings = history["tags"][0]["readings"].as_array().cloned().unwrap_or_default();
    assert!(!readings.is_empty() && history["complete"] == true, "{history}");
    assert!(readings.iter().all(|reading| reading[0].as_str() >= history["log_begins"].as_str()), "{history}");
}

#[test]
fn the_page_is_served_and_nothing_from_elsewhere_is_loaded() {
    let plant = Plant::start();
    for (path, word) in
        [("/", "<title>Forebay</title>"), ("/page.js", "EventSource"), ("/page.css", "prefers-color-scheme")]
    {
        let (status, body) = get(plant.http, path).expect("an answer");
        assert!(status == 200 && body.contains(word), "{path}");
        let body = body.replace("http://www.w3.org/2000/svg", "");
        let is_elsewhere = ["http://", "https://", "=\"//", "url(//"].iter().any(|place| body.contains(place));
        assert!(!is_elsewhere, "{path} names another place");
    }
}

#[test]
fn those_who_watch_are_bounded_and_those_who_do_not_read_delay_nobody() {
    const WATCHERS_MAX: usize = 8;
    let plant = Plant::start();
    let mut watching: Vec<Live> =
        (0..WATCHERS_MAX).map(|_| Live::open(plant.http, "/api/v1/live").expect("a stream")).collect();
    watching.iter_mut().for_each(|live| drop(live.until("status", |_| true)));
    assert_eq!(get(plant.http, "/api/v1/live").expect("an answer").0, 429);
    drop(watching);
    let mut deaf: Vec<TcpStream> = (0..WATCHERS_MAX / 2)
        .map(|_| {
            let mut stream = TcpStream::connect(plant.http).expect("a connection");
            stream.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
            stream
        })
        .collect();
    let mut live = wait::until("a place", wait::SOON, || Live::open(plant.http, "/api/v1/live").ok());
    let counted = plant.alive.oracle.last();
    (0..3).for_each(|_| drop(live.until("values", |_| true)));
    assert!(plant.alive.oracle.last() > counted);
    let mut first = [0; 16];
    deaf.iter_mut().for_each(|stream| stream.read_exact(&mut first).expect("what was sent before"));
    assert_eq!(first, *b"HTTP/1.1 200 OK\r");
}
