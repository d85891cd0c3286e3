//! Who may do what over HTTP: roles, lock-out, other sites' pages, TLS beyond the loopback, and what a fuzzer of APIs finds.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::field::{Field, free_port};
use tests::gateway::{Gateway, binary};
use tests::http::{answer, ask, bytes, get, post};
use tests::site::Site;
use tests::{need, wait};

use crate::rig::{Counting, counting_device, tcp};

pub(crate) const PASSWORD: &str = "correct horse";
const TOKEN: &str = "the-engineers-token";

struct Door {
    http: SocketAddr,
    device: String,
    site: Site,
    gateway: Gateway,
    _alive: Counting,
    _field: Field,
}

impl Door {
    fn start() -> Door {
        let field = Field::new();
        let alive = Counting::tcp(&field);
        let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let device = tcp(alive.address);
        let hash = hash(PASSWORD);
        let uplink = format!("uplinks: {{ cloud: {{ url: \"mqtt://127.0.0.1:{}\" }} }}\n", free_port());
        let text = format!(
            "gateway: g\nevery: 1s\nhttp:\n  listen: {http}\n  users:\n    olga: {{ hash: \"{hash}\", role: operator }}\n    \
             emil: {{ hash: \"{hash}\", role: engineer }}\n  tokens: {{ robot: {{ secret: {{ literal: {TOKEN} }}, role: \
             engineer }} }}\n{uplink}devices:\n{}",
            counting_device("press", &device)
        );
        let site = Site::new(&text);
        let gateway = site.start();
        wait::for_it("it answers", wait::SOON, || get(http, "/healthz").is_ok_and(|(status, _)| status == 200));
        Door { http, device, site, gateway, _alive: alive, _field: field }
    }

