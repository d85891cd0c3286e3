//! The broker, with real clients of both protocols and with raw bytes.

use std::time::Duration;

use hardware_sim::broker::{Broker, BrokerConfig, Misbehaviour};
use hardware_sim::faults::{FaultProxy, Framing, Link};
use tokio::task::JoinHandle;

use crate::mqtt_client::{MqttClient, connect};
use crate::wait::{loopback, soon, until};

async fn broker() -> Broker {
    Broker::start(loopback(), BrokerConfig::default()).await.expect("loopback can be had")
}

/// A real MQTT 5 client that polls until the test ends.
fn client_v5(broker: &Broker, id: &str, login: Option<(&str, &str)>) -> (rumqttc::AsyncClient, JoinHandle<()>) {
    let mut options = rumqttc::MqttOptions::new(id, ("127.0.0.1", broker.address().port()));
    if let Some((user, password)) = login {
        options.set_credentials(user, password.to_owned());
    }
    let (client, mut events) = rumqttc::AsyncClient::builder(options).capacity(100).build();
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    (client, polling)
}

#[tokio::test]
async fn a_real_client_of_mqtt_5_publishes_with_properties() {
    let broker = broker().await;
    let mut observer = broker.observe("plant/#", 100);
    let (client, _polling) = client_v5(&broker, "five", None);
    let properties = rumqttc::PublishProperties {
        content_type: Some("application/json".to_owned()),
        user_properties: vec![("gateway".to_owned(), "line7".to_owned())],
        ..Default::default()
    };
    for qos in [rumqttc::QoS::AtMostOnce, rumqttc::QoS::AtLeastOnce, rumqttc::QoS::ExactlyOnce] {
        let options = rumqttc::PublishOptions::new(qos).properties(properties.clone());
        let notice = client.publish_tracked("plant/press/temperature", "21.5", options).await.expect("it is queued");
        soon(notice.wait_completion_async()).await.expect("it is acknowledged");
        let message = soon(observer.next()).await.expect("it arrives");
        assert_eq!((message.topic.as_str(), message.payload.as_slice()), ("plant/press/temperature", &b"21.5"[..]));
        assert_eq!(message.qos, qos as u8);
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(message.user_properties, properties.user_properties);
    }
    assert_eq!((broker.counts().published, observer.missed()), (3, 0));
}

#[tokio::test]
async fn a_real_client_of_mqtt_3_receives_what_is_retained_and_what_comes() {
    let broker = broker().await;
    broker.publish("plant/state", b"on", true);
    let options = rumqttc_v4::MqttOptions::new("three", ("127.0.0.1", broker.address().port()));
    let (client, mut events) = rumqttc_v4::AsyncClient::builder(options).capacity(100).build();
    client.subscribe("plant/+", rumqttc_v4::QoS::AtLeastOnce).await.expect("it is queued");
    let mut next = async || loop {
        let event = soon(events.poll()).await.expect("the connection stands");
        if let rumqttc_v4::Event::Incoming(rumqttc_v4::Packet::Publish(publish)) = event {
            return (publish.retain, publish.payload.to_vec());
        }
    };
    assert_eq!(next().await, (true, b"on".to_vec()));
    broker.publish("plant/state", b"off", false);
    assert_eq!(next().await, (false, b"off".to_vec()));
}

#[tokio::test]
async fn only_the_right_password_opens() {
    let login = Some(("forebay".to_owned(), "secret".to_owned()));
    let config = BrokerConfig { login, ..BrokerConfig::default() };
    let broker = Broker::start(loopback(), config).await.expect("loopback can be had");
    let (_client, refused) = client_v5(&broker, "wrong", Some(("forebay", "guess")));
    soon(refused).await.expect("polling ends with the refusal");
    let (_client, _polling) = client_v5(&broker, "right", Some(("forebay", "secret")));
    until("it is connected", || broker.counts().connected == 1).await;
    assert_eq!(broker.counts().refused, 1);
}

