//! Asking the server what its own data types are made of.

use driver_core::LinkError;
use opcua::types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowseResultMask, NodeId, ReferenceTypeId, StructureDefinition,
    Variant,
};

use super::{Fault, Session};
use crate::types::{DataType, EXTENSION_OBJECT, Types, built_in, structure};

/// Most data types that one structure may bring along.
const TYPES_MAX: usize = 1_024;
/// Most types above a type until one that is built in.
const ABOVE_MAX: usize = 32;

impl Session {
    /// Learns what an encoding stands for, with all that its fields are of. What the server does not tell is noted as
    /// untold, and not asked for again in this session.
    pub(crate) async fn learn(&mut self, encoding: NodeId, types: &mut Types) -> Result<(), LinkError> {
        let data_type = self.related(&encoding, ReferenceTypeId::HasEncoding).await?;
        if data_type.is_none() {
            self.warn_of(&encoding);
        }
        types.note_encoding(encoding, data_type.clone());
        let mut unknown: Vec<NodeId> = data_type.into_iter().collect();
        for _ in 0..TYPES_MAX {
            let Some(id) = unknown.pop() else { return Ok(()) };
            if types.get(&id).is_none() {
                let known = self.data_type(&id).await?;
                if known == DataType::Untold {
                    self.warn_of(&id);
                }
                unknown.extend(types.note(id, known));
            }
        }
        Ok(())
    }

    fn warn_of(&self, data_type: &NodeId) {
        tracing::warn!(
            endpoint = self.endpoint,
            %data_type,
            "the server does not say what this type is made of, so that structures with it have no value: read their parts \
             as nodes of their own, where the server has them (`forebay browse`)"
        );
    }

    async fn data_type(&mut self, id: &NodeId) -> Result<DataType, LinkError> {
        if let Some(known) = built_in(id) {
            return Ok(known);
        }
        let definition = match self.read_attribute(std::slice::from_ref(id), AttributeId::DataTypeDefinition).await {
            Ok(values) => values.into_iter().next().and_then(|value| value.value),
            Err(Fault::Over(over)) => return Err(over),
            Err(_) => None,
        };
        if let Some(Variant::ExtensionObject(object)) = &definition
            && let Some(definition) = object.inner_as::<StructureDefinition>()
        {
            let told = structure(definition).unwrap_or(DataType::Untold);
            return Ok(if self.is_abstract(id).await? { DataType::BuiltIn(EXTENSION_OBJECT) } else { told });
        }
        self.kind_above(id).await
    }

    /// Of an abstract structure each value says its own type.
    async fn is_abstract(&mut self, id: &NodeId) -> Result<bool, LinkError> {
        match self.read_attribute(std::slice::from_ref(id), AttributeId::IsAbstract).await {
            Ok(values) => Ok(matches!(values[0].value, Some(Variant::Boolean(true)))),
            Err(Fault::Over(over)) => Err(over),
            Err(_) => Ok(false),
        }
    }

    /// What is no structure lies in a message as the built-in type that it is a kind of.
    async fn kind_above(&mut self, id: &NodeId) -> Result<DataType, LinkError> {
        let mut above = id.clone();
        for _ in 0..ABOVE_MAX {
            above = match self.related(&above, ReferenceTypeId::HasSubtype).await? {
                Some(above) => above,
                None => return Ok(DataType::Untold),
            };
            match built_in(&above) {
                // A structure of which the server says nothing.
                Some(DataType::BuiltIn(EXTENSION_OBJECT)) => return Ok(DataType::Untold),
                Some(known) => return Ok(known),
                None => {}
            }
        }
        Ok(DataType::Untold)
    }

    /// The node that refers to this one in such a way.
    async fn related(&mut self, node: &NodeId, by: ReferenceTypeId) -> Result<Option<NodeId>, LinkError> {
        let wanted = [BrowseDescription {
            node_id: node.clone(),
            browse_direction: BrowseDirection::Inverse,
            reference_type_id: by.into(),
            include_subtypes: false,
            node_class_mask: 0,
            result_mask: BrowseResultMask::None as u32,
        }];
        let inner = self.inner.clone();
        match self.answer(inner.browse(&wanted, 1, None)).await {
            Ok(results) => {
                let references = results.into_iter().flat_map(|result| result.references.into_iter().flatten());
                Ok(references.map(|reference| reference.node_id.node_id).next())
            }
            Err(Fault::Over(over)) => Err(over),
            Err(_) => Ok(None),
        }
    }
}
