//! Reading what a node held in the past (Part 4, 5.10.3; Part 11, 6.4.3).

use opcua::client::HistoryReadAction;
use opcua::types::{
    AttributeId, ByteString, DataValue, HistoryData, HistoryReadValueId, NodeId, ReadRawModifiedDetails, StatusCode,
    TimestampsToReturn, Variant,
};

use super::request::Batch;
use super::{Fault, Session};
use crate::decode::date_time;
use crate::history::Gap;

/// The bit of an access level that permits to read the history (Part 3, 8.57).
const HISTORY_READ: u8 = 1 << 2;

/// A part of a node's history, the oldest values first.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) values: Vec<DataValue>,
    /// How many were asked for at most.
    pub(crate) values_max: usize,
    /// Where the server goes on; empty at the end.
    pub(crate) point: ByteString,
}

impl Session {
    /// Of which of these nodes the server keeps a history that this user may read.
    pub(crate) async fn keeps_history(&mut self, nodes: &[NodeId]) -> Batch<bool> {
        let levels = self.read_attribute(nodes, AttributeId::UserAccessLevel).await?;
        let permits = |level: DataValue| matches!(level.value, Some(Variant::Byte(level)) if level & HISTORY_READ != 0);
        Ok(levels.into_iter().map(permits).collect())
    }

    /// What a node held in a gap, as much as the server tells at once.
    pub(crate) async fn history(&mut self, node: &NodeId, gap: &Gap) -> Result<Page, Fault> {
        let values_max = self.limits.history;
        let details = ReadRawModifiedDetails {
            is_read_modified: false,
            start_time: date_time(gap.after.0),
            end_time: date_time(gap.before.0),
            num_values_per_node: u32::try_from(values_max).unwrap_or(u32::MAX),
            return_bounds: false,
        };
        let wanted = [HistoryReadValueId {
            node_id: node.clone(),
            continuation_point: gap.point.clone(),
            ..HistoryReadValueId::default()
        }];
        let inner = self.inner.clone();
        let action = HistoryReadAction::ReadRawModifiedDetails(details);
        let read = inner.history_read(action, TimestampsToReturn::Both, false, &wanted);
        let Some(result) = self.answer(read).await?.into_iter().next() else {
            return Err(Fault::Refused(StatusCode::BadUnknownResponse));
        };
        if result.status_code.is_bad() {
            return Err(Fault::Refused(result.status_code));
        }
        let data = result.history_data.inner_as::<HistoryData>();
        let values = data.and_then(|data| data.data_values.clone()).unwrap_or_default();
        Ok(Page { values, values_max, point: result.continuation_point })
    }
}