#[tokio::test]
async fn a_session_outlives_its_connection_and_is_sent_again() {
    let broker = broker().await;
    let (mut client, found) = MqttClient::connect(broker.address(), "kept", false).await;
    assert!(!found);
    client.subscribe("a/#").await;
    broker.publish("a/1", b"1", false);
    let first = client.packet().await.expect("it arrives");
    assert_eq!(first[0], 0x32, "QoS 1, not a duplicate");
    broker.disconnect_all();
    assert!(client.packet().await.is_err());
    until("it is gone", || broker.counts().open == 0).await;
    broker.publish("a/2", b"2", false);
    let (mut client, found) = MqttClient::connect(broker.address(), "kept", false).await;
    assert!(found);
    assert_eq!(client.packet().await.expect("it arrives")[0], 0x3A, "QoS 1, a duplicate");
    assert_eq!(client.packet().await.expect("it arrives")[4..7], *b"a/2");
    assert_eq!(broker.counts().resumed, 1);
}

#[tokio::test]
async fn a_will_is_published_unless_the_client_says_goodbye() {
    let broker = broker().await;
    let mut observer = broker.observe("will/#", 10);
    let (mut polite, _) = MqttClient::connect(broker.address(), "polite", true).await;
    polite.send(&[0xE0, 0]).await;
    assert!(polite.packet().await.is_err());
    let (rude, _) = MqttClient::connect(broker.address(), "rude", true).await;
    drop(rude);
    assert_eq!(soon(observer.next()).await.expect("a will comes").topic, "will/rude");
    assert_eq!(broker.counts().wills, 1);
}

#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    let broker = broker().await;
    let (mut first, _) = MqttClient::connect(broker.address(), "same", false).await;
    let (mut second, found) = MqttClient::connect(broker.address(), "same", false).await;
    assert!(found && first.packet().await.is_err());
    second.send(&[0xC0, 0]).await;
    assert_eq!(second.packet().await.expect("the second stays"), [0xD0, 0]);
}

#[tokio::test]
async fn an_observer_that_is_too_slow_knows_what_it_missed() {
    let broker = broker().await;
    let mut observer = broker.observe("#", 2);
    for _ in 0..5 {
        broker.publish("a", b"x", false);
    }
    assert_eq!(observer.missed(), 3);
    assert!(observer.try_next().is_some() && observer.try_next().is_some() && observer.try_next().is_none());
}

#[tokio::test]
async fn acknowledgements_never_come() {
    let broker = broker().await;
    broker.misbehave(Misbehaviour::NeverAcknowledge);
    let mut observer = broker.observe("a", 10);
    let (mut client, _) = MqttClient::connect(broker.address(), "c", true).await;
    for id in 1..=3 {
        client.publish("a", 1, id).await;
    }
    client.send(&[0xC0, 0]).await;
    assert_eq!(client.packet().await.expect("the ping is answered"), [0xD0, 0]);
    assert!((0..3).all(|_| observer.try_next().is_some()));
    assert_eq!((broker.counts().acknowledged, broker.counts().unacknowledged_max), (0, 3));
}

#[tokio::test]
async fn acknowledgements_come_out_of_order_or_for_unknown_ids() {
    let broker = broker().await;
    let (mut client, _) = MqttClient::connect(broker.address(), "c", true).await;
    let mut acknowledged = async |how, ids: std::ops::RangeInclusive<u16>, expected: &[u16]| {
        broker.misbehave(how);
        for id in ids {
            client.publish("a", 1, id).await;
        }
        for id in expected {
            assert_eq!(client.acknowledged().await, *id);
        }
    };
    acknowledged(Misbehaviour::None, 1..=2, &[1, 2]).await;
    acknowledged(Misbehaviour::AcknowledgeOutOfOrder, 1..=6, &[4, 3, 2, 1, 6, 5]).await;
    acknowledged(Misbehaviour::AcknowledgeUnknown, 7..=7, &[0x4007, 7]).await;
}

