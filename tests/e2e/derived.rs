//! Tags that are made of others, alarms and totals, from the plant to the broker and across restarts.

use std::net::SocketAddr;
use std::time::Duration;

use hardware_sim::broker::Broker;
use hardware_sim::modbus::{ModbusServer, Plant};
use serde_json::{Value, json};
use tests::field::{Field, free_port};
use tests::http::post;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{embedded, file, tcp};

/// Two PLCs whose first registers are set by hand.
struct Two {
    plants: [Plant; 2],
    addresses: [SocketAddr; 2],
    _servers: [ModbusServer; 2],
    _broker: Broker,
    url: String,
    recorder: Subscriber,
    door: SocketAddr,
}

impl Two {
    fn new(field: &Field) -> Two {
        let plants = [Plant::new(), Plant::new()];
        plants.iter().for_each(|plant| plant.write_holding(1, 0, &[0, 0]));
        let [(first, one), (second, two)] = [field.tcp(&plants[0]), field.tcp(&plants[1])];
        let (broker, url, recorder) = embedded(field);
        let door = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Two { plants, addresses: [one, two], _servers: [first, second], _broker: broker, url, recorder, door }
    }

    fn file(&self, more: &str) -> String {
        let device = |name: &str, address: SocketAddr, tags: &str| {
            format!(
                "  {name}:\n    url: {}\n    timeout: 300ms\n    tags:\n      a: hr:0:INT\n      b: hr:1:UINT\n{tags}",
                tcp(address)
            )
        };
        let devices = device("press", self.addresses[0], more) + &device("mixer", self.addresses[1], "");
        let door = self.door;
        format!(
            "{}http: {{ listen: {door}, tokens: {{ anna: {{ secret: {{ env: TOKEN }} }} }} }}\n",
            file(&devices, &self.url)
        )
    }

    fn shows(&self, tag: &str, what: &str, is_so: impl Fn(&tests::subscriber::Received) -> bool) {
        wait::for_it(&format!("press.{tag} {what}"), wait::SOON, || {
            self.recorder.last("press", tag).is_some_and(|reading| is_so(&reading))
        });
    }

    fn holds(&self, tag: &str, value: &Value) {
        self.shows(tag, &format!("is {value}"), |reading| {
            reading.is_good()
                && (reading.value() == value || reading.value().as_f64().is_some_and(|n| Some(n) == value.as_f64()))
        });
    }

    fn command(&self, tag: &str, value: &str) -> (u16, Value) {
        let body = json!({ "id": format!("{tag}-{value}"), "device": "press", "tag": tag, "value": value }).to_string();
        let (status, body) = post(self.door, "/api/v1/commands", SECRET, &body).expect("an answer");
        (status, serde_json::from_str(&body).unwrap_or_default())
    }
}

const SECRET: &str = "the-operators-token";
const TOKEN: [(&str, &str); 1] = [("TOKEN", SECRET)];

#[test]
fn calculations_over_two_devices_follow_both_and_are_bad_with_either() {
    let field = Field::new();
    let mut two = Two::new(&field);
    let tags =
        "      product: { calc: \"a * mixer.a\", unit: W }\n      above: { calc: \"product > 50 and mixer.b == 0\" }\n";
    let site = Site::new(&two.file(tags));
    let gateway = site.start_with(&TOKEN);
    two.plants[0].write_holding(1, 0, &[6]);
    two.plants[1].write_holding(1, 0, &[7]);
    two.holds("product", &json!(42));
    two.holds("above", &json!(false));
    two.plants[1].write_holding(1, 0, &[10]);
    two.holds("product", &json!(60));
    two.holds("above", &json!(true));
    let gone = std::mem::replace(&mut two._servers[1], field.tcp(&two.plants[1]).0);
    drop(gone);
    two.shows("product", "is bad", |reading| {
        !reading.is_good() && reading.value().is_null() && !reading.reason().is_empty()
    });
    two.shows("a", "is good", |reading| reading.is_good());
    drop(gateway);
}

