//! When which publish is acknowledged. Pure: the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::Misbehaviour;
use super::packet::{Packet, Qos};

/// How many acknowledgements are turned round.
const GROUP: usize = 4;

/// How long a group may wait to be filled.
const GROUP_WAIT: Duration = Duration::from_millis(100);

/// The acknowledgements of one connection that were not sent yet.
#[derive(Debug, Default)]
pub(super) struct Acknowledger {
    held: Vec<Packet>,
    until: Option<Instant>,
    /// Publishes that were never acknowledged.
    withheld: usize,
}

impl Acknowledger {
    /// A publish was taken: what is to be sent now.
    pub(super) fn taken(&mut self, id: u16, qos: Qos, how: &Misbehaviour, now: Instant) -> Vec<Packet> {
        let right = match qos {
            Qos::Zero => return Vec::new(),
            Qos::One => Packet::PubAck { id, reason: 0 },
            Qos::Two => Packet::PubRec { id, reason: 0 },
        };
        match how {
            Misbehaviour::NeverAcknowledge => {
                self.withheld += 1;
                Vec::new()
            }
            Misbehaviour::AcknowledgeUnknown => vec![Packet::PubAck { id: unknown(id), reason: 0 }, right],
            Misbehaviour::AcknowledgeOutOfOrder => {
                self.held.push(right);
                self.until.get_or_insert(now + GROUP_WAIT);
                if self.held.len() < GROUP { Vec::new() } else { self.release() }
            }
            _ => vec![right],
        }
    }

    /// When [`release`](Self::release) is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.until
    }

    /// What was held, the last first.
    pub(super) fn release(&mut self) -> Vec<Packet> {
        self.until = None;
        self.held.drain(..).rev().collect()
    }

    /// How many publishes wait for an acknowledgement.
    pub(super) fn waiting(&self) -> usize {
        self.withheld + self.held.len()
    }
}

/// An id far from those in use.
fn unknown(id: u16) -> u16 {
    match id ^ 0x4000 {
        0 => 0x2000,
        far => far,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(packets: Vec<Packet>) -> Vec<u16> {
        packets
            .into_iter()
            .map(|packet| match packet {
                Packet::PubAck { id, .. } | Packet::PubRec { id, .. } => id,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn taken(how: Misbehaviour, count: u16) -> (Acknowledger, Vec<u16>) {
        let mut acknowledger = Acknowledger::default();
        let now = Instant::now();
        let sent = (1..=count).flat_map(|id| acknowledger.taken(id, Qos::One, &how, now)).collect();
        (acknowledger, ids(sent))
    }

    #[test]
    fn each_misbehaviour_has_its_order() {
        assert_eq!(taken(Misbehaviour::None, 3).1, [1, 2, 3]);
        assert_eq!(taken(Misbehaviour::AcknowledgeUnknown, 2).1, [0x4001, 1, 0x4002, 2]);
        let (acknowledger, sent) = taken(Misbehaviour::NeverAcknowledge, 3);
        assert_eq!((sent.len(), acknowledger.waiting()), (0, 3));
    }

    #[test]
    fn a_group_is_turned_round_and_a_part_of_one_waits() {
        let (mut acknowledger, sent) = taken(Misbehaviour::AcknowledgeOutOfOrder, 6);
        assert_eq!(sent, [4, 3, 2, 1]);
        assert!(acknowledger.next_due().is_some());
        assert_eq!(ids(acknowledger.release()), [6, 5]);
        assert_eq!((acknowledger.next_due(), acknowledger.waiting()), (None, 0));
    }
}
