//! What a client needs of namespace 0 (Part 5): folders, types, the server's status, namespaces and limits.

use opcua::types::{
    DataTypeId, DateTime, ExtensionObject, NodeId, ObjectId, ObjectTypeId, ReferenceTypeId, ServerStatusDataType,
    VariableId, VariableTypeId, Variant,
};
use opcua_server::address_space::{
    AddressSpace, DataType, EventNotifier, NodeType, Object, ObjectType, ReferenceDirection, ReferenceType, Variable,
    VariableType,
};

use super::OpcUaConfig;

/// Types below their supertypes: number, supertype, name.
type Types = &'static [(u32, u32, &'static str)];

const REFERENCE_TYPES: Types = &[
    (31, 0, "References"),
    (32, 31, "NonHierarchicalReferences"),
    (33, 31, "HierarchicalReferences"),
    (34, 33, "HasChild"),
    (35, 33, "Organizes"),
    (36, 33, "HasEventSource"),
    (37, 32, "HasModellingRule"),
    (38, 32, "HasEncoding"),
    (39, 32, "HasDescription"),
    (40, 32, "HasTypeDefinition"),
    (44, 34, "Aggregates"),
    (45, 34, "HasSubtype"),
    (46, 44, "HasProperty"),
    (47, 44, "HasComponent"),
    (48, 36, "HasNotifier"),
    (49, 47, "HasOrderedComponent"),
];

const DATA_TYPES: Types = &[
    (24, 0, "BaseDataType"),
    (26, 24, "Number"),
    (27, 26, "Integer"),
    (28, 26, "UInteger"),
    (1, 24, "Boolean"),
    (2, 27, "SByte"),
    (3, 28, "Byte"),
    (4, 27, "Int16"),
    (5, 28, "UInt16"),
    (6, 27, "Int32"),
    (7, 28, "UInt32"),
    (8, 27, "Int64"),
    (9, 28, "UInt64"),
    (10, 26, "Float"),
    (11, 26, "Double"),
    (12, 24, "String"),
    (13, 24, "DateTime"),
    (14, 24, "Guid"),
    (15, 24, "ByteString"),
    (16, 24, "XmlElement"),
    (17, 24, "NodeId"),
    (20, 24, "QualifiedName"),
    (21, 24, "LocalizedText"),
    (22, 24, "Structure"),
    (23, 24, "DataValue"),
    (29, 24, "Enumeration"),
    (290, 11, "Duration"),
    (294, 13, "UtcTime"),
    (338, 22, "BuildInfo"),
    (852, 29, "ServerState"),
    (862, 22, "ServerStatusDataType"),
];

const OBJECT_TYPES: Types = &[
    (58, 0, "BaseObjectType"),
    (61, 58, "FolderType"),
    (2004, 58, "ServerType"),
    (2013, 58, "ServerCapabilitiesType"),
    (11564, 61, "OperationLimitsType"),
];

const VARIABLE_TYPES: Types = &[
    (62, 0, "BaseVariableType"),
    (63, 62, "BaseDataVariableType"),
    (68, 62, "PropertyType"),
    (2138, 63, "ServerStatusType"),
];

/// An object above, and the reference by which it is.
type Above = Option<(ObjectId, ReferenceTypeId)>;

/// Objects: number, the one above, type, name.
const OBJECTS: &[(ObjectId, Above, ObjectTypeId, &str)] = &[
    (ObjectId::RootFolder, None, ObjectTypeId::FolderType, "Root"),
    (ObjectId::ObjectsFolder, below(ObjectId::RootFolder), ObjectTypeId::FolderType, "Objects"),
    (ObjectId::TypesFolder, below(ObjectId::RootFolder), ObjectTypeId::FolderType, "Types"),
    (ObjectId::ViewsFolder, below(ObjectId::RootFolder), ObjectTypeId::FolderType, "Views"),
    (ObjectId::ObjectTypesFolder, below(ObjectId::TypesFolder), ObjectTypeId::FolderType, "ObjectTypes"),
    (ObjectId::VariableTypesFolder, below(ObjectId::TypesFolder), ObjectTypeId::FolderType, "VariableTypes"),
    (ObjectId::DataTypesFolder, below(ObjectId::TypesFolder), ObjectTypeId::FolderType, "DataTypes"),
    (ObjectId::ReferenceTypesFolder, below(ObjectId::TypesFolder), ObjectTypeId::FolderType, "ReferenceTypes"),
    (ObjectId::Server, below(ObjectId::ObjectsFolder), ObjectTypeId::ServerType, "Server"),
    (
        ObjectId::Server_ServerCapabilities,
        Some((ObjectId::Server, ReferenceTypeId::HasComponent)),
        ObjectTypeId::ServerCapabilitiesType,
        "ServerCapabilities",
    ),
    (
        ObjectId::Server_ServerCapabilities_OperationLimits,
        Some((ObjectId::Server_ServerCapabilities, ReferenceTypeId::HasComponent)),
        ObjectTypeId::OperationLimitsType,
        "OperationLimits",
    ),
];

const fn below(folder: ObjectId) -> Above {
    Some((folder, ReferenceTypeId::Organizes))
}

