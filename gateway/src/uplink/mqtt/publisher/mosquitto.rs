//! Against the real broker, where Debian's `mosquitto` and `mosquitto-clients` are installed; skipped with a message
//! elsewhere.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use buffer::SeqRange;
use bytes::Bytes;
use tokio::net::TcpStream;

use super::*;
use crate::uplink::mqtt::config;
use crate::uplink::{Lane, TlsFiles, Token, UplinkSpec};

const DEADLINE: Duration = Duration::from_secs(30);
const MOSQUITTO: &str = "/usr/sbin/mosquitto";

struct Broker {
    process: Child,
    folder: tempfile::TempDir,
    /// A plain listener on which the test looks at what has arrived.
    look: u16,
    /// The listener that is tested.
    port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Broker {
    /// A broker whose tested listener has these lines; `{dir}` in them is the broker's folder.
    async fn start(lines: &str) -> Option<Broker> {
        if !Path::new(MOSQUITTO).exists() {
            eprintln!("skipped: {MOSQUITTO} is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let [look, port] = free_ports();
        let folder_text = folder.path().display().to_string();
        let config = format!(
            "per_listener_settings true\nlistener {look} 127.0.0.1\nallow_anonymous true\nlistener {port} 127.0.0.1\n{}\n",
            lines.replace("{dir}", &folder_text)
        );
        let path = folder.path().join("mosquitto.conf");
        fs::write(&path, config).expect("a file");
        let process = Command::new(MOSQUITTO).arg("-c").arg(&path).stderr(Stdio::null()).spawn().expect("mosquitto");
        let broker = Broker { process, folder, look, port };
        for port in [look, port] {
            let up = async {
                while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    tokio::task::yield_now().await;
                }
            };
            timeout(DEADLINE, up).await.expect("the broker listens");
        }
        broker.look(&["-E"]);
        Some(broker)
    }

    /// A subscriber with a durable session: what is published between two looks is not missed.
    fn look(&self, more: &[&str]) -> String {
        let port = self.look.to_string();
        let seen = Command::new("mosquitto_sub")
            .args(["-p", &port, "-i", "checker", "-c", "-q", "1", "-V", "5", "-t", "#", "-F", "%t %P %p"])
            .args(more)
            .output()
            .expect("mosquitto_sub");
        String::from_utf8(seen.stdout).expect("UTF-8")
    }

    fn publisher(&self, scheme: &str, options: &str, tls: TlsFiles) -> MqttPublisher {
        let url = format!("{scheme}://localhost:{}{options}", self.port);
        let spec = UplinkSpec {
            user: Some("me".into()),
            password: Some(Arc::new(|| Ok(b"geheim".to_vec()))),
            tls,
            identity: "uuid".into(),
            ..UplinkSpec::new("acme/line7", "cloud", url.parse().expect("a URL"))
        };
        MqttPublisher::new(config::check(&spec).expect("a configuration").0, None)
    }

    fn file(&self, name: &str) -> Option<std::path::PathBuf> {
        Some(self.folder.path().join(name))
    }

    fn ca(&self) -> TlsFiles {
        TlsFiles { ca: self.file("ca.pem"), ..TlsFiles::default() }
    }
}

/// Two ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// An authority, a server's certificate for `localhost` and a client's, all signed by it, and another authority.
fn certificates(folder: &Path) {
    let script = "
        set -e
        for ca in ca other; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$ca \
                -keyout $ca.key -out $ca.pem
        done
        for name in localhost client; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
            printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n' $name > $name.ext
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
        done
        chmod 644 *.key
        printf 'me:geheim\n' > users && chmod 600 users && mosquitto_passwd -U users && chmod 644 users
        printf 'user me\ntopic write acme/line7/$state\ntopic write plant/allowed\n' > rights && chmod 644 rights
        chmod 755 .
    ";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output().expect("sh");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn message(topic: &str, seq: u64) -> Arc<Message> {
    Arc::new(Message {
        token: Token { lane: Lane::Live, seq, part: 0 },
        topic: topic.into(),
        key: None,
        payload: Bytes::from(format!("{{\"seq\":{seq}}}")),
        time: None,
        content_type: "application/json".into(),
        epoch: 7,
        seqs: SeqRange { first: seq, last: seq },
        readings: 1,
    })
}

/// Sends messages and waits for as many events.
async fn send(publisher: &mut MqttPublisher, messages: &[Arc<Message>]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut waiting = messages.iter();
    while events.len() < messages.len() {
        for _ in 0..publisher.room() {
            match waiting.next() {
                Some(message) => publisher.send(message),
                None => break,
            }
        }
        timeout(DEADLINE, publisher.serve(&mut events)).await.expect("in time");
        assert!(!matches!(events.last(), Some(Event::Lost(_))), "{events:?}");
    }
    events
}

async fn delivers(broker: &Broker, mut publisher: MqttPublisher) {
    publisher.open().await.expect("connected");
    let messages: Vec<Arc<Message>> = (1..=100).map(|seq| message("plant/allowed", seq)).collect();
    let events = send(&mut publisher, &messages).await;
    assert!(events.iter().all(|event| matches!(event, Event::Acknowledged(_))), "{events:?}");
    publisher.take_leave().await;
    let seen = broker.look(&["-C", "102", "-W", "10"]);
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines.len(), 102, "{seen}");
    assert!(lines[0].starts_with("acme/line7/$state") && lines[0].contains("online"), "{seen}");
    assert!(lines[101].contains("offline"), "{seen}");
    for (line, seq) in lines[1..=100].iter().zip(1..) {
        assert!(line.starts_with("plant/allowed ") && line.ends_with(&format!("{{\"seq\":{seq}}}")), "{line}");
    }
}

#[tokio::test]
async fn plain_in_both_versions() {
    for version in ["5", "3.1.1"] {
        let Some(broker) = Broker::start("allow_anonymous true").await else { return };
        let publisher = broker.publisher("mqtt", &format!("?version={version}"), TlsFiles::default());
        delivers(&broker, publisher).await;
    }
}

#[tokio::test]
async fn properties_tell_gateway_epoch_and_seq() {
    let Some(broker) = Broker::start("allow_anonymous true").await else { return };
    let mut publisher = broker.publisher("mqtt", "?version=5&state=off", TlsFiles::default());
    publisher.open().await.expect("connected");
    send(&mut publisher, &[message("plant/allowed", 17)]).await;
    let seen = broker.look(&["-C", "1", "-W", "10"]);
    assert!(seen.contains("gateway:uuid epoch:7 seq:17"), "{seen}");
}

#[tokio::test]
async fn tls_with_an_authority_of_its_own() {
    let lines = "allow_anonymous true\ncertfile {dir}/localhost.pem\nkeyfile {dir}/localhost.key";
    let Some(broker) = Broker::start(lines).await else { return };
    let publisher = broker.publisher("mqtts", "", broker.ca());
    delivers(&broker, publisher).await;

    let other = TlsFiles { ca: broker.file("other.pem"), ..TlsFiles::default() };
    let failure = broker.publisher("mqtts", "", other).open().await.expect_err("not trusted").to_string();
    assert!(failure.contains("set `ca`"), "{failure}");
    let mut by_address = broker.publisher("mqtts", "", broker.ca());
    by_address.config.host = "127.0.0.1".into();
    let failure = by_address.open().await.expect_err("another name").to_string();
    assert!(failure.contains("bears another name"), "{failure}");
    let failure = broker.publisher("mqtt", "", TlsFiles::default()).open().await.expect_err("no TLS").to_string();
    assert!(failure.contains("wants TLS"), "{failure}");
}

#[tokio::test]
async fn tls_with_a_certificate_on_both_sides() {
    let lines = "allow_anonymous true\ncertfile {dir}/localhost.pem\nkeyfile {dir}/localhost.key\n\
                 cafile {dir}/ca.pem\nrequire_certificate true";
    let Some(broker) = Broker::start(lines).await else { return };
    let both = TlsFiles { cert: broker.file("client.pem"), key: broker.file("client.key"), ..broker.ca() };
    let publisher = broker.publisher("mqtts", "", both);
    delivers(&broker, publisher).await;
    let failure = broker.publisher("mqtts", "", broker.ca()).open().await.expect_err("no certificate").to_string();
    assert!(failure.contains("set `cert` and `key`"), "{failure}");
}

#[tokio::test]
async fn websockets_plain_and_with_tls() {
    let Some(broker) = Broker::start("protocol websockets\nallow_anonymous true").await else { return };
    let publisher = broker.publisher("ws", "/mqtt", TlsFiles::default());
    delivers(&broker, publisher).await;
    let lines = "protocol websockets\nallow_anonymous true\ncertfile {dir}/localhost.pem\nkeyfile {dir}/localhost.key";
    let Some(broker) = Broker::start(lines).await else { return };
    let publisher = broker.publisher("wss", "/mqtt", broker.ca());
    delivers(&broker, publisher).await;
}

#[tokio::test]
async fn a_login_is_checked_and_a_topic_without_rights_is_refused() {
    let lines = "allow_anonymous false\npassword_file {dir}/users\nacl_file {dir}/rights";
    let Some(broker) = Broker::start(lines).await else { return };
    let mut wrong = broker.publisher("mqtt", "?version=5", TlsFiles::default());
    wrong.config.password = Some(Arc::new(|| Ok(b"falsch".to_vec())));
    let failure = wrong.open().await.expect_err("a wrong password").to_string();
    assert!(failure.contains("`user` and `password`"), "{failure}");

    let mut publisher = broker.publisher("mqtt", "?version=5", TlsFiles::default());
    publisher.open().await.expect("connected");
    let user_rights = [message("plant/allowed", 1), message("plant/forbidden", 2), message("plant/allowed", 3)];
    let events = send(&mut publisher, &user_rights).await;
    let refused: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Refused(..))).collect();
    assert!(
        matches!(refused[..], [Event::Refused(Token { lane: Lane::Live, seq: 2, .. }, refusal)] if refusal.reason.contains("plant/forbidden")),
        "{events:?}"
    );
}
