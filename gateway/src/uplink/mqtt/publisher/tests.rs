use std::sync::Arc;

use buffer::SeqRange;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::*;
use crate::uplink::mqtt::config;
use crate::uplink::{Lane, Lasting, Token, UplinkSpec};

const DEADLINE: Duration = Duration::from_secs(20);
const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];

/// One packet as the broker reads it: first byte and body.
struct Packet {
    first: u8,
    body: Vec<u8>,
}

impl Packet {
    /// Identifier of a QoS 1 PUBLISH.
    fn id(&self) -> u16 {
        let topic = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        u16::from_be_bytes([self.body[2 + topic], self.body[3 + topic]])
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The broker's side of one connection.
struct Peer(TcpStream);

impl Peer {
    async fn read(&mut self) -> Packet {
        let first = self.0.read_u8().await.expect("a packet");
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.0.read_u8().await.expect("a length");
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("a body");
        Packet { first, body }
    }

    /// The next PUBLISH that is not about the gateway's state; that is acknowledged at once.
    async fn read_message(&mut self) -> Packet {
        loop {
            let packet = self.read().await;
            if packet.first >> 4 == 3 && packet.text().contains("$state") {
                self.acknowledge(packet.id()).await;
                continue;
            }
            return packet;
        }
    }

    async fn acknowledge(&mut self, id: u16) {
        let id = id.to_be_bytes();
        self.write(&[0x40, 2, id[0], id[1]]).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("written");
    }
}

struct Broker(TcpListener);

impl Broker {
    async fn listen() -> (Broker, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
        (Broker(listener), url)
    }

    /// The next connection, its CONNECT read and answered.
    async fn accept(&self, answer: &[u8]) -> (Peer, Packet) {
        let mut peer = Peer(self.0.accept().await.expect("a connection").0);
        let connect = peer.read().await;
        assert_eq!(connect.first, 0x10);
        peer.write(answer).await;
        (peer, connect)
    }
}

fn publisher(url: &str) -> MqttPublisher {
    let spec = UplinkSpec {
        user: Some("me".into()),
        password: Some(Arc::new(|| Ok(b"geheim".to_vec()))),
        identity: "uuid".into(),
        ..UplinkSpec::new("acme/line7", "cloud", url.parse().expect("a URL"))
    };
    MqttPublisher::new(config::check(&spec).expect("a configuration").0, None)
}

fn message(seq: u64) -> Arc<Message> {
    Arc::new(Message {
        token: Token { lane: Lane::Live, seq, part: 0 },
        topic: "plant/press".into(),
        key: None,
        payload: Bytes::from(format!("{{\"seq\":{seq}}}")),
        time: None,
        content_type: "application/json".into(),
        epoch: 7,
        seqs: SeqRange { first: seq, last: seq + 1 },
        readings: 2,
    })
}

/// Runs the publisher beside the broker's script, until the script ends; returns what happened.
async fn beside(publisher: &mut MqttPublisher, script: impl Future<Output = ()>) -> Vec<Event> {
    let mut events = Vec::new();
    let deadline = timeout(DEADLINE, async {
        tokio::pin!(script);
        loop {
            tokio::select! {
                () = &mut script => return,
                () = publisher.serve(&mut events), if publisher.link.is_some() => {}
            }
        }
    });
    deadline.await.expect("in time");
    events
}

/// Takes in what happens until `count` events have.
async fn events(publisher: &mut MqttPublisher, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        timeout(DEADLINE, publisher.serve(&mut events)).await.expect("in time");
    }
    events
}

async fn connected(broker: &Broker, publisher: &mut MqttPublisher, answer: &[u8]) -> (Peer, Packet) {
    let (outcome, accepted) = tokio::join!(publisher.open(), broker.accept(answer));
    outcome.expect("connected");
    accepted
}

#[tokio::test]
async fn it_logs_in_announces_itself_and_leaves_a_will() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=3.1.1"));
    let (mut peer, connect) = connected(&broker, &mut publisher, ACCEPTED).await;
    let text = connect.text();
    for part in ["acme:line7:cloud", "acme/line7/$state", "\"state\":\"offline\"", "me", "geheim"] {
        assert!(text.contains(part), "{part} in {text:?}");
    }
    assert_eq!(connect.body[7], 0xec, "user, password, retained will of QoS 1, no clean session");
    beside(&mut publisher, async {
        let birth = peer.read().await;
        assert_eq!(birth.first, 0x33, "retained, QoS 1");
        assert!(birth.text().contains("\"state\":\"online\""));
        peer.acknowledge(birth.id()).await;
    })
    .await;
    let leave = async {
        let state = peer.read().await;
        assert!(state.text().contains("\"state\":\"offline\""));
        assert_eq!(peer.read().await.first, 0xe0);
    };
    tokio::join!(publisher.take_leave(), leave);
}

