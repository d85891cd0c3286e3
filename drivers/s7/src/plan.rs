//! Addresses to requests: one plan for each poll group, with the fewest requests that the PLC is known to take.
//!
//! Tags are planned by *zone*: a data block or another area. What was learned of a zone (addresses that are refused, seams
//! that no item may cross, a block that does not exist) bounds its plan; it is shared by all groups.

mod block;
mod knowledge;
mod learned;
mod pack;

use driver_core::{GroupId, TagId};

use crate::address::Address;
use crate::decode::Fault;
use crate::form::{Decoder, Form};
use crate::wire::Area;

pub(crate) use block::{Block, Found, Request, Slot, requests_of};
use knowledge::Barriers;
pub(crate) use knowledge::Knowledge;
pub(crate) use learned::{restore, save};
pub(crate) use pack::Limits;
use pack::{Point, Run, pack};

/// A tag with its address understood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) id: TagId,
    pub(crate) group: GroupId,
    pub(crate) address: Address,
    pub(crate) form: Form,
    /// Index into the device's zones.
    pub(crate) zone: usize,
}

/// A data block or another area, and what is known of it.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) area: Area,
    pub(crate) knowledge: Knowledge,
}

/// A tag too long for one item: its parts are put together here.
#[derive(Debug)]
pub(crate) struct Assembly {
    pub(crate) tag: usize,
    pub(crate) decoder: Decoder,
    pub(crate) bytes: Vec<u8>,
    /// Bytes that have not arrived in this poll.
    pub(crate) missing: u32,
    /// Why a part of it is missing, where that is known.
    pub(crate) fault: Option<Fault>,
}

/// The requests of one poll group.
#[derive(Debug, Default)]
pub(crate) struct GroupPlan {
    /// Indexes of its tags.
    members: Vec<usize>,
    /// In the order of zones and starts.
    pub(crate) requests: Vec<Request>,
    pub(crate) assemblies: Vec<Assembly>,
    /// Tags that the PLC refuses, by index; they are in no request.
    pub(crate) refused: Vec<usize>,
}

/// A tag, or a part of one, that a point stands for.
#[derive(Debug, Clone, Copy)]
struct Piece {
    tag: usize,
    /// Its first byte within the tag.
    at: u32,
}

impl GroupPlan {
    /// The plan of these tags, by their indexes.
    pub(crate) fn new(members: Vec<usize>, tags: &[Tag], zones: &[Zone], limits: &Limits) -> GroupPlan {
        let mut plan = GroupPlan { members, ..GroupPlan::default() };
        plan.remake(tags, zones, limits);
        plan
    }

    /// Plans anew with what the zones know now.
    pub(crate) fn remake(&mut self, tags: &[Tag], zones: &[Zone], limits: &Limits) {
        let is_refused = |index: &usize| zones[tags[*index].zone].knowledge.refusal(*index).is_some();
        self.refused = self.members.iter().copied().filter(is_refused).collect();
        let wanted = self.members.iter().copied().filter(|index| !is_refused(index));
        let (row, pieces) = row(wanted, tags, zones, limits.block_max());
        self.assemblies.clear();
        let packed = pack(&row, limits);
        self.requests = packed
            .into_iter()
            .map(|runs| {
                let block = |run: &Run| {
                    Block::new(run.zone, zones[run.zone].area, run.start, run.end, self.slots(run, &row, &pieces, tags))
                };
                Request::new(runs.iter().map(block).collect())
            })
            .collect();
    }

    /// Marks every tag that is put together as not arrived.
    pub(crate) fn begin(&mut self) {
        for assembly in &mut self.assemblies {
            assembly.missing = u32::try_from(assembly.bytes.len()).unwrap_or(u32::MAX);
            assembly.fault = None;
        }
    }

    /// How many tags it has.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    fn slots(&mut self, run: &Run, row: &[Point], pieces: &[Piece], tags: &[Tag]) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(run.points.len());
        for index in run.points.clone() {
            let (point, piece) = (row[index], pieces[index]);
            let tag = &tags[piece.tag];
            let found = if point.len == tag.address.bytes() {
                Found::Whole(tag.form.decoder(point.start - run.start))
            } else {
                Found::Part { assembly: self.assembly(piece.tag, tag), from: point.start - run.start, to: piece.at }
            };
            slots.push(Slot { id: tag.id, tag: piece.tag, start: point.start, len: point.len, found });
        }
        slots
    }

    /// Where the parts of a tag are put together.
    fn assembly(&mut self, tag: usize, of: &Tag) -> usize {
        if let Some(index) = self.assemblies.iter().rposition(|assembly| assembly.tag == tag) {
            return index;
        }
        let bytes = vec![0; of.form.bytes()];
        self.assemblies.push(Assembly {
            tag,
            decoder: of.form.decoder(0),
            bytes,
            missing: of.address.bytes(),
            fault: None,
        });
        self.assemblies.len() - 1
    }
}

/// What is to be read, sorted by zone and start, with what each point stands for.
fn row(wanted: impl Iterator<Item = usize>, tags: &[Tag], zones: &[Zone], block_max: u32) -> (Vec<Point>, Vec<Piece>) {
    let mut all: Vec<(Point, Piece)> = wanted.flat_map(|index| cut(index, &tags[index], block_max)).collect();
    all.sort_unstable_by_key(|(point, piece)| (point.zone, point.start, std::cmp::Reverse(point.len), piece.tag));
    // The zone of the points before, where they end, and what stands between its bytes.
    let mut before: Option<(usize, u32, Barriers)> = None;
    for (point, _) in &mut all {
        match &mut before {
            Some((zone, end, barriers)) if *zone == point.zone => {
                point.is_parted = barriers.part(*end, point.start);
                *end = (*end).max(point.start + point.len);
            }
            _ => before = Some((point.zone, point.start + point.len, zones[point.zone].knowledge.barriers(tags))),
        }
    }
    all.into_iter().unzip()
}

/// The points of a tag: several where it is longer than an item, cut so that no element is torn.
fn cut(index: usize, tag: &Tag, block_max: u32) -> impl Iterator<Item = (Point, Piece)> {
    let (start, len, zone) = (tag.address.start, tag.address.bytes(), tag.zone);
    let step = if len <= block_max { len } else { part_bytes(tag, block_max) };
    (0..len).step_by(step as usize).map(move |at| {
        let point = Point { zone, start: start + at, len: step.min(len - at), is_parted: false };
        (point, Piece { tag: index, at })
    })
}

/// As many bytes of a tag as go into one item without tearing an element; an element that is longer is cut.
pub(crate) fn part_bytes(tag: &Tag, bytes_max: u32) -> u32 {
    let grain = match u32::try_from(tag.form.grain()) {
        Ok(grain) if grain <= bytes_max => grain,
        // Timers and counters come in twos.
        _ => 2,
    };
    (bytes_max / grain.max(1) * grain.max(1)).max(1)
}

#[cfg(test)]
mod tests;
