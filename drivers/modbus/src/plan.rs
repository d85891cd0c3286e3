//! Addresses to requests: one plan for each poll group, the cheapest that the device is known to take.
//!
//! Tags are planned by *zone*: one area of one unit. What was learned of a zone (refused addresses, seams that no request
//! may cross, the length that is accepted) bounds its plan; it is shared by all groups.

mod knowledge;
mod learned;
mod read;

use driver_core::{CostModel, Decoder, Field, GroupId, Order, Point, Span, TagId, spans};

use crate::address::{Address, Area};
use crate::config::Costs;

pub(crate) use knowledge::Knowledge;
pub(crate) use learned::{restore, save};
pub(crate) use read::{Found, Read, Slot};

/// A tag with its address understood: 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) id: TagId,
    pub(crate) group: GroupId,
    /// Index into the device's zones: five areas of each unit at most.
    pub(crate) zone: u16,
    pub(crate) unit: u8,
    /// The device's byte order, for an address that names none.
    pub(crate) order: Order,
    pub(crate) address: Address,
}

impl Tag {
    /// How its value lies in the bytes of an answer.
    pub(crate) fn field(&self) -> Field {
        self.address.field(self.order)
    }

    /// Index into the device's zones.
    pub(crate) fn zone(&self) -> usize {
        usize::from(self.zone)
    }
}

/// One area of one unit, and what is known of it.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) unit: u8,
    pub(crate) area: Area,
    pub(crate) knowledge: Knowledge,
}

/// A tag too long for one request: its parts are put together here.
#[derive(Debug)]
pub(crate) struct Assembly {
    pub(crate) tag: usize,
    pub(crate) decoder: Decoder,
    pub(crate) bytes: Vec<u8>,
    /// Registers or bits that have not arrived in this poll.
    pub(crate) missing: u32,
}

/// The requests of one poll group.
#[derive(Debug, Default)]
pub(crate) struct GroupPlan {
    /// Indexes of its tags.
    members: Box<[u32]>,
    /// By zone and rising start.
    pub(crate) reads: Vec<Read>,
    pub(crate) assemblies: Vec<Assembly>,
    /// Tags that the device refuses, by index; they are in no request.
    pub(crate) refused: Vec<usize>,
    /// The longest request with its answer, bytes with framing.
    pub(crate) frame_bytes_max: usize,
}

impl GroupPlan {
    /// The plan of these tags, by their indexes.
    pub(crate) fn new(members: Box<[u32]>, tags: &[Tag], zones: &[Zone], costs: &Costs) -> GroupPlan {
        let mut plan = GroupPlan { members, ..GroupPlan::default() };
        plan.remake(tags, zones, costs);
        plan
    }

    /// Plans anew with what the zones know now.
    pub(crate) fn remake(&mut self, tags: &[Tag], zones: &[Zone], costs: &Costs) {
        let mut by_zone: Vec<Vec<usize>> = vec![Vec::new(); zones.len()];
        self.refused.clear();
        for member in self.members.iter().map(|member| *member as usize) {
            let zone = tags[member].zone();
            if zones[zone].knowledge.refusal(member).is_some() {
                self.refused.push(member);
            } else {
                by_zone[zone].push(member);
            }
        }
        self.reads.clear();
        self.assemblies.clear();
        for (index, members) in by_zone.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
            self.plan_zone(index, &zones[index], members, tags, costs);
        }
        let bytes = |read: &Read| costs.wire_bytes(read.area, u32::from(read.len));
        self.frame_bytes_max = self.reads.iter().map(|read| bytes(read).out + bytes(read).back).max().unwrap_or(0);
    }

    /// Marks every tag that is put together as not arrived.
    pub(crate) fn begin(&mut self, tags: &[Tag]) {
        for assembly in &mut self.assemblies {
            assembly.missing = tags[assembly.tag].address.units();
        }
    }

    /// How many tags it has.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    fn plan_zone(&mut self, index: usize, zone: &Zone, members: &[usize], tags: &[Tag], costs: &Costs) {
        let points: Vec<Point> = members.iter().map(|member| point(&tags[*member])).collect();
        for file in by_file(zone.area, &points) {
            let (from, chosen): (Vec<usize>, Vec<Point>) = file.into_iter().unzip();
            let model = CostModel { units_max: zone.knowledge.units_max(), ..costs.model(zone.area) };
            for span in spans(&chosen, &model, &zone.knowledge.holes(tags)) {
                let slots = self.slots(&span, &from, members, tags, zone.area);
                self.reads.push(Read::new(index, zone, span.start, span.len, slots));
            }
        }
    }

    fn slots(&mut self, span: &Span, from: &[usize], members: &[usize], tags: &[Tag], area: Area) -> Vec<Slot> {
        span.pieces
            .iter()
            .map(|piece| {
                let index = members[from[piece.point]];
                let tag = &tags[index];
                let from = piece.start - span.start;
                let found = if piece.len == tag.address.units() {
                    Found::whole(tag.field(), from, area)
                } else {
                    let (assembly, to) = (self.assembly(index, tag), piece.start - tag.address.start);
                    Found::Part { assembly: assembly as u32, from, to, len: piece.len }
                };
                Slot { id: tag.id, tag: index as u32, start: piece.start, len: piece.len, found }
            })
            .collect()
    }

    /// Where the parts of a tag are put together.
    fn assembly(&mut self, tag: usize, of: &Tag) -> usize {
        if let Some(index) = self.assemblies.iter().rposition(|assembly| assembly.tag == tag) {
            return index;
        }
        let (field, missing) = (of.field(), of.address.units());
        let bytes = vec![0; field.bytes()];
        self.assemblies.push(Assembly { tag, decoder: field.decoder(0), bytes, missing });
        self.assemblies.len() - 1
    }
}

fn point(tag: &Tag) -> Point {
    let grain = if tag.address.area.is_bits() { 8 } else { tag.field().grain() };
    Point { start: tag.address.start, len: tag.address.units(), grain: u32::try_from(grain).unwrap_or(1) }
}

/// Points with their indexes; those of extended registers apart by file, because no request reads across files.
fn by_file(area: Area, points: &[Point]) -> Vec<Vec<(usize, Point)>> {
    let mut files = std::collections::BTreeMap::<u32, Vec<(usize, Point)>>::new();
    for (index, point) in points.iter().enumerate() {
        let file = if area == Area::Extended { point.start / crate::address::FILE_RECORDS } else { 0 };
        files.entry(file).or_default().push((index, *point));
    }
    files.into_values().collect()
}

#[cfg(test)]
mod tests;
