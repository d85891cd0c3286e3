//! Answers reads, writes and sampling from the PLC's state; everything else async-opcua answers from the space.

use std::time::Duration;

use async_trait::async_trait;
use opcua::sync::RwLock;
use opcua::types::{AttributeId, DataValue, MonitoringMode, NodeId, NumericRange, StatusCode, TimestampsToReturn};
use opcua_server::CreateMonitoredItem;
use opcua_server::address_space::{AddressSpace, read_node_value};
use opcua_server::diagnostics::NamespaceMetadata;
use opcua_server::node_manager::memory::{InMemoryNodeManagerBuilder, InMemoryNodeManagerImpl};
use opcua_server::node_manager::{
    MonitoredItemRef, MonitoredItemUpdateRef, ParsedReadValueId, RequestContext, ServerContext, SyncSampler, WriteNode,
};

use super::plc::{self, OpcUaPlc};
use super::{base, space};

/// How often it is looked whether an item is due.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Manager {
    plc: OpcUaPlc,
    sampler: SyncSampler,
    namespaces: Vec<NamespaceMetadata>,
}

/// What builds a manager of all namespaces.
pub(super) fn builder(
    plc: OpcUaPlc,
) -> InMemoryNodeManagerBuilder<impl FnOnce(ServerContext, &mut AddressSpace) -> Manager> {
    InMemoryNodeManagerBuilder::new(move |context: ServerContext, address_space: &mut AddressSpace| {
        let mut type_tree = context.type_tree.write();
        let namespaces = plc.with(|state| {
            space::fill(address_space, state);
            let namespaces = state.namespaces.iter().zip(0..);
            namespaces
                .map(|(uri, index)| {
                    type_tree.namespaces_mut().add_namespace(uri);
                    NamespaceMetadata {
                        namespace_uri: uri.clone(),
                        namespace_index: index,
                        ..NamespaceMetadata::default()
                    }
                })
                .collect()
        });
        Manager { plc: plc.clone(), sampler: SyncSampler::new(), namespaces }
    })
}

/// What a variable shows now, if it is the state's to show.
fn shown(plc: &OpcUaPlc, id: &NodeId, range: &NumericRange) -> Option<DataValue> {
    plc.with(|state| {
        if id.namespace != 0 {
            return state.value(id, range);
        }
        let clock = state.clock();
        if *id == base::STATUS {
            return Some(plc::good(base::status_of(state.served_since, clock), clock));
        }
        (*id == base::CURRENT_TIME).then(|| plc::good(clock.into(), clock))
    })
}

#[async_trait]
impl InMemoryNodeManagerImpl for Manager {
    async fn init(&self, _address_space: &mut AddressSpace, context: ServerContext) {
        self.sampler.run(TICK, context.subscriptions.clone());
    }

    fn name(&self) -> &str {
        "simulated PLC"
    }

    fn namespaces(&self) -> Vec<NamespaceMetadata> {
        self.namespaces.clone()
    }

    async fn read_values(
        &self,
        context: &RequestContext,
        address_space: &RwLock<AddressSpace>,
        nodes: &[&ParsedReadValueId],
        max_age: f64,
        timestamps: TimestampsToReturn,
    ) -> Vec<DataValue> {
        let space = address_space.read();
        let read = |node: &&ParsedReadValueId| match space.validate_node_read(context, node) {
            Ok(found) => shown(&self.plc, &node.node_id, &node.index_range)
                .unwrap_or_else(|| read_node_value(found, context, node, max_age, timestamps)),
            Err(status) => DataValue { status: Some(status), ..DataValue::default() },
        };
        nodes.iter().map(read).collect()
    }

    async fn create_value_monitored_items(
        &self,
        context: &RequestContext,
        address_space: &RwLock<AddressSpace>,
        items: &mut [&mut &mut CreateMonitoredItem],
    ) {
        for item in items {
            let node = item.item_to_monitor().clone();
            if let Err(status) = address_space.read().validate_node_read(context, &node) {
                item.set_status(status);
                continue;
            }
            if let Some(status) = self.plc.with(|state| state.refusal(&node.node_id)) {
                item.set_status(status);
                continue;
            }
            self.plc.with(|state| state.counts.monitored += 1);
            let timestamps = item.timestamps_to_return();
            let first = self.read_values(context, address_space, &[&node], 0.0, timestamps).await;
            first.into_iter().for_each(|value| item.set_initial_value(value));
            item.set_status(StatusCode::Good);
            let plc = self.plc.clone();
            let interval = Duration::from_millis(item.sampling_interval() as u64);
            let sample = move || shown(&plc, &node.node_id, &node.index_range);
            let id = item.item_to_monitor().node_id.clone();
            self.sampler.add_sampler(id, AttributeId::Value, sample, item.monitoring_mode(), item.handle(), interval);
        }
    }

    async fn modify_monitored_items(&self, _context: &RequestContext, items: &[&MonitoredItemUpdateRef]) {
        for item in items {
            let interval = Duration::from_millis(item.update().revised_sampling_interval as u64);
            self.sampler.update_sampler(item.node_id(), item.attribute(), item.handle(), interval);
        }
    }

    async fn set_monitoring_mode(&self, _context: &RequestContext, mode: MonitoringMode, items: &[&MonitoredItemRef]) {
        for item in items {
            self.sampler.set_sampler_mode(item.node_id(), item.attribute(), item.handle(), mode);
        }
    }

    async fn delete_monitored_items(&self, _context: &RequestContext, items: &[&MonitoredItemRef]) {
        for item in items {
            self.sampler.remove_sampler(item.node_id(), item.attribute(), item.handle());
        }
    }

    async fn write(
        &self,
        context: &RequestContext,
        address_space: &RwLock<AddressSpace>,
        writes: &mut [&mut WriteNode],
    ) -> Result<(), StatusCode> {
        let mut space = address_space.write();
        let type_tree = context.type_tree.read();
        for write in writes {
            let wanted = write.value();
            let id = wanted.node_id.clone();
            if let Err(status) = space.validate_node_write(context, wanted, &*type_tree) {
                write.set_status(status);
                continue;
            }
            let status = match &wanted.value.value {
                Some(value) if wanted.attribute_id == AttributeId::Value => {
                    self.plc.with(|state| state.take(&id, &wanted.index_range, value))
                }
                _ => StatusCode::BadNotWritable,
            };
            write.set_status(status);
            if let (true, Some(value)) = (status.is_good(), shown(&self.plc, &id, &NumericRange::None)) {
                context.subscriptions.notify_data_change([(value, &id, AttributeId::Value)].into_iter());
            }
        }
        Ok(())
    }
}
