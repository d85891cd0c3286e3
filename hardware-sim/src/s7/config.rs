//! What a simulated PLC can do, and what it says of itself.

use std::time::Duration;

/// What a PLC agrees to, permits and is called.
#[derive(Debug, Clone)]
pub struct PlcConfig {
    /// The longest PDU that it agrees to, bytes: 240 on a small S7-300, 480 on most, 960 on large S7-1500.
    pub pdu_max: u16,
    /// How many requests of one connection it works on at a time (AmQ).
    pub jobs_max: u16,
    /// The most items of one request.
    pub items_max: usize,
    /// The longest TPDU that it agrees to, bytes, a power of two from 128 to 8192; longer PDUs come in fragments.
    pub tpdu_max: u16,
    /// How many connections it has; one more is closed as soon as it is made.
    pub connections_max: usize,
    /// The called TSAP that it answers to, such as 0x0102 for rack 0, slot 2; none takes any.
    pub tsap: Option<u16>,
    /// Whether others may read and write.
    pub access: Access,
    /// How long it works on a request, to the millisecond. The requests of a connection are worked on side by side.
    pub latency: Duration,
    /// How much longer for each item.
    pub latency_per_item: Duration,
    /// What it says of itself.
    pub identity: Identity,
}

/// Whether an S7-1200 or S7-1500 permits PUT/GET communication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As on S7-300 and S7-400.
    Permitted,
    /// Reads and writes get error 81 04.
    Refused,
}

/// What the key switch and the program have made of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuState {
    /// The program runs.
    Run,
    /// It does not; the memory can be read and written all the same.
    Stop,
}

/// What the system status lists tell. Texts are cut at the lengths of their fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// At most 20 characters.
    pub order_number: String,
    /// The three numbers of the version.
    pub firmware: [u8; 3],
    /// The name of the station, at most 24 characters.
    pub station: String,
    /// The name of the module, at most 24 characters.
    pub module: String,
    /// What kind of module it is, at most 32 characters.
    pub module_type: String,
    /// At most 24 characters.
    pub serial_number: String,
    /// At most 26 characters.
    pub copyright: String,
}

impl Default for PlcConfig {
    /// A large PLC that permits everything at once.
    fn default() -> Self {
        Self {
            pdu_max: 960,
            jobs_max: 8,
            items_max: 20,
            tpdu_max: 1024,
            connections_max: 4096,
            tsap: None,
            access: Access::Permitted,
            latency: Duration::ZERO,
            latency_per_item: Duration::ZERO,
            identity: Identity::default(),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            order_number: "FOREBAY SIM-0AB0".into(),
            firmware: [1, 2, 3],
            station: "hardware-sim".into(),
            module: "PLC_1".into(),
            module_type: "CPU SIM".into(),
            serial_number: "S SIM-00000001".into(),
            copyright: "Forebay".into(),
        }
    }
}
