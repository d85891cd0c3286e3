//! The accounts of all gateways that publish on the audited topics. No I/O: messages and the time are passed in.

use std::collections::BTreeMap;

use buffer::Seq;

use super::account::Account;
use super::content::{Clock, Content, Gap, Lane, Reading, What, content};
use super::feed::{Heard, Marked, Marks};
use super::latency::Arrival;
use super::start::Start;
use crate::uplink::mqtt::subscriber::Arrived;
use crate::uplink::topic::{Rules, own};

/// How many gateways are audited at once; each may take some 25 MB in the worst case.
const GATEWAYS_MAX: usize = 32;

/// Which gateways are audited.
#[derive(Debug)]
pub(super) enum Of {
    All,
    One(One),
}

/// One gateway by its name.
#[derive(Debug)]
pub(super) struct One {
    name: Box<str>,
    /// Its name as a part of topics, between slashes.
    in_topics: Box<str>,
}

impl One {
    pub(super) fn new(name: &str) -> One {
        let prefix = own(name, "", Rules::Mqtt);
        One { name: name.into(), in_topics: format!("/{}", prefix.trim_end_matches('$')).into() }
    }

    /// Single readings do not bear the gateway's name; their topic does.
    fn is_meant(&self, named: Option<&str>, topic: &str) -> bool {
        named.map_or_else(|| format!("/{topic}/").contains(&*self.in_topics), |name| name == &*self.name)
    }
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Ledger {
    of: Of,
    /// By the log's UUID where the broker passes it on, otherwise by name.
    accounts: BTreeMap<Box<str>, Account>,
    /// What gateways said last of themselves, by name.
    states: BTreeMap<Box<str>, Box<str>>,
    /// Messages that are not Forebay's.
    pub(super) foreign: u64,
    /// Records that are told by their headers alone, because their format is not looked into.
    pub(super) by_headers: u64,
    /// From where an account counts that begins.
    start: Start,
    /// Messages of gateways beyond those that can be followed.
    pub(super) beyond: u64,
}

impl Ledger {
    /// Empty.
    pub(super) fn new(of: Of) -> Ledger {
        Ledger::starting(of, Start::Unknown)
    }

    /// Empty, of topics that are read from their beginning, in any order.
    pub(super) fn whole(of: Of) -> Ledger {
        Ledger::starting(of, Start::Whole)
    }

    fn starting(of: Of, start: Start) -> Ledger {
        let (accounts, states) = (BTreeMap::new(), BTreeMap::new());
        Ledger { of, accounts, states, foreign: 0, by_headers: 0, start, beyond: 0 }
    }

    /// Takes in a message that comes now.
    #[cfg(test)]
    pub(super) fn take(&mut self, message: &Arrived, arrived_ns: i64) {
        let heard = Heard { message: message.clone(), arrival: Arrival::Now, marks: None };
        self.hear(&heard, arrived_ns);
    }

    /// Takes a message in.
    pub(super) fn hear(&mut self, heard: &Heard, now_ns: i64) {
        let Heard { message, arrival, marks } = heard;
        let value = serde_json::from_slice(&message.payload).unwrap_or_default();
        let Some(Content { gateway, what }) = content(&value) else {
            return match marks {
                // What has no payload is a note of the gateway to itself.
                _ if message.payload.is_empty() => {}
                Some(marks) => self.take_marked(message, marks, *arrival, now_ns),
                None => self.foreign += 1,
            };
        };
        if let Of::One(one) = &self.of
            && !one.is_meant(gateway, &message.topic)
        {
            return;
        }
        match what {
            What::State(state) => self.state(gateway, state),
            What::Gap(gap) => self.with(message, gateway, None, |account| account.declare(gap)),
            What::Readings(readings) => {
                let newest_ns = readings.iter().map(|reading| reading.time_ns).max().unwrap_or_default();
                let arrived_ns = arrival.known(newest_ns, now_ns);
                self.with(message, gateway, readings.first(), |account| account.take(&readings, arrived_ns));
            }
        }
    }

    /// Takes in a record by its headers. They name the gateway by its UUID only.
    fn take_marked(&mut self, message: &Arrived, marks: &Marks, arrival: Arrival, now_ns: i64) {
        let uuid = message.gateway.as_deref().unwrap_or_default();
        if let Of::One(one) = &self.of
            && *one.name != *uuid
        {
            return;
        }
        self.by_headers += 1;
        let Marks { epoch, seqs, key, what, time_ns } = marks;
        let reading = Reading {
            epoch: *epoch,
            seq: seqs.first,
            device: "",
            tag: key,
            lane: Lane::Live,
            time_ns: *time_ns,
            clock: Clock::Synchronized,
            quality: "good",
            reason: "",
            fingerprint: crc32c::crc32c(&message.payload),
        };
        let gap = Gap { seqs: *seqs, count: seqs.count(), reason: "declared".into() };
        let arrived_ns = arrival.known(*time_ns, now_ns);
        self.with(message, Some(uuid), None, |account| match what {
            Marked::Reading => account.take(&[reading], arrived_ns),
            Marked::Gap => account.declare(gap),
            Marked::Batch => account.beyond += 1,
        });
    }

    /// Holes below `seq` in a gateway's log are no loss: the topics begin later.
    pub(super) fn count_from(&mut self, log: &str, seq: Seq) {
        if let Some(account) = self.accounts.get_mut(log) {
            account.count_from(seq);
        }
    }

    fn state(&mut self, gateway: Option<&str>, state: &str) {
        let Some(gateway) = gateway else { return };
        if self.states.len() < GATEWAYS_MAX || self.states.contains_key(gateway) {
            self.states.insert(gateway.into(), state.into());
        }
    }

