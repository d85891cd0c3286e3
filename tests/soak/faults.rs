//! What happens next, by the seed alone.

use std::fmt;
use std::time::Duration;

use hardware_sim::faults::{self, Link};
use tests::wait;

use crate::Bench;

/// Of the frames of a PLC that lies, so many do.
const LIES: f64 = 0.3;

/// What a lying PLC's frames meet.
const LIES_ARE: [faults::Fault; 11] = [
    faults::Fault::Silence,
    faults::Fault::Late(Duration::from_millis(700)),
    faults::Fault::Drip(Duration::from_millis(20)),
    faults::Fault::Cut(7),
    faults::Fault::Garbage(24),
    faults::Fault::Noise(5),
    faults::Fault::Twice,
    faults::Fault::Yesterday,
    faults::Fault::WrongTransaction,
    faults::Fault::WrongFunction,
    faults::Fault::Reset,
];

/// One fault, with how long it lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The network between gateway and broker.
    Uplink(Link, Duration),
    /// All connections of the uplink are reset.
    UplinkReset,
    /// The broker ends and is started again.
    Broker { down: Duration },
    /// The network to one PLC.
    Plc(usize, Link, Duration),
    /// One PLC's answers are disturbed.
    Lies { plc: usize, seed: u64, length: Duration },
    /// The gateway is killed.
    Kill { down: Duration },
}

impl Fault {
    /// Lets it happen, and ends it; the gateway's own is its owner's.
    pub(crate) fn happen(self, bench: &mut Bench) {
        match self {
            Fault::Uplink(link, length) => {
                bench.uplink.link(link);
                wait::pass(length);
                bench.uplink.link(Link::Up);
            }
            Fault::UplinkReset => bench.uplink.reset_all(),
            Fault::Broker { down } => {
                bench.broker.stop();
                wait::pass(down);
                bench.broker.start_again();
            }
            Fault::Plc(plc, link, length) => {
                bench.devices[plc].line.link(link);
                wait::pass(length);
                bench.devices[plc].line.link(Link::Up);
            }
            Fault::Lies { plc, seed, length } => {
                bench.devices[plc].line.replies().mix(seed, LIES, LIES_ARE);
                wait::pass(length);
                bench.devices[plc].line.set(faults::Fault::Pass);
            }
            Fault::Kill { .. } => {}
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Uplink(link, length) => write!(f, "the uplink is {link:?} for {length:.1?}"),
            Fault::UplinkReset => f.write_str("the uplink's connections are reset"),
            Fault::Broker { down } => write!(f, "the broker is gone for {down:.1?}"),
            Fault::Plc(plc, link, length) => write!(f, "the line of plc{plc} is {link:?} for {length:.1?}"),
            Fault::Lies { plc, length, .. } => write!(f, "plc{plc} lies for {length:.1?}"),
            Fault::Kill { down } => write!(f, "kill -9, and a start after {down:.1?}"),
        }
    }
}

/// Chance that a seed repeats: splitmix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn between_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }

    /// How long all is well.
    pub(crate) fn pause(&mut self) -> Duration {
        self.between_ms(500, 12_000)
    }

    /// What comes; kills only where they are asked for.
    pub(crate) fn fault(&mut self, plcs: usize, kills: bool) -> Fault {
        let plc = usize::try_from(self.below(plcs as u64)).expect("a small number");
        let cut = [Link::Refuse, Link::BlackHole, Link::Stalled][self.below(3) as usize];
        match self.below(if kills { 7 } else { 6 }) {
            0 => Fault::Uplink(cut, self.between_ms(500, 20_000)),
            1 => Fault::UplinkReset,
            2 => Fault::Broker { down: self.between_ms(200, 8_000) },
            3 => Fault::Plc(plc, cut, self.between_ms(200, 8_000)),
            4 | 5 => Fault::Lies { plc, seed: self.next(), length: self.between_ms(1_000, 8_000) },
            _ => Fault::Kill { down: self.between_ms(0, 3_000) },
        }
    }
}
