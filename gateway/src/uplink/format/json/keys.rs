//! What is the same in every reading of a tag, written once: a few copies a reading are left.

use std::collections::HashMap;
use std::sync::Arc;

use driver_core::TagId;

use super::value::write_escaped;
use crate::pipeline::schema::Schema;

/// The pieces of one schema; about 35 bytes a tag.
pub(super) struct Keys {
    schema: Arc<Schema>,
    text: Vec<u8>,
    /// By tag id, and one more where the text ends.
    tags: Vec<TagPieces>,
    devices: Vec<Box<[u8]>>,
    units: Vec<Box<[u8]>>,
}

#[derive(Clone, Copy)]
struct TagPieces {
    /// Where its row begins in the text; it ends where the next one's begins.
    start: u32,
    device: u32,
    unit: u32,
}

/// The pieces of one tag, each fit to follow the one before.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    /// `","device":"press`
    pub(super) device_name: &'a [u8],
    /// `,{"tag":"temperature","value":`
    pub(super) row: &'a [u8],
    /// `,"quality":"good","unit":"°C"`, or without the unit.
    pub(super) good: &'a [u8],
}

/// How [`Pieces::row`] begins.
pub(super) const ROW: &[u8] = b",{";

/// How [`Pieces::good`] begins.
pub(super) const GOOD: &[u8] = b",\"quality\":\"good\"";

impl<'a> Pieces<'a> {
    /// `"tag":"temperature","value":`
    pub(super) fn tag_name(&self) -> &'a [u8] {
        self.row.get(ROW.len()..).unwrap_or_default()
    }

    /// `,"unit":"°C"`, or nothing.
    pub(super) fn unit(&self) -> &'a [u8] {
        self.good.get(GOOD.len()..).unwrap_or_default()
    }
}

impl Keys {
    pub(super) fn of(schema: Arc<Schema>) -> Keys {
        let mut keys = Keys { text: Vec::new(), tags: Vec::new(), devices: Vec::new(), units: Vec::new(), schema };
        for index in 0..keys.schema.devices() {
            let mut piece = b"\",\"device\":\"".to_vec();
            write_escaped(keys.schema.device(index).unwrap_or_default(), &mut piece);
            keys.devices.push(piece.into());
        }
        let mut units: HashMap<String, u32> = HashMap::new();
        let ids = 0..u32::try_from(keys.schema.tags()).unwrap_or(u32::MAX);
        keys.tags.reserve_exact(ids.len() + 1);
        for id in ids {
            let Some(names) = keys.schema.tag(TagId(id)) else { break };
            let unit = *units.entry(names.unit.to_string()).or_insert_with(|| {
                keys.units.push(unit_piece(names.unit));
                keys.units.len() as u32 - 1
            });
            keys.tags.push(TagPieces { start: keys.end(), device: names.device_index as u32, unit });
            keys.text.extend_from_slice(ROW);
            keys.text.extend_from_slice(b"\"tag\":\"");
            write_escaped(names.tag, &mut keys.text);
            keys.text.extend_from_slice(b"\",\"value\":");
        }
        keys.tags.push(TagPieces { start: keys.end(), device: 0, unit: 0 });
        keys.text.shrink_to_fit();
        keys
    }

    /// A configuration of millions of tags is far from filling 4 GiB with their names.
    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).expect("the names of all tags take less than 4 GiB")
    }

    pub(super) fn is_of(&self, schema: &Arc<Schema>) -> bool {
        Arc::ptr_eq(&self.schema, schema)
    }

    #[inline]
    pub(super) fn pieces(&self, tag: TagId) -> Option<Pieces<'_>> {
        let [TagPieces { start, device, unit }, next] = *self.tags.get(tag.index()..)?.first_chunk::<2>()?;
        Some(Pieces {
            device_name: self.devices.get(device as usize)?,
            row: self.text.get(start as usize..next.start as usize)?,
            good: self.units.get(unit as usize)?,
        })
    }
}

fn unit_piece(unit: &str) -> Box<[u8]> {
    let mut piece = GOOD.to_vec();
    if !unit.is_empty() {
        piece.extend_from_slice(b",\"unit\":\"");
        write_escaped(unit, &mut piece);
        piece.push(b'"');
    }
    piece.into()
}
