//! Filling gaps from the server's history, beside what it tells now.

use std::time::{Duration, Instant};

use driver_core::{GroupId, LinkError, Readings};
use opcua::types::{ByteString, StatusCode};

use super::OpcUaConnection;
use crate::decode::decode;
use crate::device::{Found, OpcUaDevice};
use crate::history::Gap;
use crate::session::{Fault, Page};
use crate::wire;

/// The part of its interval that a poll may spend on this.
const SHARE: u32 = 4;
/// A server that has no room to read its history for us is asked again after this long.
const AGAIN: Duration = Duration::from_secs(5);

impl OpcUaConnection {
    /// Goes on filling gaps, where there are any, for a part of the group's interval. What is told now has gone before.
    pub(super) async fn fill(
        &mut self,
        device: &mut OpcUaDevice,
        group: GroupId,
        readings: &mut Readings<'_>,
    ) -> Result<(), LinkError> {
        let now = Instant::now();
        let until = now + device.groups.get(group.index()).map_or(Duration::ZERO, |group| group.interval / SHARE);
        while self.ask_what_is_kept(device, now).await? && Instant::now() < until {}
        while let Some(gap) = device.history.next(now) {
            self.read_past(device, gap, readings).await?;
            if Instant::now() >= until || readings.must_pause() {
                break;
            }
        }
        Ok(())
    }

    /// Asks of which tags the server keeps a history that we may read; whether it answered, and there may be more to ask.
    async fn ask_what_is_kept(&mut self, device: &mut OpcUaDevice, now: Instant) -> Result<bool, LinkError> {
        let there = device.history.unasked(now).into_iter().filter_map(|index| match &device.tags[index].node {
            Found::At(node) => Some((index, node.clone())),
            Found::NotYet | Found::Nowhere(..) => None,
        });
        let (tags, nodes): (Vec<usize>, Vec<_>) = there.take(self.session.limits.read).unzip();
        if nodes.is_empty() {
            return Ok(false);
        }
        match self.session.keeps_history(&nodes).await {
            Ok(kept) => tags.iter().zip(kept).for_each(|(tag, is_kept)| device.history.keeps(*tag, is_kept)),
            Err(Fault::Over(over)) => return Err(over),
            Err(Fault::TooMuch) if self.session.halve_reads(nodes.len()).is_some() => {}
            Err(Fault::Silent) => return Ok(false),
            Err(Fault::Refused(_) | Fault::TooMuch) => tags.iter().for_each(|tag| device.history.keeps(*tag, false)),
        }
        Ok(true)
    }

    /// Reads one page of a tag's history.
    async fn read_past(
        &mut self,
        device: &mut OpcUaDevice,
        mut gap: Gap,
        readings: &mut Readings<'_>,
    ) -> Result<(), LinkError> {
        let Found::At(node) = &device.tags[gap.tag].node else { return Ok(()) };
        let now = Instant::now();
        match self.session.history(&node.clone(), &gap).await {
            Ok(page) => {
                self.learn(page.values.iter().filter_map(|data| data.value.as_ref())).await?;
                self.take_past(device, gap, page, readings);
            }
            Err(Fault::Over(over)) => {
                device.history.put_back(gap, Duration::ZERO, now);
                return Err(over);
            }
            Err(Fault::Silent) => device.history.put_back(gap, AGAIN, now),
            Err(Fault::TooMuch) if self.session.limits.history > 1 => {
                self.session.limits.history /= 2;
                device.history.put_back(gap, Duration::ZERO, now);
            }
            Err(Fault::Refused(StatusCode::BadNoContinuationPoints | StatusCode::BadContinuationPointInvalid)) => {
                gap.point = ByteString::null();
                device.history.put_back(gap, AGAIN, now);
            }
            Err(fault) => {
                let status = if let Fault::Refused(status) = fault { status } else { StatusCode::BadResponseTooLarge };
                let (address, cause) = (&device.tags[gap.tag].address, wire::explain(status.bits()));
                tracing::warn!(device = &*device.name, %address, "the server's history cannot be read, a gap stays: {cause}");
                device.history.keeps(gap.tag, false);
            }
        }
        Ok(())
    }

    /// What of a page lies in the gap becomes readings.
    fn take_past(&self, device: &mut OpcUaDevice, mut gap: Gap, page: Page, readings: &mut Readings<'_>) {
        let (tag, before) = (device.tags[gap.tag].id, readings.len());
        for data in &page.values {
            let decoded = decode(data, self.time, &self.types);
            if let Some(at) = decoded.time.filter(|at| gap.takes(*at)) {
                readings.push_past(tag, decoded.value, decoded.quality, decoded.status, at);
            }
        }
        let taken = readings.len() - before;
        // There are servers that cut off at the number that was asked for, and do not say where they go on.
        if !page.point.is_null_or_empty() || (page.values.len() >= page.values_max && taken > 0) {
            gap.point = page.point;
            device.history.put_back(gap, Duration::ZERO, Instant::now());
        }
        if let Some(filled) = device.history.filled(taken) {
            tracing::info!(device = &*device.name, readings = filled, "a gap is filled from the server's history");
        }
    }
}
