//! The requests: reading, writing, finding nodes, looking around.

use driver_core::{BrowseError, Entry, EntryKind, Fact, LinkError};
use opcua::types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowsePath, BrowseResult, BrowseResultMask, DataTypeId, DataValue,
    NodeClass, NodeClassMask, NodeId, QualifiedName, ReadValueId, ReferenceDescription, ReferenceTypeId, RelativePath,
    RelativePathElement, StatusCode, TimestampsToReturn, VariableId, Variant, WriteValue,
};

use super::{Fault, Session};
use crate::address::{Namespace, Place};
use crate::plan::Limits;
use crate::types::Types;
use crate::wire;

/// Most children of one place that are told.
const CHILDREN_MAX: usize = 100_000;

/// What came of the nodes of one batch.
pub(crate) type Batch<T> = Result<Vec<T>, Fault>;

impl Session {
    /// Reads the namespaces and limits of the server.
    pub(super) async fn look_around(&mut self) -> Result<(), LinkError> {
        const LIMITS: [VariableId; 4] = [
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
        ];
        let mut nodes: Vec<NodeId> = vec![VariableId::Server_NamespaceArray.into()];
        nodes.extend(LIMITS.map(NodeId::from));
        nodes.push(VariableId::Server_ServerStatus_StartTime.into());
        let mut values = Vec::new();
        match self.read(&nodes).await {
            Ok(all) => values = all,
            Err(Fault::Over(over)) => return Err(over),
            Err(_) => {}
        }
        let number = |index: usize| match values.get(index).and_then(|value: &DataValue| value.value.as_ref()) {
            Some(Variant::UInt32(number)) => Some(*number),
            _ => None,
        };
        self.server_started = match values.get(nodes.len() - 1).and_then(|value: &DataValue| value.value.as_ref()) {
            Some(Variant::DateTime(started)) => Some(started.ticks()).filter(|ticks| *ticks > 0),
            _ => None,
        };
        self.limits = Limits::stated(number(1), number(2), number(3), number(4));
        if let Some(Variant::Array(array)) = values.first().and_then(|value| value.value.as_ref()) {
            let text = |value: &Variant| match value {
                Variant::String(text) => text.as_ref().to_owned(),
                _ => String::new(),
            };
            self.namespaces = array.values.iter().map(text).collect();
        }
        let mut known = opcua::types::NamespaceMap::new();
        for uri in &self.namespaces {
            known.add_namespace(uri);
        }
        self.inner.set_namespaces(known);
        Ok(())
    }

    /// Reads the values of nodes in one request.
    pub(crate) async fn read(&mut self, nodes: &[NodeId]) -> Batch<DataValue> {
        self.read_attribute(nodes, AttributeId::Value).await
    }

    pub(super) async fn read_attribute(&mut self, nodes: &[NodeId], attribute: AttributeId) -> Batch<DataValue> {
        let wanted: Vec<ReadValueId> = nodes
            .iter()
            .map(|node| ReadValueId {
                node_id: node.clone(),
                attribute_id: attribute as u32,
                index_range: opcua::types::NumericRange::None,
                data_encoding: QualifiedName::null(),
            })
            .collect();
        let inner = self.inner.clone();
        let values = self.answer(inner.read(&wanted, TimestampsToReturn::Both, 0.0)).await?;
        all_of(values, nodes.len())
    }

    /// Writes a value; what the server says of it.
    pub(crate) async fn write(&mut self, node: &NodeId, value: Variant) -> Result<StatusCode, Fault> {
        // Only the value: most servers refuse to be told status and times (Part 4, 5.11.4).
        let value = DataValue { value: Some(value), ..DataValue::default() };
        let wanted = [WriteValue {
            node_id: node.clone(),
            attribute_id: AttributeId::Value as u32,
            index_range: opcua::types::NumericRange::None,
            value,
        }];
        let inner = self.inner.clone();
        let statuses = self.answer(inner.write(&wanted)).await?;
        all_of(statuses, 1).map(|statuses| statuses[0])
    }