/// Puts all of it in. What [`CURRENT_TIME`] and [`STATUS`] show is the clock's to say.
pub(super) fn put(space: &mut AddressSpace, config: &OpcUaConfig, namespaces: &[String], now: DateTime) {
    space.add_namespace("http://opcfoundation.org/UA/", 0);
    for (number, above, kind, name) in OBJECTS {
        let id = NodeId::from(*number);
        let notifier = EventNotifier::empty();
        insert(
            space,
            Object::new(&id, *name, *name, notifier),
            above.map(|(above, by)| (above.into(), by)),
            Some((*kind).into()),
        );
    }
    put_types(space, REFERENCE_TYPES, ObjectId::ReferenceTypesFolder, |id, name| {
        ReferenceType::new(id, name, name, None, false, false).into()
    });
    put_types(space, DATA_TYPES, ObjectId::DataTypesFolder, |id, name| DataType::new(id, name, name, false).into());
    put_types(space, OBJECT_TYPES, ObjectId::ObjectTypesFolder, |id, name| {
        ObjectType::new(id, name, name, false).into()
    });
    put_types(space, VARIABLE_TYPES, ObjectId::VariableTypesFolder, |id, name| {
        VariableType::new(id, name, name, DataTypeId::BaseDataType.into(), false, -2).into()
    });
    put_server(space, namespaces, now);
    put_limits(space, config);
}

/// The variable that shows the server's clock.
pub(super) const CURRENT_TIME: VariableId = VariableId::Server_ServerStatus_CurrentTime;

/// The variable that shows the server's whole status.
pub(super) const STATUS: VariableId = VariableId::Server_ServerStatus;

/// The status of a server that runs since then.
pub(super) fn status_of(since: DateTime, now: DateTime) -> Variant {
    let status = ServerStatusDataType { start_time: since, current_time: now, ..ServerStatusDataType::default() };
    ExtensionObject::from_message(status).into()
}

fn put_types(space: &mut AddressSpace, types: Types, folder: ObjectId, make: impl Fn(&NodeId, &str) -> NodeType) {
    for (number, above, name) in types {
        let above = match above {
            0 => (folder.into(), ReferenceTypeId::Organizes),
            above => (NodeId::new(0, *above), ReferenceTypeId::HasSubtype),
        };
        insert(space, make(&NodeId::new(0, *number), name), Some(above), None);
    }
}

fn put_server(space: &mut AddressSpace, namespaces: &[String], now: DateTime) {
    let server = || NodeId::from(ObjectId::Server);
    let status = || NodeId::from(VariableId::Server_ServerStatus);
    let (component, property) = (ReferenceTypeId::HasComponent, ReferenceTypeId::HasProperty);
    let text = |texts: &[String]| Variant::from(texts.to_vec());
    let name = namespaces.get(1).cloned().unwrap_or_default();
    let variables = [
        (VariableId::Server_ServerArray, "ServerArray", DataTypeId::String, text(&[name]), (server(), property)),
        (
            VariableId::Server_NamespaceArray,
            "NamespaceArray",
            DataTypeId::String,
            text(namespaces),
            (server(), property),
        ),
        (VariableId::Server_ServiceLevel, "ServiceLevel", DataTypeId::Byte, Variant::Byte(255), (server(), property)),
        (
            VariableId::Server_ServerStatus,
            "ServerStatus",
            DataTypeId::ServerStatusDataType,
            status_of(now, now),
            (server(), component),
        ),
        (
            VariableId::Server_ServerStatus_State,
            "State",
            DataTypeId::ServerState,
            Variant::Int32(0),
            (status(), component),
        ),
        (
            VariableId::Server_ServerStatus_StartTime,
            "StartTime",
            DataTypeId::UtcTime,
            now.into(),
            (status(), component),
        ),
        (CURRENT_TIME, "CurrentTime", DataTypeId::UtcTime, now.into(), (status(), component)),
    ];
    for (id, name, data_type, value, above) in variables {
        put_variable(space, id, name, data_type, value, above);
    }
}

fn put_limits(space: &mut AddressSpace, config: &OpcUaConfig) {
    let most = Variant::UInt32(u32::try_from(config.operations_max).unwrap_or(u32::MAX));
    let limits = [
        (VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerRead, "MaxNodesPerRead"),
        (VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite, "MaxNodesPerWrite"),
        (VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse, "MaxNodesPerBrowse"),
        (VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerRegisterNodes, "MaxNodesPerRegisterNodes"),
        (
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
            "MaxNodesPerTranslateBrowsePathsToNodeIds",
        ),
        (VariableId::Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall, "MaxMonitoredItemsPerCall"),
    ];
    for (id, name) in limits {
        let above = (ObjectId::Server_ServerCapabilities_OperationLimits.into(), ReferenceTypeId::HasProperty);
        put_variable(space, id, name, DataTypeId::UInt32, most.clone(), above);
    }
}

fn put_variable(
    space: &mut AddressSpace,
    id: VariableId,
    name: &str,
    data_type: DataTypeId,
    value: Variant,
    above: (NodeId, ReferenceTypeId),
) {
    let rank = if value.is_array() { 1 } else { -1 };
    let mut variable = Variable::new(&id.into(), name, name, value);
    variable.set_data_type(data_type);
    variable.set_value_rank(rank);
    let kind = match above.1 {
        ReferenceTypeId::HasProperty => VariableTypeId::PropertyType,
        _ => VariableTypeId::BaseDataVariableType,
    };
    insert(space, variable, Some(above), Some(kind.into()));
}

/// Puts a node below another; `kind` is its type definition.
pub(super) fn insert(
    space: &mut AddressSpace,
    node: impl Into<NodeType>,
    above: Option<(NodeId, ReferenceTypeId)>,
    kind: Option<NodeId>,
) {
    let above = above.as_ref().map(|(id, by)| (id, by, ReferenceDirection::Inverse));
    let kind = kind.as_ref().map(|id| (id, &ReferenceTypeId::HasTypeDefinition, ReferenceDirection::Forward));
    let references: Vec<_> = above.into_iter().chain(kind).collect();
    space.insert(node, Some(&references));
}
