//! Looking through the server's address space where patterns point: at each connect, when the server says that it has
//! changed, and after a while in any case, since few servers say so.

use std::time::{Duration, Instant};

use driver_core::{GroupId, LinkError};
use opcua::types::{NodeClass, NodeId, ReferenceDescription, ReferenceTypeId, StatusCode};

use super::OpcUaConnection;
use crate::address::{Address, Namespace, Place as AddressPlace, What};
use crate::device::OpcUaDevice;
use crate::session::Fault;
use crate::walk::{Child, Kind, State, Walk};
use crate::wire;

/// Most nodes that are looked into with one request.
const NODES_MAX: usize = 100;
/// A pattern whose begin the server does not have yet is tried again after this long.
const ROOT_AGAIN: Duration = Duration::from_secs(30);
/// The part of its interval that a poll may spend on this.
const SHARE: u32 = 4;

impl OpcUaConnection {
    /// Goes on looking, where that is due, for a part of the group's interval.
    pub(super) async fn explore(&mut self, device: &mut OpcUaDevice, group: GroupId) -> Result<(), LinkError> {
        let now = Instant::now();
        if !device.explores(now) {
            return Ok(());
        }
        let until = now + device.groups.get(group.index()).map_or(Duration::ZERO, |group| group.interval / SHARE);
        let mut walk = match std::mem::take(&mut device.search.state) {
            State::Under(walk) => *walk,
            State::Due | State::Done(_) => match self.begin(device).await? {
                Some(walk) => walk,
                None => return Ok(()),
            },
        };
        while self.step(device, &mut walk).await? {
            if Instant::now() >= until {
                device.search.state = State::Under(Box::new(walk));
                return Ok(());
            }
        }
        let lacks_root = walk.lacks_root;
        let outcome = walk.end();
        if outcome.left_out > 0 {
            let (taken, left_out) = (outcome.found.len(), outcome.left_out);
            tracing::warn!(
                device = &*device.name,
                taken,
                left_out,
                "more variables lie where `browse` points than are taken: narrow the patterns"
            );
        }
        device.search.found = Some(outcome.found);
        let pause = if lacks_root { ROOT_AGAIN.min(self.rebrowse) } else { self.rebrowse };
        device.search.state = State::Done(Instant::now() + pause);
        Ok(())
    }

    /// Where each pattern begins.
    async fn begin(&mut self, device: &mut OpcUaDevice) -> Result<Option<Walk>, LinkError> {
        device.search.is_stale = false;
        let globs = device.search.globs.clone();
        let places: Vec<AddressPlace> = globs.iter().map(|glob| AddressPlace::Path(glob.root.clone())).collect();
        let (ours, theirs): (Vec<usize>, Vec<usize>) =
            (0..globs.len()).partition(|index| globs[*index].root.is_empty());
        let mut roots: Vec<Option<NodeId>> = vec![None; globs.len()];
        ours.into_iter().for_each(|index| roots[index] = Some(NodeId::root_folder_id()));
        for index in theirs {
            match self.session.find(&places[index..=index]).await {
                Ok(found) => roots[index] = found.into_iter().next().and_then(Result::ok),
                Err(Fault::Over(over)) => return Err(over),
                Err(Fault::Refused(_) | Fault::TooMuch) => {}
                // Another turn.
                Err(Fault::Silent) => return Ok(None),
            }
            if roots[index].is_none() && !device.search.told_missing {
                device.search.told_missing = true;
                let place = &places[index];
                tracing::warn!(
                    device = &*device.name,
                    "the server has no {place}, where a pattern of `browse` begins: look with `forebay browse`"
                );
            }
        }
        Ok(Some(Walk::begin(&globs, roots)))
    }

    /// Looks into the next nodes; false at the end.
    async fn step(&mut self, device: &OpcUaDevice, walk: &mut Walk) -> Result<bool, LinkError> {
        let places = walk.next(NODES_MAX.min(self.session.limits.browse));
        if places.is_empty() {
            return Ok(false);
        }
        let nodes: Vec<NodeId> = places.iter().map(|place| place.node.clone()).collect();
        match self.session.references(&nodes).await {
            Ok(results) => {
                let mut again = Vec::new();
                for (place, result) in places.into_iter().zip(results) {
                    match result {
                        Ok(references) => {
                            let children = references.iter().filter_map(|reference| self.child(reference));
                            walk.take(&place, children.collect());
                        }
                        // The server holds so many unfinished answers and no more.
                        Err(StatusCode::BadNoContinuationPoints) if nodes.len() > 1 => again.push(place),
                        Err(status) => {
                            tracing::debug!(device = &*device.name, node = %place.node, "not looked into: {status}");
                        }
                    }
                }
                if !again.is_empty() {
                    self.session.limits.browse = (nodes.len() / 2).max(1);
                    walk.put_back(again);
                }
            }
            Err(Fault::Over(over)) => return Err(over),
            Err(Fault::TooMuch) if nodes.len() > 1 => {
                self.session.limits.browse = nodes.len() / 2;
                walk.put_back(places);
            }
            Err(Fault::Silent) => {
                walk.put_back(places);
                return Ok(true);
            }
            Err(fault @ (Fault::TooMuch | Fault::Refused(_))) => {
                tracing::debug!(device = &*device.name, nodes = nodes.len(), "not looked into: {fault:?}");
            }
        }
        Ok(true)
    }

    /// What a reference leads to, where that can be a part of a plant.
    fn child(&self, reference: &ReferenceDescription) -> Option<Child> {
        let kind = match reference.node_class {
            NodeClass::Variable => Kind::Variable,
            NodeClass::Object => Kind::Object,
            _ => return None,
        };
        // Units, ranges and the like tell of a variable; and what another server holds is read there.
        if reference.reference_type_id == ReferenceTypeId::HasProperty || reference.node_id.server_index != 0 {
            return None;
        }
        let node = reference.node_id.node_id.clone();
        Some(Child {
            address: Address { place: self.lasting(&node), what: What::Value, data_type: None },
            node,
            namespace: reference.browse_name.namespace_index,
            name: reference.browse_name.name.as_ref().into(),
            kind,
        })
    }

    /// A node by its namespace's name, as indexes may move; the first two stand (Part 5, 6.3.2).
    fn lasting(&self, node: &NodeId) -> AddressPlace {
        match (wire::place(node), self.session.namespace(node.namespace)) {
            (AddressPlace::Node(_, identifier), Some(uri)) if node.namespace > 1 => {
                AddressPlace::Node(Namespace::Uri(uri.into()), identifier)
            }
            (place, _) => place,
        }
    }
}