#[tokio::test]
async fn a_message_counts_as_delivered_when_it_is_acknowledged_and_not_before() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&url);
    let (mut peer, _) = connected(&broker, &mut publisher, &[0x20, 3, 0, 0, 0]).await;
    publisher.send(&message(5));
    let mut id = 0;
    let before = beside(&mut publisher, async {
        let packet = peer.read_message().await;
        for part in ["application/json", "gateway", "uuid", "epoch", "5-6", "{\"seq\":5}"] {
            assert!(packet.text().contains(part), "{part} in {:?}", packet.text());
        }
        id = packet.id();
    })
    .await;
    assert_eq!(before, []);
    peer.acknowledge(id).await;
    assert_eq!(events(&mut publisher, 1).await, [Event::Acknowledged(Token { lane: Lane::Live, seq: 5, part: 0 })]);
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_as_a_repeat_under_its_identifier() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=3.1.1"));
    let (mut peer, _) = connected(&broker, &mut publisher, ACCEPTED).await;
    publisher.send(&message(1));
    let mut id = 0;
    beside(&mut publisher, async { id = peer.read_message().await.id() }).await;
    drop(peer);
    let lost = events(&mut publisher, 1).await;
    assert!(matches!(&lost[..], [Event::Lost(Loss { by: EndedBy::FarSide, .. })]), "{lost:?}");
    assert_eq!(publisher.room(), 0);

    let (mut peer, _) = connected(&broker, &mut publisher, ACCEPTED).await;
    publisher.send(&message(1));
    beside(&mut publisher, async {
        let again = peer.read_message().await;
        assert_eq!((again.first, again.id()), (0x3a, id));
    })
    .await;
}

#[tokio::test]
async fn acknowledgements_out_of_order_and_of_unknown_identifiers_do_no_harm() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=3.1.1"));
    let (mut peer, _) = connected(&broker, &mut publisher, ACCEPTED).await;
    for seq in 1..=3 {
        publisher.send(&message(seq));
    }
    let mut ids = Vec::new();
    beside(&mut publisher, async {
        for _ in 1..=3 {
            ids.push(peer.read_message().await.id());
        }
    })
    .await;
    for id in [60_000, ids[2], ids[2], ids[0], ids[1]] {
        peer.acknowledge(id).await;
    }
    let tokens = [3, 1, 2].map(|seq| Event::Acknowledged(Token { lane: Lane::Live, seq, part: 0 }));
    assert_eq!(events(&mut publisher, 3).await, tokens);
}

#[tokio::test]
async fn a_refused_message_says_why() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=5"));
    let (mut peer, _) = connected(&broker, &mut publisher, &[0x20, 3, 0, 0, 0]).await;
    publisher.send(&message(1));
    let mut id = [0; 2];
    beside(&mut publisher, async { id = peer.read_message().await.id().to_be_bytes() }).await;
    peer.write(&[0x40, 4, id[0], id[1], 0x87, 0]).await;
    let refused = events(&mut publisher, 1).await;
    let [Event::Refused(Token { lane: Lane::Live, seq: 1, part: 0 }, refusal)] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal.lasting, Lasting::ForThisMessage);
    assert!(refusal.reason.contains("access list") && refusal.reason.contains("plant/press"), "{}", refusal.reason);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_noticed_within_one_and_a_half_keep_alives() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=3.1.1&keep_alive=20s"));
    let (_peer, _) = connected(&broker, &mut publisher, ACCEPTED).await;
    publisher.send(&message(1));
    let start = Instant::now();
    let mut events = Vec::new();
    publisher.serve(&mut events).await;
    assert!(matches!(&events[..], [Event::Lost(Loss { by: EndedBy::Network, .. })]), "{events:?}");
    assert!(start.elapsed() <= Duration::from_secs(31), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_broker_that_knows_only_3_1_1_is_spoken_to_in_it() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&url);
    let script = async {
        let (_, connect) = broker.accept(&[0x20, 2, 0, 1]).await;
        assert_eq!(connect.body[6], 5);
        let (_, connect) = broker.accept(ACCEPTED).await;
        assert_eq!(connect.body[6], 4);
    };
    let (outcome, ()) = tokio::join!(publisher.open(), script);
    outcome.expect("connected");
    assert_eq!(publisher.version, Some(Version::V311));
    let another = async {
        let (_, connect) = broker.accept(&[0x20, 2, 0, 1]).await;
        assert_eq!(connect.body[6], 4);
        let (_, connect) = broker.accept(&[0x20, 3, 0, 0, 0]).await;
        assert_eq!(connect.body[6], 5);
    };
    let (outcome, ()) = tokio::join!(publisher.open(), another);
    outcome.expect("connected to a broker that knows only 5");
}

