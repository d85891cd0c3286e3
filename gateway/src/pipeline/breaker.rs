//! Whether a device on a shared line is worth asking.
//!
//! A silent device costs its line a time-out at each poll. After a few it is suspended: its tags are bad at once, without
//! touching the line, and one short touch per back-off period looks whether it is there again. What all touches of a
//! line may cost together is bounded too, so that the healthy devices keep their cadence.

use std::time::{Duration, Instant};

use driver_core::Contact;

use crate::backoff::{Backoff, Jitter};

/// Silent polls in a row after which a device is suspended.
pub const SILENT_MAX: u8 = 3;

/// Touches of a suspended device: seconds apart at first, a minute at most.
pub const TOUCH: Backoff = Backoff {
    shortest: Duration::from_secs(1),
    first: Duration::from_secs(4),
    longest: Duration::from_secs(60),
    steady: Duration::ZERO,
};

/// After a touch that took a time, none follows on the same line for this many times as long: 3 % of the line.
const TOUCH_REST: u32 = 30;

/// Whether a device is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// It is polled.
    Closed {
        /// Polls in a row that it did not answer.
        silent: u8,
    },
    /// It is suspended.
    Open {
        /// When it may be touched.
        until: Instant,
        /// Touches in a row that it did not answer.
        tries: u32,
    },
}

/// What a step of the breaker means to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing changed.
    Same,
    /// The device was suspended.
    Suspended,
    /// The device answers again.
    Back,
}

impl Breaker {
    /// The breaker of a device that was never asked.
    pub const NEW: Breaker = Breaker::Closed { silent: 0 };

    /// The state after a poll or a touch.
    pub fn step(self, contact: Contact, now: Instant, jitter: &mut Jitter) -> (Breaker, Change) {
        match (self, contact) {
            (Breaker::Closed { .. }, Contact::Answered) => (Breaker::NEW, Change::Same),
            (Breaker::Open { .. }, Contact::Answered) => (Breaker::NEW, Change::Back),
            (Breaker::Closed { silent }, Contact::Silent) if silent + 1 < SILENT_MAX => {
                (Breaker::Closed { silent: silent + 1 }, Change::Same)
            }
            (Breaker::Closed { .. }, Contact::Silent) => {
                (Breaker::Open { until: now + TOUCH.wait(0, jitter), tries: 1 }, Change::Suspended)
            }
            (Breaker::Open { tries, .. }, Contact::Silent) => {
                (Breaker::Open { until: now + TOUCH.wait(tries, jitter), tries: tries + 1 }, Change::Same)
            }
        }
    }

    /// A suspended device may be touched at once, because the line is new.
    pub fn renewed(self, now: Instant) -> Breaker {
        match self {
            Breaker::Open { tries, .. } => Breaker::Open { until: now, tries },
            closed => closed,
        }
    }

    /// Whether the device is suspended.
    pub fn is_open(&self) -> bool {
        matches!(self, Breaker::Open { .. })
    }
}

/// The suspended devices of one line, and what touching them may cost it.
#[derive(Debug)]
pub struct Breakers {
    devices: Vec<Breaker>,
    /// No touch before this time, as long as some device is polled.
    rest_until: Instant,
    /// Touches in a row, on this connection, that met silence.
    silent_touches: usize,
}

impl Breakers {
    /// All closed.
    pub fn new(devices: usize, now: Instant) -> Breakers {
        Breakers { devices: vec![Breaker::NEW; devices], rest_until: now, silent_touches: 0 }
    }

    /// Whether a device is suspended.
    pub fn is_open(&self, device: usize) -> bool {
        self.devices.get(device).is_some_and(Breaker::is_open)
    }

    /// How many devices are suspended.
    pub fn open_count(&self) -> u32 {
        self.devices.iter().filter(|breaker| breaker.is_open()).count() as u32
    }

    /// Whether all devices are suspended, and each was touched in vain on this connection: then the connection itself may
    /// be dead, whatever the operating system says.
    pub fn nobody_answers(&self) -> bool {
        self.all_open() && self.silent_touches >= self.devices.len()
    }

    fn all_open(&self) -> bool {
        self.devices.iter().all(Breaker::is_open)
    }

    /// The suspended device that has waited longest for a touch, and when it may have it.
    pub fn next_touch(&self) -> Option<(usize, Instant)> {
        let open = self.devices.iter().enumerate().filter_map(|(device, breaker)| match breaker {
            Breaker::Open { until, .. } => Some((device, *until)),
            Breaker::Closed { .. } => None,
        });
        let (device, until) = open.min_by_key(|(_, until)| *until)?;
        Some((device, if self.all_open() { until } else { until.max(self.rest_until) }))
    }

