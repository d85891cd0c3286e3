//! One client's connection, from its CONNECT to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::acknowledge::Acknowledger;
use super::core::SharedCore;
use super::packet::{Connect, Packet, Publish, Qos, Version};
use super::property::{
    ASSIGNED_CLIENT_ID, PACKET_MAXIMUM, Properties, RECEIVE_MAXIMUM, SESSION_EXPIRY, TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM,
    Value, number,
};
use super::reader::Malformed;
use super::server::BrokerConfig;
use super::topic::{is_filter, is_topic, matches};
use super::wire::{Wire, WireError};
use super::{Misbehaviour, reason};

/// How long a client may take for its CONNECT.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The most messages that wait for one client's acknowledgements, unless it wants fewer.
const WINDOW_MAX: usize = 64;

/// How many topic aliases a client may set.
const ALIASES_MAX: u16 = 64;

/// Further than any connection lives.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a connection ends.
enum End {
    /// The client said so: no will.
    Goodbye,
    /// It is gone.
    Gone,
    /// It is told why, where MQTT 5 allows it, and closed.
    Told(u8),
}

/// Runs a connection to its end, its will included.
pub(super) async fn serve(stream: TcpStream, core: SharedCore, config: Arc<BrokerConfig>) {
    core.with(|core| core.counts.accepted += 1);
    let mut wire = Wire::new(stream, config.packet_max);
    if core.with(|core| core.misbehaviour == Misbehaviour::NeverConnAck) {
        return wire.swallow().await;
    }
    let Ok(Ok(Packet::Connect(connect))) = timeout(CONNECT_MAX, wire.next()).await else {
        return core.with(|core| core.counts.malformed += 1);
    };
    wire.version = connect.version;
    if let Some(reason) = refusal(&connect, &core, &config) {
        core.with(|core| core.counts.refused += 1);
        // A client that is refused may be gone before it hears it.
        drop(wire.send(&[Packet::ConnAck { session_present: false, reason, properties: Vec::new() }]).await);
        return;
    }
    let mut connection = Connection::open(wire, core, connect, &config);
    connection.run().await;
    connection.close();
}

/// The reason for which a CONNECT is refused.
fn refusal(connect: &Connect, core: &SharedCore, config: &BrokerConfig) -> Option<u8> {
    let by_version = |v311, v5| Some(if connect.version == Version::V5 { v5 } else { v311 });
    if core.with(|core| core.misbehaviour == Misbehaviour::RefuseConnect) {
        return by_version(reason::V311_UNAVAILABLE, reason::UNAVAILABLE);
    }
    if let Some((user, password)) = &config.login
        && (connect.user.as_ref() != Some(user) || connect.password.as_deref() != Some(password.as_bytes()))
    {
        return by_version(reason::V311_LOGIN, reason::LOGIN);
    }
    None
}

struct Connection {
    wire: Wire,
    core: SharedCore,
    client: String,
    owner: u64,
    wake: Arc<Notify>,
    will: Option<Publish>,
    hello: Vec<Packet>,
    window: usize,
    receive_max: usize,
    aliases: BTreeMap<u32, String>,
    acknowledger: Acknowledger,
    opened: Instant,
    heard: Instant,
    keep_alive: Duration,
}

impl Connection {
    fn open(wire: Wire, core: SharedCore, connect: Connect, config: &BrokerConfig) -> Self {
        let is_v5 = connect.version == Version::V5;
        let expiry = number(&connect.properties, SESSION_EXPIRY).unwrap_or(0);
        let keeps = if is_v5 { expiry > 0 } else { !connect.clean };
        let wanted = number(&connect.properties, RECEIVE_MAXIMUM).map_or(WINDOW_MAX, |wanted| wanted as usize);
        let (client, owner, found, wake) = core.with(|core| {
            let client = match connect.client_id.as_str() {
                "" => format!("assigned-{}", core.counts.connected + 1),
                given => given.to_owned(),
            };
            let (owner, found) = core.adopt(&client, connect.clean, keeps);
            core.counts.connected += 1;
            core.counts.open += 1;
            core.counts.resumed += u64::from(found);
            let wake = core.owned(&client, owner).map(|session| Arc::clone(&session.wake)).unwrap_or_default();
            (client, owner, found, wake)
        });
        let mut properties = Properties::new();
        if is_v5 {
            properties.push((RECEIVE_MAXIMUM, Value::Two(config.receive_max)));
            properties.push((TOPIC_ALIAS_MAXIMUM, Value::Two(ALIASES_MAX)));
            properties.push((PACKET_MAXIMUM, Value::Four(u32::try_from(config.packet_max).unwrap_or(u32::MAX))));
            if connect.client_id.is_empty() {
                properties.push((ASSIGNED_CLIENT_ID, Value::Text(client.clone())));
            }
        }
        let mut hello = vec![Packet::ConnAck { session_present: found, reason: reason::SUCCESS, properties }];
        hello.extend(core.with(|core| core.owned(&client, owner).map(|session| session.resend()).unwrap_or_default()));
        Self {
            wire,
            core,
            client,
            owner,
            wake,
            will: connect.will,
            hello,
            window: wanted.min(WINDOW_MAX),
            receive_max: if is_v5 { usize::from(config.receive_max) } else { usize::MAX },
            aliases: BTreeMap::new(),
            acknowledger: Acknowledger::default(),
            opened: Instant::now(),
            heard: Instant::now(),
            keep_alive: keep_alive(connect.keep_alive_s),
        }
    }