    /// The node ids of these places: what can be told without asking, and one request for the paths.
    pub(crate) async fn find(&mut self, places: &[Place]) -> Batch<Result<NodeId, StatusCode>> {
        let mut found: Vec<Option<Result<NodeId, StatusCode>>> = Vec::with_capacity(places.len());
        let mut paths = Vec::new();
        for place in places {
            found.push(match place {
                Place::Node(Namespace::Index(index), identifier) => Some(Ok(wire::node_id(*index, identifier))),
                Place::Node(Namespace::Uri(uri), identifier) => {
                    let index = self.namespaces.iter().position(|known| **known == **uri);
                    let index = index.and_then(|index| u16::try_from(index).ok());
                    Some(index.map(|index| wire::node_id(index, identifier)).ok_or(StatusCode::BadNoMatch))
                }
                Place::Path(steps) => {
                    paths.push(browse_path(steps));
                    None
                }
            });
        }
        if !paths.is_empty() {
            let inner = self.inner.clone();
            let results = self.answer(inner.translate_browse_paths_to_node_ids(&paths)).await?;
            let mut results = all_of(results, paths.len())?.into_iter();
            for place in found.iter_mut().filter(|place| place.is_none()) {
                let result = results.next().ok_or(Fault::Refused(StatusCode::BadUnknownResponse))?;
                let target =
                    result.targets.into_iter().flatten().find(|target| target.remaining_path_index == u32::MAX);
                *place = Some(match target {
                    Some(target) if result.status_code.is_good() => Ok(target.target_id.node_id),
                    _ if result.status_code.is_good() => Err(StatusCode::BadNoMatch),
                    _ => Err(result.status_code),
                });
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// What lies below a node.
    pub(crate) async fn children(&mut self, node: NodeId) -> Result<Result<Vec<Entry>, BrowseError>, LinkError> {
        let references = match self.references(&[node]).await {
            Ok(mut results) => match results.remove(0) {
                Ok(references) => references,
                Err(status) => return refusal(Fault::Refused(status)),
            },
            Err(fault) => return refusal(fault),
        };
        let mut entries: Vec<Entry> = references.iter().map(entry).collect();
        let variables: Vec<usize> =
            (0..entries.len()).filter(|index| entries[*index].kind == EntryKind::Variable).collect();
        let nodes: Vec<NodeId> = variables.iter().map(|index| references[*index].node_id.node_id.clone()).collect();
        for (indexes, nodes) in variables.chunks(self.limits.read).zip(nodes.chunks(self.limits.read)) {
            let mut attributes = Vec::new();
            for attribute in [AttributeId::DataType, AttributeId::ValueRank, AttributeId::UserAccessLevel] {
                match self.read_attribute(nodes, attribute).await {
                    Ok(values) => attributes.push(values),
                    Err(Fault::Over(over)) => return Err(over),
                    Err(_) => attributes.push(vec![DataValue::default(); nodes.len()]),
                }
            }
            for (place, index) in indexes.iter().enumerate() {
                let entry = &mut entries[*index];
                entry.data_type = type_text(attributes[0][place].value.as_ref(), attributes[1][place].value.as_ref());
                entry.writable = matches!(&attributes[2][place].value, Some(Variant::Byte(level)) if level & 2 != 0);
            }
        }
        Ok(Ok(entries))
    }

    /// What lies right below each of these nodes.
    pub(crate) async fn references(
        &mut self,
        nodes: &[NodeId],
    ) -> Batch<Result<Vec<ReferenceDescription>, StatusCode>> {
        let wanted: Vec<BrowseDescription> = nodes.iter().map(below).collect();
        let inner = self.inner.clone();
        let results = all_of(self.answer(inner.browse(&wanted, 0, None)).await?, nodes.len())?;
        let mut all = Vec::with_capacity(nodes.len());
        for result in results {
            all.push(self.all_parts(result).await?);
        }
        Ok(all)
    }

    /// All references of an answer, which may come in parts.
    async fn all_parts(
        &mut self,
        result: BrowseResult,
    ) -> Result<Result<Vec<ReferenceDescription>, StatusCode>, Fault> {
        let (mut result, mut references) = (result, Vec::new());
        loop {
            if result.status_code.is_bad() {
                return Ok(Err(result.status_code));
            }
            references.extend(result.references.take().unwrap_or_default());
            if result.continuation_point.is_null_or_empty() || references.len() >= CHILDREN_MAX {
                references.truncate(CHILDREN_MAX);
                return Ok(Ok(references));
            }
            let inner = self.inner.clone();
            let more = self.answer(inner.browse_next(false, &[result.continuation_point.clone()])).await?;
            result = all_of(more, 1)?.remove(0);
        }
    }

    /// The name of a namespace.
    pub(crate) fn namespace(&self, index: u16) -> Option<&str> {
        self.namespaces.get(usize::from(index)).map(String::as_str).filter(|uri| !uri.is_empty())
    }

    /// What the server says of itself.
    pub(crate) async fn facts(&mut self) -> Result<Vec<Fact>, LinkError> {
        const FACTS: [(&str, VariableId); 6] = [
            ("vendor", VariableId::Server_ServerStatus_BuildInfo_ManufacturerName),
            ("product", VariableId::Server_ServerStatus_BuildInfo_ProductName),
            ("version", VariableId::Server_ServerStatus_BuildInfo_SoftwareVersion),
            ("build", VariableId::Server_ServerStatus_BuildInfo_BuildNumber),
            ("product uri", VariableId::Server_ServerStatus_BuildInfo_ProductUri),
            ("started", VariableId::Server_ServerStatus_StartTime),
        ];
        let nodes: Vec<NodeId> = FACTS.iter().map(|(_, id)| NodeId::from(*id)).collect();
        let values = match self.read(&nodes).await {
            Ok(values) => values,
            Err(Fault::Over(over)) => return Err(over),
            Err(_) => return Ok(Vec::new()),
        };
        let told = FACTS.iter().zip(&values).filter_map(|((label, _), value)| {
            let text = crate::decode::value(value.value.as_ref()?, &Types::default())?.to_string();
            (!text.is_empty()).then(|| Fact { label: (*label).into(), text })
        });
        let mut facts: Vec<Fact> = told.collect();
        let security = self.inner.endpoint_info().endpoint.security_policy_uri.as_ref().to_owned();
        if let Some((_, policy)) = security.rsplit_once('#') {
            facts.push(Fact { label: "security".into(), text: policy.into() });
        }
        Ok(facts)
    }

    /// One cheap request.
    pub(crate) async fn touch(&mut self) -> Result<(), Fault> {
        self.read(&[VariableId::Server_ServerStatus_State.into()]).await.map(drop)
    }

    /// A smaller batch, where the server could not serve one of this size; `None` where it cannot become smaller.
    pub(crate) fn halve_reads(&mut self, size: usize) -> Option<usize> {
        let smaller = size / 2;
        (smaller > 0).then(|| {
            self.limits.read = smaller;
            smaller
        })
    }
}

/// An answer has a result for each thing that was asked for.
fn all_of<T>(results: Vec<T>, count: usize) -> Batch<T> {
    if results.len() == count { Ok(results) } else { Err(Fault::Refused(StatusCode::BadUnknownResponse)) }
}

fn refusal<T>(fault: Fault) -> Result<Result<T, BrowseError>, LinkError> {
    let refused = |text: String| Ok(Err(BrowseError::Refused(text)));
    match fault {
        Fault::Over(over) => Err(over),
        Fault::Silent => refused("the server did not answer in time".into()),
        Fault::TooMuch => refused("the answer is larger than the server can send".into()),
        Fault::Refused(status) => refused(wire::explain(status.bits())),
    }
}

/// To ask for all that a node has below it.
fn below(node: &NodeId) -> BrowseDescription {
    BrowseDescription {
        node_id: node.clone(),
        browse_direction: BrowseDirection::Forward,
        reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
        include_subtypes: true,
        node_class_mask: (NodeClassMask::OBJECT | NodeClassMask::VARIABLE | NodeClassMask::METHOD).bits(),
        result_mask: BrowseResultMask::All as u32,
    }
}

fn browse_path(steps: &[crate::address::Step]) -> BrowsePath {
    let element = |step| RelativePathElement {
        reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
        is_inverse: false,
        include_subtypes: true,
        target_name: wire::browse_name(step),
    };
    BrowsePath {
        starting_node: NodeId::root_folder_id(),
        relative_path: RelativePath { elements: Some(steps.iter().map(element).collect()) },
    }
}

fn entry(reference: &ReferenceDescription) -> Entry {
    let kind = match reference.node_class {
        NodeClass::Variable => EntryKind::Variable,
        NodeClass::Method => EntryKind::Method,
        _ => EntryKind::Folder,
    };
    let shown = reference.display_name.text.as_ref();
    let name = if shown.is_empty() { reference.browse_name.name.as_ref() } else { shown };
    Entry {
        name: name.into(),
        address: wire::place(&reference.node_id.node_id).to_string(),
        kind,
        data_type: String::new(),
        writable: false,
    }
}

/// A type by its name, with the brackets of an array.
fn type_text(data_type: Option<&Variant>, rank: Option<&Variant>) -> String {
    let name = match data_type {
        Some(Variant::NodeId(id)) => match id.as_data_type_id() {
            Ok(known) => standard_name(known),
            Err(_) => id.to_string(),
        },
        _ => String::new(),
    };
    match rank {
        Some(Variant::Int32(1)) => format!("{name}[]"),
        Some(Variant::Int32(rank)) if *rank > 1 => format!("{name}[{}]", ",".repeat(*rank as usize - 1)),
        _ => name,
    }
}

fn standard_name(id: DataTypeId) -> String {
    format!("{id:?}")
}