    /// Tells what a poll of a device met.
    pub fn polled(&mut self, device: usize, contact: Contact, now: Instant, jitter: &mut Jitter) -> Change {
        let Some(breaker) = self.devices.get_mut(device) else { return Change::Same };
        if contact == Contact::Answered {
            self.silent_touches = 0;
        }
        let (next, change) = breaker.step(contact, now, jitter);
        *breaker = next;
        change
    }

    /// Tells what a touch of a device met, and how long it took.
    pub fn touched(
        &mut self,
        device: usize,
        contact: Contact,
        took: Duration,
        now: Instant,
        jitter: &mut Jitter,
    ) -> Change {
        self.rest_until = now + took.saturating_mul(TOUCH_REST).min(TOUCH.longest);
        self.silent_touches += 1;
        self.polled(device, contact, now, jitter)
    }

    /// Tells that the line has a new connection: who was silent on the old one may answer on this.
    pub fn renew(&mut self, now: Instant) {
        self.rest_until = now;
        self.silent_touches = 0;
        for breaker in &mut self.devices {
            *breaker = breaker.renewed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn three_silent_polls_suspend_and_one_answer_brings_back() {
        use Contact::{Answered, Silent};
        let now = Instant::now();
        let mut jitter = Jitter::seeded(3);
        let mut breakers = Breakers::new(2, now);
        let steps = [
            (Silent, Change::Same),
            (Silent, Change::Same),
            (Answered, Change::Same),
            (Silent, Change::Same),
            (Silent, Change::Same),
            (Silent, Change::Suspended),
            (Silent, Change::Same),
            (Answered, Change::Back),
            (Silent, Change::Same),
        ];
        for (step, (contact, expected)) in steps.into_iter().enumerate() {
            assert_eq!(breakers.polled(1, contact, now, &mut jitter), expected, "step {step}");
            assert_eq!(breakers.is_open(1), (5..=6).contains(&step), "step {step}");
        }
        assert!(!breakers.is_open(0) && breakers.open_count() == 0);
        assert_eq!(breakers.next_touch(), None);
    }

    #[test]
    fn touches_grow_rarer_and_never_stop() {
        let start = Instant::now();
        let (mut now, mut jitter) = (start, Jitter::seeded(5));
        let mut breakers = suspended(1, now, &mut jitter);
        let mut touches = 0;
        while now < start + 3600 * SECOND {
            let (device, at) = breakers.next_touch().expect("a touch");
            assert!(at >= now && at - now <= TOUCH.longest);
            now = at;
            breakers.touched(device, Contact::Silent, Duration::ZERO, now, &mut jitter);
            touches += 1;
        }
        assert!((60..300).contains(&touches), "{touches} touches in an hour");
    }

    #[test]
    fn thirty_dead_units_cost_a_healthy_one_less_than_five_percent() {
        let start = Instant::now();
        let (mut now, mut jitter) = (start, Jitter::seeded(5));
        let mut breakers = suspended(30, now, &mut jitter);
        breakers.devices.push(Breaker::NEW);
        let took = Duration::from_millis(500);
        let mut spent = Duration::ZERO;
        let mut seen = [false; 30];
        while now < start + 1800 * SECOND {
            let (device, at) = breakers.next_touch().expect("a touch");
            now = now.max(at) + took;
            spent += took;
            seen[device] = true;
            breakers.touched(device, Contact::Silent, took, now, &mut jitter);
        }
        assert!(spent < (now - start) / 20, "{spent:?}");
        assert!(seen.iter().all(|seen| *seen), "each unit has its turn");
    }

    #[test]
    fn a_connection_is_given_up_when_each_device_was_touched_in_vain_and_a_new_one_is_a_new_chance() {
        let now = Instant::now();
        let mut jitter = Jitter::seeded(9);
        let mut breakers = suspended(3, now, &mut jitter);
        assert!(breakers.next_touch().expect("a touch").1 > now);
        breakers.renew(now);
        let mut touched = Vec::new();
        while !breakers.nobody_answers() {
            let (device, at) = breakers.next_touch().expect("a touch");
            assert_eq!(at, now);
            touched.push(device);
            breakers.touched(device, Contact::Silent, SECOND, now, &mut jitter);
        }
        assert_eq!(touched, [0, 1, 2]);
        breakers.renew(now);
        assert!(!breakers.nobody_answers());
        assert_eq!(breakers.touched(2, Contact::Answered, SECOND, now, &mut jitter), Change::Back);
        assert!(!breakers.nobody_answers() && breakers.open_count() == 2);
    }

    fn suspended(devices: usize, now: Instant, jitter: &mut Jitter) -> Breakers {
        let mut breakers = Breakers::new(devices, now);
        for device in 0..devices {
            for _ in 0..SILENT_MAX {
                breakers.polled(device, Contact::Silent, now, jitter);
            }
        }
        breakers
    }
}
