//! The address space of a server: namespace 0, folders, variables.

use opcua::types::{NodeId, ObjectId, ObjectTypeId, QualifiedName, ReferenceTypeId, VariableTypeId};
use opcua_server::address_space::{AccessLevel, AddressSpace, EventNotifier, Object, Variable};

use super::base;
use super::plc::{Point, State};

/// Puts everything that is there now into an empty space.
pub(super) fn fill(space: &mut AddressSpace, state: &mut State) {
    state.served_since = state.clock();
    base::put(space, &state.config, &state.namespaces, state.clock());
    for (uri, index) in state.namespaces.iter().zip(0_u16..).skip(1) {
        space.add_namespace(uri, index);
    }
    let mut points: Vec<&Point> = state.points.values().collect();
    // In an order that is always the same.
    points.sort_by_key(|point| point.place.id.to_string());
    for point in points {
        let folder = folders(space, &point.place.folders);
        let id = &point.place.id;
        let name = &point.place.name;
        // Its value is the state's to show; the space holds one of its type.
        let mut variable =
            Variable::new(id, name.clone(), name.name.as_ref(), point.data_type.show(point.elements, 0.0));
        variable.set_data_type(point.data_type.data_type());
        variable.set_value_rank(if point.elements.is_some() { 1 } else { -1 });
        if let Some(elements) = point.elements {
            variable.set_array_dimensions(&[elements.into()]);
        }
        variable.set_access_level(AccessLevel::CURRENT_READ | AccessLevel::CURRENT_WRITE);
        variable.set_user_access_level(AccessLevel::CURRENT_READ | AccessLevel::CURRENT_WRITE);
        let above = (folder, ReferenceTypeId::HasComponent);
        base::insert(space, variable, Some(above), Some(VariableTypeId::BaseDataVariableType.into()));
    }
}

/// The folder at the end of these names, made where it is missing.
fn folders(space: &mut AddressSpace, names: &[QualifiedName]) -> NodeId {
    let mut folder = NodeId::from(ObjectId::ObjectsFolder);
    let mut words = String::from("folder");
    for name in names {
        words.push('/');
        words.push_str(name.name.as_ref());
        // Index 1 is always there, also for folders whose names belong to no namespace.
        let id = NodeId::new(name.namespace_index.max(1), words.as_str());
        if !space.node_exists(&id) {
            let node = Object::new(&id, name.clone(), name.name.as_ref(), EventNotifier::empty());
            let above = (folder, ReferenceTypeId::Organizes);
            base::insert(space, node, Some(above), Some(ObjectTypeId::FolderType.into()));
        }
        folder = id;
    }
    folder
}