#[test]
fn an_alarm_is_held_back_told_acknowledged_shelved_and_outlives_the_gateway() {
    let field = Field::new();
    let two = Two::new(&field);
    let tags = "      load: { calc: \"a + mixer.a\", alarm: { high: 100, hysteresis: 10, hold: 3s } }\n";
    let site = Site::new(&two.file(tags));
    let gateway = site.start_with(&TOKEN);
    two.holds("load.alarm", &json!("normal"));
    two.plants[0].write_holding(1, 0, &[150]);
    two.holds("load", &json!(150));
    assert!(two.recorder.last("press", "load.alarm").is_some_and(|reading| reading.value() == "normal"), "held back");
    two.holds("load.alarm", &json!("high"));
    let (status, answer) = two.command("load.alarm", "acknowledge");
    assert_eq!((status, answer["result"].as_str()), (200, Some("done")), "{answer}");
    two.holds("load.alarm", &json!("high acknowledged"));
    let (status, answer) = two.command("load.alarm", "sing");
    assert!(status >= 400, "{answer}");
    assert!(gateway.terminate().success());

    let gateway = site.start_with(&TOKEN);
    let before = two.recorder.count();
    wait::for_it("readings come again", wait::SOON, || two.recorder.count() > before + 20);
    two.holds("load.alarm", &json!("high acknowledged"));
    let (status, _) = two.command("load.alarm", "shelve 1h");
    assert_eq!(status, 200);
    two.holds("load.alarm", &json!("shelved"));
    two.plants[0].write_holding(1, 0, &[95]);
    two.holds("load", &json!(95));
    let (status, _) = two.command("load.alarm", "unshelve");
    assert_eq!(status, 200);
    two.holds("load.alarm", &json!("high acknowledged"));
    two.plants[0].write_holding(1, 0, &[90]);
    two.holds("load.alarm", &json!("normal"));
    drop(gateway);
}

#[test]
fn a_total_counts_on_across_a_restart_and_what_was_counted_meanwhile() {
    let field = Field::new();
    let two = Two::new(&field);
    let tags = "      sum: { total: { of: b } }\n      top: { window: { of: b, over: 500ms, take: max } }\n";
    let site = Site::new(&two.file(tags));
    let gateway = site.start_with(&TOKEN);
    two.plants[0].write_holding(1, 1, &[100]);
    two.shows("sum", "stands", |reading| reading.is_good());
    two.holds("top", &json!(100));
    let begun = two.recorder.last("press", "sum").and_then(|reading| reading.value().as_f64()).expect("a number");
    two.plants[0].write_holding(1, 1, &[130]);
    two.holds("sum", &json!(begun + 30.0));
    assert!(gateway.terminate().success());
    two.plants[0].write_holding(1, 1, &[150]);
    let gateway = site.start_with(&TOKEN);
    two.holds("sum", &json!(begun + 50.0));
    two.plants[0].write_holding(1, 1, &[3]);
    two.holds("sum", &json!(begun + 53.0));
    two.holds("top", &json!(3));
    drop(gateway);
}

#[test]
fn a_swinging_door_lets_the_ends_of_lines_go() {
    let field = Field::new();
    let two = Two::new(&field);
    let site = Site::new(&two.file("      line: { address: \"hr:0:INT\", report: swinging-door, deadband: 2 }\n"));
    let gateway = site.start_with(&TOKEN);
    for value in [40, 40, 90] {
        two.plants[0].write_holding(1, 0, &[value]);
        wait::pass(Duration::from_secs(2));
    }
    assert!(gateway.terminate().success());
    // What was held back has been stored at the stop and comes with the next start.
    let gateway = site.start_with(&TOKEN);
    two.holds("line", &json!(90));
    drop(gateway);
    let received = two.recorder.readings();
    let count = |tag: &str| received.iter().filter(|reading| reading.device == "press" && reading.tag == tag).count();
    let (kept, all) = (count("line"), count("a"));
    eprintln!("{kept} of {all} readings went on");
    assert!(all > 50 && kept >= 3 && kept <= all / 5, "{kept} of {all}");
}