#[tokio::test]
async fn a_refused_login_says_what_to_do() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=5"));
    let (outcome, _) = tokio::join!(publisher.open(), broker.accept(&[0x20, 3, 0, 0x86, 0]));
    let failure = outcome.expect_err("refused").to_string();
    assert!(failure.contains("user or password") && failure.contains("Put right `user`"), "{failure}");
    let (outcome, _) = tokio::join!(publisher.open(), broker.accept(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let failure = outcome.expect_err("no MQTT").to_string();
    assert!(failure.contains("no MQTT broker"), "{failure}");
}

#[tokio::test]
async fn a_broker_that_takes_leave_says_why() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=5"));
    let (mut peer, _) = connected(&broker, &mut publisher, &[0x20, 3, 0, 0, 0]).await;
    peer.write(&[0xe0, 2, 0x8e, 0]).await;
    drop(peer);
    let lost = events(&mut publisher, 1).await;
    assert!(matches!(&lost[..], [Event::Lost(loss)] if loss.reason.contains("same client id")), "{lost:?}");
}

#[tokio::test]
async fn a_state_that_the_broker_refuses_is_not_offered_again() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=5"));
    let (mut peer, _) = connected(&broker, &mut publisher, &[0x20, 3, 0, 0, 0]).await;
    beside(&mut publisher, async {
        let id = peer.read().await.id().to_be_bytes();
        peer.write(&[0x40, 4, id[0], id[1], 0x87, 0]).await;
    })
    .await;
    drop(peer);
    events(&mut publisher, 1).await;
    let (mut peer, _) = connected(&broker, &mut publisher, &[0x20, 3, 0, 0, 0]).await;
    publisher.send(&message(1));
    beside(&mut publisher, async {
        let first = peer.read().await;
        assert!(first.text().contains("plant/press"), "{:?}", first.text());
    })
    .await;
}

#[tokio::test]
async fn the_brokers_receive_maximum_is_obeyed() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?state=off"));
    let (_peer, _) = connected(&broker, &mut publisher, &[0x20, 6, 0, 0, 3, 0x21, 0, 2]).await;
    assert_eq!(publisher.room(), 2);
    publisher.send(&message(1));
    publisher.send(&message(2));
    assert_eq!(publisher.room(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_accepts_and_says_nothing_is_given_up_in_time() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&url);
    let failure = publisher.open().await.expect_err("no answer").to_string();
    assert!(failure.contains("no answer within") || failure.contains("silent"), "{failure}");
    drop(broker);
}

#[tokio::test]
async fn dropping_the_wait_for_events_loses_nothing() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=3.1.1&state=off"));
    let (mut peer, _) = connected(&broker, &mut publisher, ACCEPTED).await;
    let large = Arc::new(Message { payload: Bytes::from(vec![b'x'; 4 << 20]), ..(*message(1)).clone() });
    publisher.send(&large);
    let mut events = Vec::new();
    let reader = tokio::spawn(async move {
        let packet = peer.read_message().await;
        peer.acknowledge(packet.id()).await;
        packet.body.len()
    });
    let serve = async {
        while events.is_empty() {
            tokio::select! {
                biased;
                () = publisher.serve(&mut events) => {}
                () = tokio::task::yield_now() => {}
            }
        }
    };
    timeout(DEADLINE, serve).await.expect("in time");
    assert_eq!(events[0], Event::Acknowledged(Token { lane: Lane::Live, seq: 1, part: 0 }));
    assert!(reader.await.expect("read") > 4 << 20);
}

#[tokio::test]
async fn a_command_is_taken_acknowledged_and_answered() {
    let (broker, url) = Broker::listen().await;
    let mut publisher = publisher(&format!("{url}?version=5&state=off&commands={{gateway}}/do"));
    let (mut peer, connect) = connected(&broker, &mut publisher, &[0x20, 3, 0, 0, 0]).await;
    assert_eq!(connect.body[7] & 2, 2, "clean start: nothing that was sent meanwhile is delivered");
    beside(&mut publisher, async {
        let subscribe = peer.read().await;
        assert_eq!(subscribe.first, 0x82);
        assert!(subscribe.text().contains("acme/line7/do"));
        let (high, low) = (subscribe.body[0], subscribe.body[1]);
        peer.write(&[0x90, 4, high, low, 0, 1]).await;
    })
    .await;
    let command = br#"{"id":"a","tag":"press.setpoint","value":80}"#;
    let mut packet = vec![0x32, (15 + 2 + 8 + command.len()) as u8];
    packet.extend_from_slice(b"\x00\x0dacme/line7/do\x00\x09\x07\x08\x00\x01r\x09\x00\x00");
    packet.extend_from_slice(command);
    peer.write(&packet).await;
    let came = events(&mut publisher, 1).await;
    let [Event::Command(inbound)] = &came[..] else { panic!("{came:?}") };
    assert_eq!(inbound.to.topic.as_deref(), Some("r"));
    let answer = inbound.asked.refused(crate::pipeline::command::RefusedFor::ReadOnly, "", driver_core::Timestamp(0));
    publisher.answer(inbound.to.clone(), &answer);
    beside(&mut publisher, async {
        let acknowledged = peer.read().await;
        assert_eq!((acknowledged.first, &acknowledged.body[..]), (0x40, &[0, 9][..]));
        let answered = peer.read().await;
        assert!(answered.text().contains(r#""id":"a","device":"press""#), "{}", answered.text());
    })
    .await;
}