#[tokio::test]
async fn sessions_are_forgotten() {
    let broker = broker().await;
    drop(MqttClient::connect(broker.address(), "kept", false).await);
    assert!(MqttClient::connect(broker.address(), "kept", false).await.1);
    broker.misbehave(Misbehaviour::ForgetSessions);
    assert!(!MqttClient::connect(broker.address(), "kept", false).await.1);
}

#[tokio::test]
async fn a_refused_topic_has_a_reason_in_mqtt_5_and_closes_in_3() {
    let broker = broker().await;
    broker.misbehave(Misbehaviour::RefuseTopic("secret/#".to_owned()));
    let (client, _polling) = client_v5(&broker, "five", None);
    let options = rumqttc::PublishOptions::at_least_once();
    let notice = client.publish_tracked("secret/x", "1", options.clone()).await.expect("it is queued");
    let refused = soon(notice.wait_completion_async()).await.expect_err("it is refused");
    assert_eq!(refused, rumqttc::PublishNoticeError::V5PubAck(rumqttc::PubAckReason::NotAuthorized));
    let notice = client.publish_tracked("public/x", "1", options).await.expect("it is queued");
    soon(notice.wait_completion_async()).await.expect("it is taken");
    let (mut old, _) = MqttClient::connect(broker.address(), "three", true).await;
    old.publish("secret/x", 1, 1).await;
    assert!(old.packet().await.is_err());
    assert_eq!(broker.counts().publishes_refused, 2);
}

#[tokio::test]
async fn connections_flap() {
    let broker = broker().await;
    let (mut idle, _) = MqttClient::connect(broker.address(), "idle", true).await;
    broker.misbehave(Misbehaviour::Flap(Duration::from_millis(50)));
    let (mut new, _) = MqttClient::connect(broker.address(), "new", true).await;
    assert!(idle.packet().await.is_err() && new.packet().await.is_err());
    until("both wills are out", || broker.counts().wills == 2).await;
}

#[tokio::test]
async fn connect_is_never_answered_or_refused() {
    let broker = broker().await;
    broker.misbehave(Misbehaviour::NeverConnAck);
    let mut client = MqttClient::open(broker.address()).await;
    client.send(&connect("c", true)).await;
    until("it is accepted", || broker.counts().accepted == 1).await;
    assert_eq!(broker.counts().connected, 0);
    broker.misbehave(Misbehaviour::RefuseConnect);
    let mut client = MqttClient::open(broker.address()).await;
    client.send(&connect("c", true)).await;
    assert_eq!(client.packet().await.expect("a CONNACK comes"), [0x20, 2, 0, 3]);
    assert!(client.packet().await.is_err());
}

#[tokio::test]
async fn garbage_ends_its_connection_only() {
    let broker = broker().await;
    let (mut good, _) = MqttClient::connect(broker.address(), "good", true).await;
    let (mut bad, _) = MqttClient::connect(broker.address(), "bad", true).await;
    bad.send(&[0xFF; 40]).await;
    assert!(bad.packet().await.is_err());
    good.publish("a", 1, 1).await;
    assert_eq!((good.acknowledged().await, broker.counts().malformed), (1, 1));
}

#[tokio::test]
async fn a_broker_behind_a_proxy_keeps_its_sessions_through_an_outage() {
    let broker = broker().await;
    let proxy = FaultProxy::start(loopback(), broker.address(), Framing::Stream).await.expect("loopback can be had");
    let (mut client, _) = MqttClient::connect(proxy.address(), "kept", false).await;
    client.publish("a", 1, 1).await;
    assert_eq!(client.acknowledged().await, 1);
    proxy.link(Link::Refuse);
    assert!(client.packet().await.is_err());
    until("the broker sees it", || broker.counts().open == 0).await;
    proxy.link(Link::Up);
    let reconnect = async {
        while tokio::net::TcpStream::connect(proxy.address()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon(reconnect).await;
    assert!(MqttClient::connect(proxy.address(), "kept", false).await.1);
}