    fn with(
        &mut self,
        message: &Arrived,
        gateway: Option<&str>,
        reading: Option<&Reading<'_>>,
        then: impl FnOnce(&mut Account),
    ) {
        let asked = match &self.of {
            Of::One(one) => Some(&*one.name),
            Of::All => None,
        };
        let name = gateway.or(asked).unwrap_or_else(|| before_the_tag(&message.topic, reading));
        let uuid = message.gateway.as_deref().filter(|uuid| !uuid.is_empty());
        let key = uuid.unwrap_or(name);
        if !self.accounts.contains_key(key) {
            if self.accounts.len() >= GATEWAYS_MAX {
                self.beyond += 1;
                return;
            }
            self.accounts.insert(key.into(), Account::new(name.into(), self.start.clone()));
        }
        let Some(account) = self.accounts.get_mut(key) else { return };
        if let Some(known) = gateway.filter(|known| **known != *account.name) {
            account.name = known.into();
        }
        then(account);
    }

    /// From here on only what was on its way is taken in.
    pub(super) fn freeze(&mut self) {
        self.accounts.values_mut().for_each(Account::freeze);
    }

    /// The accounts, each with its key.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(key, account)| (&**key, account))
    }

    /// What the gateway said of itself last: `online` or `offline`.
    pub(super) fn state_of(&self, name: &str) -> Option<&str> {
        self.states.get(name).map(|state| &**state)
    }

    /// How many readings are missing and not declared.
    pub(super) fn lost(&self) -> u64 {
        self.accounts.values().map(Account::lost).fold(0, u64::saturating_add)
    }

    /// Readings have come, and it is proven that none is missing.
    pub(super) fn is_complete(&self) -> bool {
        let mut readings = self.accounts.values().map(|account| account.readings);
        self.beyond == 0 && readings.any(|readings| readings > 0) && self.accounts.values().all(Account::is_complete)
    }
}

/// The best name for who publishes single readings: the topic without device and tag.
fn before_the_tag<'a>(topic: &'a str, reading: Option<&Reading<'_>>) -> &'a str {
    let own =
        reading.and_then(|reading| topic.strip_suffix(reading.tag)?.strip_suffix('/')?.strip_suffix(reading.device));
    let before = own.and_then(|before| before.strip_suffix('/'));
    before.or_else(|| topic.rsplitn(3, '/').nth(2)).unwrap_or(topic)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(topic: &str, uuid: Option<&str>, payload: serde_json::Value) -> Arrived {
        let payload = payload.to_string().into_bytes();
        Arrived { topic: topic.into(), payload, gateway: uuid.map(str::to_owned), ..Arrived::default() }
    }

    fn single(topic: &str, uuid: Option<&str>, seq: u64) -> Arrived {
        let time = "2026-11-23T02:28:33.123456Z";
        let reading =
            json!({"time": time, "device": "d", "tag": "t", "value": 1, "quality": "good", "epoch": 1, "seq": seq});
        message(topic, uuid, reading)
    }

    fn gap(gateway: &str, uuid: Option<&str>, first: u64, last: u64) -> Arrived {
        let gap = json!({"first": first, "last": last, "count": last - first + 1, "reason": "damaged"});
        message(&format!("{gateway}/$gap"), uuid, json!({"gateway": gateway, "gap": gap}))
    }

    fn ledger(of: Of, messages: &[Arrived]) -> Ledger {
        let mut ledger = Ledger::new(of);
        messages.iter().for_each(|message| ledger.take(message, 0));
        ledger
    }

    fn names(ledger: &Ledger) -> Vec<(&str, u64)> {
        ledger.accounts().map(|(_, account)| (&*account.name, account.lost())).collect()
    }

    #[test]
    fn gateways_have_accounts_of_their_own_and_a_gap_finds_its_account() {
        let by_uuid = [single("x/a/d/t", Some("1"), 1), single("x/a/d/t", Some("1"), 5), gap("a", Some("1"), 2, 4)];
        assert_eq!(names(&ledger(Of::All, &by_uuid)), [("a", 0)]);
        let by_topic =
            [single("a/d/t", None, 1), single("b/d/t", None, 9), single("a/d/t", None, 4), gap("a", None, 2, 2)];
        assert_eq!(names(&ledger(Of::All, &by_topic)), [("a", 1), ("b", 0)]);
        let named =
            [single("x/a/d/t", None, 1), single("x/a/d/t", None, 3), gap("a", None, 2, 2), single("x/b/d/t", None, 7)];
        assert_eq!(names(&ledger(Of::One(One::new("a")), &named)), [("a", 0)]);
    }

    #[test]
    fn nothing_is_proven_by_nothing_or_by_others_messages() {
        let state = message("a/$state", None, json!({"gateway": "a", "uplink": "cloud", "state": "online"}));
        let empty = ledger(Of::All, &[state, message("x", None, json!({"hello": 1}))]);
        assert_eq!((empty.is_complete(), empty.foreign, empty.state_of("a")), (false, 1, Some("online")));
        assert!(ledger(Of::All, &[single("a/d/t", None, 1)]).is_complete());
    }

    #[test]
    fn gateways_beyond_the_limit_prove_nothing() {
        let many: Vec<Arrived> = (0..=GATEWAYS_MAX).map(|number| single(&format!("g{number}/d/t"), None, 1)).collect();
        let ledger = ledger(Of::All, &many);
        assert_eq!((ledger.beyond, ledger.is_complete()), (1, false));
    }
}
