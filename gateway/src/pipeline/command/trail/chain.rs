//! How a line of the trail is tied to the one before it. No I/O.

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde_json::{Map, Value as Json, json};

/// What stands between the record and its place in the chain.
const SEAM: &str = ",\"chain\":\"";

/// What stands after it.
const CLOSE: &str = "\"}";

const HEX_BYTES: usize = 2 * SHA256_OUTPUT_LEN;

/// Where the chain stands: after which record, and with which hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) n: u64,
    hash: [u8; SHA256_OUTPUT_LEN],
}

impl Link {
    /// The hash as text.
    pub(super) fn hex(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The link with this hash, after `n` records.
    pub(super) fn from_hex(n: u64, hex: &str) -> Option<Link> {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        if hex.len() != HEX_BYTES || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in hash.iter_mut().zip((0..HEX_BYTES).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
        }
        Some(Link { n, hash })
    }

    fn next(&self, record: &str) -> Link {
        let bytes = [&self.hash[..], record.as_bytes()].concat();
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        Link { n: self.n + 1, hash }
    }
}

/// The line of a record, with its number before and its place in the chain after it.
pub(super) fn sealed(record: &Map<String, Json>, before: &Link) -> (String, Link) {
    let mut numbered = Map::new();
    numbered.insert("n".into(), json!(before.n + 1));
    numbered.extend(record.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut line = Json::Object(numbered).to_string();
    line.pop();
    let link = before.next(&line);
    line.push_str(SEAM);
    line.push_str(&link.hex());
    line.push_str(CLOSE);
    line.push('\n');
    (line, link)
}

/// The record of a line without its line end, and the link after it. `before` is the link before it; `None` takes the
/// record's own word for it, where it begins a file.
pub(super) fn unsealed(line: &str, before: Option<&Link>) -> Option<(Json, Link)> {
    let (record, hex) = line.strip_suffix(CLOSE)?.split_at_checked(line.len().checked_sub(CLOSE.len() + HEX_BYTES)?)?;
    let text = record.strip_suffix(SEAM)?;
    let json: Json = serde_json::from_str(line).ok()?;
    let n = json["n"].as_u64()?;
    let before = match before {
        Some(before) => *before,
        None => Link::from_hex(n.checked_sub(1)?, json["after"].as_str()?)?,
    };
    let link = before.next(text);
    (link.n == n && link.hex() == hex).then_some((json, link))
}
