//! System status lists (SZL): what a PLC says of itself.
//!
//! ```text
//! id (2) | index (2) | length of an entry (2) | number of entries (2) | entries
//! ```

use super::plc::State;
use super::{Access, CpuState, Identity};

/// The lists that there are.
const LISTS: [u16; 6] = [0x0000, 0x0011, 0x001C, 0x0131, 0x0232, 0x0424];

/// Bytes of an entry of 001C behind its index.
const COMPONENT: usize = 32;

impl State {
    /// The list of an id and index, whole; none if there is none.
    pub(super) fn status_list(&self, id: u16, index: u16) -> Option<Vec<u8>> {
        let identity = &self.config.identity;
        let entries = match id {
            0x0000 => LISTS.iter().map(|list| list.to_be_bytes().to_vec()).collect(),
            0x0011 => modules(identity),
            0x001C => components(identity),
            0x0131 => vec![self.communication()],
            0x0232 => vec![self.protection()],
            0x0424 => vec![self.mode()],
            _ => return None,
        };
        let length = entries.first().map_or(0, Vec::len) as u16;
        let head = [id, index, length, entries.len() as u16];
        Some(head.iter().flat_map(|word| word.to_be_bytes()).chain(entries.concat()).collect())
    }

    /// What connections can be had: index 1 of 0131, 40 bytes.
    fn communication(&self) -> Vec<u8> {
        let connections = u16::try_from(self.config.connections_max).unwrap_or(u16::MAX);
        let speed = 187_500_u32.to_be_bytes();
        let mut entry = [[0, 1], self.config.pdu_max.to_be_bytes(), connections.to_be_bytes()].concat();
        entry.extend([speed, speed].concat());
        entry.resize(40, 0);
        entry
    }

    /// Levels of protection and the key switch: index 4 of 0232, 40 bytes.
    fn protection(&self) -> Vec<u8> {
        let level = if self.config.access == Access::Permitted { 1 } else { 3 };
        let switch = if self.cpu_state() == CpuState::Run { 1 } else { 3 };
        let mut entry: Vec<u8> = [4_u16, level, 0, level, switch].iter().flat_map(|word| word.to_be_bytes()).collect();
        entry.resize(40, 0);
        entry
    }

    /// The CPU's mode: 0424, 20 bytes.
    fn mode(&self) -> Vec<u8> {
        let mode = if self.cpu_state() == CpuState::Run { 0x08 } else { 0x04 };
        let mut entry = vec![0x51, 0x44, 0xFF, mode];
        entry.resize(20, 0);
        entry
    }
}

/// Module, basic hardware and basic firmware: 0011, 28 bytes each.
fn modules(identity: &Identity) -> Vec<Vec<u8>> {
    let [major, minor, patch] = identity.firmware;
    let entry = |index: u8, version: [u8; 4]| {
        [&[0, index][..], &text(&identity.order_number, 20, b' '), &[0, 0], &version].concat()
    };
    vec![entry(1, [0, 1, 0, 1]), entry(6, [0, 1, 0, 1]), entry(7, [b'V', major, minor, patch])]
}

/// Names and numbers of the parts: 001C, 34 bytes each.
fn components(identity: &Identity) -> Vec<Vec<u8>> {
    let entry = |(index, name, max): (u8, &str, usize)| {
        let mut entry = vec![0, index];
        entry.extend(text(name, max, 0));
        entry.resize(2 + COMPONENT, 0);
        entry
    };
    let Identity { station, module, copyright, serial_number, module_type, .. } = identity;
    let parts = [
        (1, station.as_str(), 24),
        (2, module, 24),
        (3, "", 24),
        (4, copyright, 26),
        (5, serial_number, 24),
        (7, module_type, 32),
        (8, "", 32),
    ];
    parts.into_iter().map(entry).collect()
}

/// A text of exactly so many bytes.
fn text(text: &str, len: usize, filler: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.bytes().take(len).collect();
    bytes.resize(len, filler);
    bytes
}
