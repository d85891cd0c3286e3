//! The status page as people meet it: in Chromium, on a phone and on a desk, in the dark and in the light, by keyboard, and
//! under the rules of WCAG 2.2 AA as far as axe-core can tell them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use hardware_sim::faults::{Framing, Link};
use serde_json::Value;
use tests::field::{Field, free_port};
use tests::http::get;
use tests::site::Site;
use tests::{need, wait};

use crate::access::{PASSWORD, hash, refused};
use crate::rig::{Counting, counting_device, tcp};

/// What the script does in all, on a busy machine.
const WITHIN: Duration = Duration::from_secs(240);

/// A poll each second, half a second for an answer, the page's second, and a machine that does much else.
const RED_WITHIN_MS: u64 = 5_000;

#[test]
fn people_can_use_the_page_with_eyes_keyboard_and_reader() {
    let Some((modules, chromium)) = need::browser() else { return };
    let Some(node) = need::program("node") else { return };
    let field = Field::new();
    let alive = Counting::tcp(&field);
    let proxy = field.proxy(alive.address, Framing::ModbusTcp);
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let writable = "      setpoint: { address: \"hr:40:UINT\", write: { min: 0, max: 120 } }\n";
    let site = Site::new(&format!(
        "gateway: acme/berlin/line7\nevery: 1s\nhttp: {{ listen: {http}, users: {{ emil: {{ hash: \"{}\", role: engineer }} }} \
         }}\nuplinks: {{ cloud: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\ndevices:\n{}{writable}{}",
        hash(PASSWORD),
        free_port(),
        counting_device("press", &tcp(proxy.address())),
        counting_device("pump", &tcp(alive.address)),
    ));
    let quarantine = site.buffer().join("quarantine");
    std::fs::create_dir_all(&quarantine).expect("a folder");
    std::fs::write(quarantine.join("cloud.jsonl"), refused()).expect("written");
    let _gateway = site.start();
    wait::for_it("it answers", wait::SOON, || get(http, "/healthz").is_ok_and(|(status, _)| status == 200));

    let mut script = Command::new(node)
        .arg(need::root().join("tests/far/page.js"))
        .arg(modules)
        .arg(chromium)
        .args([&format!("http://{http}/"), "emil", PASSWORD, "press"])
        .args(std::env::var_os("FOREBAY_TEST_PICTURES"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("node");
    let lines = BufReader::new(script.stdout.take().expect("a pipe")).lines();
    let mut said: Vec<Value> = Vec::new();
    for line in lines {
        let step: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        if step["step"] == "alive" {
            proxy.link(Link::Refuse);
        }
        said.push(step);
    }
    wait::for_it("the script ends", WITHIN, || script.try_wait().expect("a child").is_some());
    assert!(script.wait().expect("an end").success(), "{said:?}");
    let of = |name: &str| said.iter().filter(|step| step["step"] == name).collect::<Vec<_>>();

    let looks = of("look");
    assert_eq!(looks.len(), 4 * 4 + 2);
    let violations: Vec<String> = looks
        .iter()
        .filter(|look| look["violations"].as_array().is_none_or(|all| !all.is_empty()))
        .map(ToString::to_string)
        .collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert!(of("console").is_empty(), "{:?}", of("console"));
    assert!(of("escape").iter().all(|step| step["open"] == false), "Escape closes a dialog");
    let reached = of("keyboard")[0]["reached"].as_array().cloned().unwrap_or_default();
    assert!(reached.iter().all(|place| place["visible"] == true), "one sees where one is: {reached:?}");
    for name in ["open-login", "pattern", "To the devices"] {
        assert!(reached.iter().any(|place| place["name"] == name), "{name} is reached: {reached:?}");
    }
    let dead = of("dead")[0];
    assert!(dead["ms"].as_u64().is_some_and(|ms| ms < RED_WITHIN_MS), "{dead}");
    assert!(dead["text"] == "not connected" && dead["why"] != "", "{dead}");
    drop(field);
}