    async fn run(&mut self) {
        let hello = std::mem::take(&mut self.hello);
        if self.wire.send(&hello).await.is_err() {
            return;
        }
        let end = match self.converse().await {
            Ok(end) | Err(end) => end,
        };
        match end {
            End::Goodbye => self.will = None,
            End::Told(reason) if self.wire.version == Version::V5 => {
                // The client may be gone before it hears it.
                drop(self.wire.send(&[Packet::Disconnect { reason }]).await);
            }
            End::Told(_) | End::Gone => {}
        }
    }

    fn close(&mut self) {
        let will = self.will.take();
        self.core.with(|core| {
            core.counts.open -= 1;
            core.abandon(&self.client, self.owner);
            if let Some(will) = will.filter(|will| is_topic(&will.topic)) {
                core.counts.wills += 1;
                core.publish(will);
            }
        });
    }

    async fn converse(&mut self) -> Result<End, End> {
        let wake = Arc::clone(&self.wake);
        loop {
            self.deliver().await?;
            let silent_at = self.heard + self.keep_alive;
            let flap_at = self.opened + self.flap();
            let held_until = self.acknowledger.next_due();
            // Every arm may be cancelled: a packet that is not whole stays in the buffer.
            tokio::select! {
                packet = self.wire.next() => match packet {
                    Ok(packet) => {
                        self.heard = Instant::now();
                        self.handle(packet).await?;
                    }
                    Err(error) => return Err(self.broken(&error)),
                },
                () = wake.notified() => {}
                () = sleep_until(held_until.unwrap_or(silent_at)), if held_until.is_some() => {
                    let held = self.acknowledger.release();
                    self.acknowledge(held).await?;
                }
                () = sleep_until(silent_at.min(flap_at)) => return Err(End::Gone),
            }
        }
    }

    /// Sends what the session holds for the client. An error if the session is no longer its own.
    async fn deliver(&mut self) -> Result<(), End> {
        loop {
            let batch = self.core.with(|core| {
                let session = core.owned(&self.client, self.owner)?;
                Some(std::iter::from_fn(|| session.next(self.window)).take(WINDOW_MAX).collect::<Vec<_>>())
            });
            let batch: Vec<Packet> = batch.ok_or(End::Gone)?.into_iter().map(Packet::Publish).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.send(&batch).await?;
        }
    }