    /// A request with these headers, each with its line end; status, head, body.
    fn send(&self, method: &str, path: &str, headers: &str, body: &Value) -> (u16, String, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (http, length) = (self.http, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        answer(http, format!("{head}{body}").as_bytes()).expect("an answer")
    }

    fn login(&self, user: &str, password: &str) -> (u16, String, String) {
        self.send("POST", "/api/v1/login", "X-Forebay: page\r\n", &json!({ "user": user, "password": password }))
    }

    fn refused_messages_are_decided_about_by(&self, engineer: &str, operator: &str) {
        let quarantine = self.site.buffer().join("quarantine");
        std::fs::create_dir_all(&quarantine).expect("a folder");
        std::fs::write(quarantine.join("cloud.jsonl"), refused().repeat(2)).expect("written");
        let numbers = |numbers: &[u64]| json!({ "uplink": "cloud", "numbers": numbers });
        for (path, headers, body, expected) in [
            ("/api/v1/quarantine/retry", operator, numbers(&[1]), 403),
            ("/api/v1/quarantine/retry", engineer, numbers(&[]), 400),
            ("/api/v1/quarantine/retry", engineer, numbers(&[3]), 404),
            ("/api/v1/quarantine/retry", engineer, json!({ "uplink": "..", "numbers": [1] }), 404),
            ("/api/v1/quarantine/retry", engineer, numbers(&[1]), 200),
            ("/api/v1/quarantine/drop", operator, numbers(&[2]), 403),
            ("/api/v1/quarantine/drop", engineer, numbers(&[2]), 200),
        ] {
            let (status, _, answer) = self.send("POST", path, headers, &body);
            assert_eq!(status, expected, "{path} {body} {answer}");
        }
        // Nothing was delivered, for nobody listens: what is to be sent again is still kept.
        let (_, _, left) = self.send("GET", "/api/v1/quarantine?uplink=cloud", engineer, &Value::Null);
        let left: Value = serde_json::from_str(&left).expect("JSON");
        assert_eq!(left["messages"].as_array().map(Vec::len), Some(1), "{left}");
    }

    /// The headers of somebody who has logged in.
    fn logged_in(&self, user: &str) -> String {
        let (status, head, body) = self.login(user, PASSWORD);
        assert_eq!(status, 200, "{body}");
        let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        format!("Cookie: {}\r\n", cookie.split(';').next().unwrap_or_default())
    }
}

/// A message that a broker refused, as the gateway keeps it.
pub(crate) fn refused() -> String {
    let message = json!({ "reason": "not authorized", "topic": "g/press/n", "content_type": "application/json",
        "epoch": 1, "first": 7, "last": 9, "payload": "{\"value\":1}" });
    format!("{message}\n")
}

pub(crate) fn hash(password: &str) -> String {
    let output = forebay_password(password);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn forebay_password(password: &str) -> Output {
    let mut child = Command::new(binary())
        .arg("password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    child.stdin.take().expect("a pipe").write_all(password.as_bytes()).expect("written");
    child.wait_with_output().expect("an end")
}

#[test]
fn each_role_may_do_what_it_says_and_nobody_else() {
    let door = Door::start();
    let read = json!({ "url": door.device, "addresses": ["hr:0:UDINT"] });
    let own = "X-Forebay: page\r\n";
    for (path, headers, expected) in [
        ("/api/v1/read", String::new(), 401),
        ("/api/v1/read", door.logged_in("olga") + own, 403),
        ("/api/v1/read", door.logged_in("emil") + own, 200),
        ("/api/v1/read", format!("Authorization: Bearer {TOKEN}\r\n"), 200),
        ("/api/v1/read", door.logged_in("emil"), 403),
        ("/api/v1/read", door.logged_in("emil") + own + "Origin: https://evil.example\r\n", 403),
        ("/api/v1/read", door.logged_in("emil") + own + "Sec-Fetch-Site: cross-site\r\n", 403),
        ("/api/v1/read", "Cookie: forebay_session=0123\r\n".to_owned() + own, 401),
    ] {
        let (status, _, body) = door.send("POST", path, &headers, &read);
        assert_eq!(status, expected, "{headers}{body}");
    }
    let emil = door.logged_in("emil") + own;
    let (_, _, body) = door.send("POST", "/api/v1/read", &emil, &read);
    let value: Value = serde_json::from_str(&body).expect("JSON");
    assert!(value["readings"][0]["quality"] == "good", "{value}");
    for wrong in ["modbus-tls://127.0.0.1?ca=/etc/passwd", "modbus-rtu:///dev/ttyS0", "nonsense"] {
        let read = json!({ "url": wrong, "addresses": ["hr:0"] });
        assert_eq!(door.send("POST", "/api/v1/read", &emil, &read).0, 422, "{wrong}");
    }
    let check = |text: &str| {
        let (status, body) = post(door.http, "/api/v1/config/check", TOKEN, text).expect("an answer");
        (status, serde_json::from_str::<Value>(&body).expect("JSON"))
    };
    let (status, report) = check("gateway: g\ndevices: { a: { url: nonsense } }\n");
    assert!(status == 200 && report["valid"] == false && report["report"].to_string().contains("nonsense"), "{report}");
    // The rest stays as it runs: what cannot be changed while it runs is a fault of the check.
    let running = std::fs::read_to_string(door.site.folder().join("gateway.yaml")).expect("the file");
    let (status, report) = check(&running.replace("every: 1s", "every: 2s"));
    assert!(status == 200 && report["valid"] == true, "{report}");
    let (status, _, body) = door.send("GET", "/api/v1/quarantine?uplink=cloud", &emil, &Value::Null);
    assert!(status == 200 && body.contains("\"messages\":[]"), "{body}");
    assert_eq!(door.send("GET", "/api/v1/quarantine?uplink=..%2F..", &emil, &Value::Null).0, 404);
    door.refused_messages_are_decided_about_by(&emil, &(door.logged_in("olga") + own));
    let (_, _, body) = door.send("POST", "/api/v1/logout", &emil, &Value::Null);
    assert!(body.contains("null"), "{body}");
    assert_eq!(door.send("POST", "/api/v1/read", &emil, &read).0, 401, "the login has ended");
}

#[test]
fn who_guesses_waits_and_nobody_learns_who_there_is() {
    let door = Door::start();
    assert_eq!(door.send("POST", "/api/v1/login", "", &json!({ "user": "olga", "password": PASSWORD })).0, 403);
    let (_, _, unknown) = door.login("nobody", "wrong password");
    let mut last = (0, String::new(), String::new());
    for _ in 0..5 {
        last = door.login("olga", "wrong password");
        assert_eq!((last.0, &last.2), (401, &unknown));
    }
    let locked = door.login("olga", PASSWORD);
    assert!(locked.0 == 429 && locked.1.contains("retry-after: "), "{locked:?}");
    assert_eq!(door.login("emil", PASSWORD).0, 200, "another is not locked out");
    drop(last);
    for weak in ["short", ""] {
        assert_eq!(forebay_password(weak).status.code(), Some(1));
    }
}

#[test]
fn beyond_the_loopback_there_is_tls_and_a_login_or_nothing() {
    let port = free_port();
    let devices = "devices: { a: { url: \"modbus-tcp://127.0.0.1:1?unit=1\", tags: { b: \"hr:0\" } } }\n";
    let open = Site::new(&format!("gateway: g\nhttp: {{ listen: \"0.0.0.0:{port}\" }}\n{devices}"));
    let checked = open.forebay(&["check", "gateway.yaml"]);
    let text = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{text}");
    assert!(text.contains("without TLS") && text.contains("nobody could log in"), "{text}");

    let Some(openssl) = need::program("openssl") else { return };
    let users = format!("users: {{ anna: {{ hash: \"{}\" }} }}", hash(PASSWORD));
    let http = format!("http: {{ listen: \"0.0.0.0:{port}\", tls: {{ cert: own }}, {users} }}");
    let site = Site::new(&format!("gateway: g\n{http}\n{devices}"));
    let _gateway = site.start();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let over_tls = |request: &str| {
        let mut child = Command::new(&openssl)
            .args(["s_client", "-quiet", "-connect", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may have ended because nobody listens yet.
        drop(stdin.write_all(request.as_bytes()));
        let output = child.wait_with_output().expect("an end");
        drop(stdin);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let get = |path: &str| over_tls(&format!("GET {path} HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n\r\n"));
    wait::for_it("it answers", wait::SOON, || get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(get("/").contains("<title>Forebay</title>"));
    for path in ["/api/v1/status", "/api/v1/live", "/metrics", "/api/v1/values", "/api/v1/events"] {
        assert!(get(path).starts_with("HTTP/1.1 401"), "{path}");
    }
    let body = json!({ "user": "anna", "password": PASSWORD }).to_string();
    let login = over_tls(&format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: edge.example\r\nX-Forebay: page\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(login.starts_with("HTTP/1.1 200") && login.contains("; Secure"), "{login}");
    let plain = ask(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(plain.is_err(), "nothing is said without TLS: {plain:?}");
}

#[test]
fn recordings_are_listed_saved_and_fetched_and_frames_told_in_the_log() {
    let Some(tshark) = need::program("tshark") else { return };
    let door = Door::start();
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let ask = |method: &str, path: &str, body: &Value| {
        let (status, _, body) = door.send(method, path, &bearer, body);
        (status, serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    let post = |path: &str, body: &Value| ask("POST", &format!("/api/v1/recordings/{path}"), body);
    let list = || ask("GET", "/api/v1/recordings", &Value::Null).1;
    wait::for_it("frames pass", wait::SOON, || list()["lines"][0]["recorded_bytes"].as_u64().is_some_and(|n| n > 0));
    assert_eq!(list()["lines"][0]["devices"], json!(["press"]));

    let (status, saved) = post("save", &json!({ "device": "press" }));
    let name = saved["name"].as_str().expect("a name").to_owned();
    assert!(status == 200 && list()["saved"][0]["name"] == *name, "{saved}");
    for path in [format!("file?name={name}"), "now?device=press".into()] {
        let request = format!(
            "GET /api/v1/recordings/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{bearer}\r\n",
            door.http
        );
        let file = bytes(door.http, request.as_bytes()).expect("a file");
        let place = door.site.folder().join("recording.pcapng");
        std::fs::write(&place, file).expect("written");
        let output = Command::new(&tshark).arg("-r").arg(&place).args(["-Y", "modbus"]).output().expect("tshark");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && told.contains("Query") && told.contains("Response"), "{path}: {told}");
    }
    for (path, status) in
        [("file?name=..%2Fuses", 404), ("file?name=", 404), ("file", 400), ("now?device=oven", 404), ("now?x=1", 400)]
    {
        assert_eq!(ask("GET", &format!("/api/v1/recordings/{path}"), &Value::Null).0, status, "{path}");
    }
    assert_eq!(post("save", &json!({ "device": "oven" })).0, 404);
    assert_eq!(door.send("POST", "/api/v1/recordings/save", "", &json!({ "device": "press" })).0, 401);

    let frames = || door.gateway.log().matches("unit 1").count();
    assert_eq!((post("decoding", &json!({ "device": "press", "decoding": true })).0, frames()), (200, 0));
    wait::for_it("each frame is told", wait::SOON, || frames() >= 4);
    assert_eq!(list()["lines"][0]["decoding"], true);
    let events = get(door.http, "/api/v1/events").expect("an answer").1;
    assert!(!events.contains("-> "), "frames push no message out: {events}");
    assert_eq!(post("decoding", &json!({ "device": "press", "decoding": false })).0, 200);
    // One may be under way.
    wait::for_it("silence", wait::SOON, || {
        let told = frames();
        wait::pass(Duration::from_millis(2500));
        frames() == told
    });
    assert_eq!(post("decoding", &json!({ "device": "press", "decoding": "yes" })).0, 400);
}

#[test]
fn a_configuration_is_applied_confirmed_and_taken_back_over_http() {
    let door = Door::start();
    let file = || std::fs::read_to_string(door.site.file()).expect("the file");
    let before = file();
    let send = |path: &str, text: &str| {
        let (status, body) = post(door.http, &format!("/api/v1/config/{path}"), TOKEN, text).expect("an answer");
        (status, serde_json::from_str::<Value>(&body).expect("JSON"))
    };
    let tags = || {
        let (_, body) = get(door.http, "/api/v1/tags").expect("an answer");
        serde_json::from_str::<Value>(&body).expect("JSON")["tags"].clone()
    };
    let more = before.replace("hr:0:UDINT\"\n", "hr:0:UDINT\"\n      more: \"hr:0:UDINT\"\n");

    // Nobody confirms: it undoes itself, and was never in the file.
    let (status, applied) = send("apply?confirm_within=2", &more);
    assert!(status == 200 && applied["state"]["confirm_until"].is_string(), "{applied}");
    assert_eq!((tags(), file() == before), (json!(2), true));
    wait::for_it("it is taken back", wait::SOON, || tags() == json!(1));
    assert_eq!(send("confirm", "").0, 409, "there is nothing to confirm any more");

    // Confirmed: it stays and stands in the file.
    assert_eq!(send("apply?confirm_within=60", &more).0, 200);
    let (status, confirmed) = send("confirm", "");
    assert!(status == 200 && confirmed["state"]["in_file"] == true, "{confirmed}");
    assert_eq!((tags(), file() == more), (json!(2), true));

    // Taken back by hand, once.
    assert_eq!(send("roll-back", "").0, 200);
    assert_eq!((tags(), file() == before), (json!(1), true));
    assert_eq!(send("roll-back", "").0, 409);

    // What is wrong changes nothing, and what needs a restart says so.
    let (status, refused) = send("apply", &more.replace("hr:0", "hx:0"));
    assert!(status == 422 && refused["error"].to_string().contains("hx:0"), "{refused}");
    let (status, refused) = send("apply", &before.replace("gateway: g", "gateway: other"));
    assert!(status == 409 && refused["error"].to_string().contains("gateway"), "{refused}");
    assert_eq!((tags(), file() == before), (json!(1), true));
}

/// schemathesis makes requests out of the OpenAPI document, good ones and bad ones, and holds the answers against it.
#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_have() {
    let Some(schemathesis) = need::schemathesis() else { return };
    let mut door = Door::start();
    let examples = if need::long() { "200" } else { "12" };
    let output = Command::new(schemathesis)
        .args(["run", &format!("http://{}/api/v1/openapi.json", door.http)])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}"), "--max-examples", examples, "--seed", "7"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--exclude-path", "/api/v1/live", "--exclude-path", "/readyz", "--phases", "examples,coverage,fuzzing"])
        // Two threads that parse Python at once end it with a SystemError: cpython's gh-106905.
        .args(["--request-timeout", "20", "--workers", "1", "--no-color"])
        .current_dir(door.site.folder())
        .output()
        .expect("schemathesis");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(door.gateway.ended().is_none());
    wait::for_it("it answers still", Duration::from_secs(20), || {
        get(door.http, "/healthz").is_ok_and(|(s, _)| s == 200)
    });
}
