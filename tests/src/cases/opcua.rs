//! The values of `cases/opcua-types.json`: every type in nodes of every kind of id, by every form of address.

use serde_json::Value;

use super::{Case, case, entries};

const FILE: &str = "opcua-types.json";

/// All cases of the file.
pub fn all() -> Vec<Case> {
    entries(FILE).iter().map(case).collect()
}

/// The cases that can be written, with another value to write; each node once.
pub fn writable() -> Vec<(Case, Value)> {
    let once = entries(FILE).into_iter().filter(|entry| entry.get("of").is_none() && !entry["other"].is_null());
    once.map(|entry| (case(&entry), entry["other"].clone())).collect()
}