    async fn handle(&mut self, packet: Packet) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(publish).await,
            Packet::PubAck { id, .. } => {
                self.core.with(|core| core.owned(&self.client, self.owner).map(|session| session.acknowledged(id)));
                Ok(())
            }
            Packet::PubRel { id, .. } => {
                self.core.with(|core| core.owned(&self.client, self.owner).map(|session| session.close_qos2(id)));
                self.send(&[Packet::PubComp { id, reason: reason::SUCCESS }]).await
            }
            Packet::Subscribe { id, filters } => {
                let reasons = filters.into_iter().map(|(filter, qos)| self.subscribe(&filter, qos)).collect();
                self.send(&[Packet::SubAck { id, reasons }]).await
            }
            Packet::Unsubscribe { id, filters } => {
                let reasons = filters.iter().map(|filter| self.unsubscribe(filter)).collect();
                let reasons = if self.wire.version == Version::V5 { reasons } else { Vec::new() };
                self.send(&[Packet::UnsubAck { id, reasons }]).await
            }
            Packet::PingReq => self.send(&[Packet::PingResp]).await,
            Packet::Disconnect { reason: reason::WILL } => Err(End::Gone),
            Packet::Disconnect { .. } => Err(End::Goodbye),
            // QoS 2 is not sent, so PUBREC and PUBCOMP answer nothing; the others are the broker's to send.
            Packet::PubRec { id, .. } => self.send(&[Packet::PubRel { id, reason: reason::NO_PACKET }]).await,
            Packet::PubComp { .. } => Ok(()),
            Packet::Connect(_)
            | Packet::ConnAck { .. }
            | Packet::SubAck { .. }
            | Packet::UnsubAck { .. }
            | Packet::PingResp => Err(End::Told(reason::PROTOCOL_ERROR)),
        }
    }

    async fn publish(&mut self, mut publish: Publish) -> Result<(), End> {
        self.resolve_alias(&mut publish)?;
        if !is_topic(&publish.topic) {
            return Err(End::Told(reason::MALFORMED));
        }
        let how = self.core.with(|core| core.misbehaviour.clone());
        match &how {
            Misbehaviour::RefuseTopic(filter) if matches(filter, &publish.topic) => {
                return self.refuse(&publish, reason::NOT_AUTHORIZED).await;
            }
            Misbehaviour::ExceedQuota(filter) if matches(filter, &publish.topic) => {
                return self.refuse(&publish, reason::QUOTA_EXCEEDED).await;
            }
            _ => {}
        }
        let (id, qos) = (publish.id.unwrap_or_default(), publish.qos);
        let taken = self.core.with(|core| {
            core.counts.published += 1;
            core.counts.duplicates += u64::from(publish.duplicate);
            let is_new = match qos {
                Qos::Two => core.owned(&self.client, self.owner)?.open_qos2(id)?,
                Qos::Zero | Qos::One => true,
            };
            if is_new {
                core.publish(publish);
            }
            Some(())
        });
        taken.ok_or(End::Told(reason::RECEIVE_MAXIMUM))?;
        let acknowledgements = self.acknowledger.taken(id, qos, &how, Instant::now());
        let waiting = self.acknowledger.waiting();
        self.core.with(|core| {
            core.counts.unacknowledged_max = core.counts.unacknowledged_max.max(waiting as u64);
        });
        if waiting > self.receive_max {
            return Err(End::Told(reason::RECEIVE_MAXIMUM));
        }
        self.acknowledge(acknowledgements).await
    }

    async fn refuse(&mut self, publish: &Publish, reason: u8) -> Result<(), End> {
        self.core.with(|core| core.counts.publishes_refused += 1);
        let answer = match (self.wire.version, publish.qos, publish.id) {
            (Version::V5, Qos::One, Some(id)) => Packet::PubAck { id, reason },
            (Version::V5, Qos::Two, Some(id)) => Packet::PubRec { id, reason },
            // 3.1.1 has no way to say it (3.3.5), and neither has QoS 0.
            _ => return Err(End::Told(reason)),
        };
        self.send(&[answer]).await
    }

    fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), End> {
        let Some(alias) = number(&publish.properties, TOPIC_ALIAS) else { return Ok(()) };
        if alias == 0 || alias > u32::from(ALIASES_MAX) {
            return Err(End::Told(reason::PROTOCOL_ERROR));
        }
        if publish.topic.is_empty() {
            publish.topic = self.aliases.get(&alias).cloned().ok_or(End::Told(reason::PROTOCOL_ERROR))?;
        } else {
            self.aliases.insert(alias, publish.topic.clone());
        }
        Ok(())
    }

    fn subscribe(&self, filter: &str, qos: Qos) -> u8 {
        if !is_filter(filter) {
            return if self.wire.version == Version::V5 { reason::FILTER } else { reason::V311_REFUSED };
        }
        let granted = qos.min(Qos::One);
        self.core.with(|core| core.subscribe(&self.client, self.owner, filter, granted));
        granted.bits()
    }

    fn unsubscribe(&self, filter: &str) -> u8 {
        let was = self
            .core
            .with(|core| core.owned(&self.client, self.owner).is_some_and(|session| session.unsubscribe(filter)));
        if was { reason::SUCCESS } else { reason::NO_SUBSCRIPTION }
    }

    async fn acknowledge(&mut self, acknowledgements: Vec<Packet>) -> Result<(), End> {
        self.core.with(|core| core.counts.acknowledged += acknowledgements.len() as u64);
        self.send(&acknowledgements).await
    }

    async fn send(&mut self, packets: &[Packet]) -> Result<(), End> {
        self.wire.send(packets).await.map_err(|_| End::Gone)
    }

    fn broken(&self, error: &WireError) -> End {
        let WireError::Malformed(malformed) = error else { return End::Gone };
        self.core.with(|core| core.counts.malformed += 1);
        End::Told(match malformed {
            Malformed::Packet => reason::MALFORMED,
            Malformed::Version => reason::VERSION,
            Malformed::TooLarge => reason::TOO_LARGE,
        })
    }

    /// How long this connection may live.
    fn flap(&self) -> Duration {
        match self.core.with(|core| core.misbehaviour.clone()) {
            Misbehaviour::Flap(after) => after,
            _ => FAR,
        }
    }
}

/// One and a half times what the client promised (3.1.2.10).
fn keep_alive(seconds: u16) -> Duration {
    if seconds == 0 { FAR } else { Duration::from_secs(u64::from(seconds)) * 3 / 2 }
}
