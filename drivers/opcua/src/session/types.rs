//! Asking the server what its own data types are made of.

use driver_core::LinkError;
use opcua::types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowseResultMask, NodeId, ReferenceTypeId, StructureDefinition,
    Variant,
};

use super::{Fault, Session};
use crate::types::{DataType, EXTENSION_OBJECT, Types, built_in, dictionary, structure};

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
        types.note_encoding(encoding.clone(), data_type.clone());
        let mut unknown: Vec<NodeId> = data_type.iter().cloned().collect();
        for _ in 0..TYPES_MAX {
            let Some(id) = unknown.pop() else { return Ok(()) };
            if types.get(&id).is_none() {
                let mut known = self.data_type(&id).await?;
                if known == DataType::Untold && data_type.as_ref() == Some(&id) {
                    known = self.described(&encoding, types, &mut unknown).await?;
                }
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

    /// What a type dictionary says of an encoding, as servers before OPC UA 1.04 have it (Part 3, Annex C); all types of the
    /// dictionary are noted, and what they are made of and is not known is added to `unknown`.
    async fn described(
        &mut self,
        encoding: &NodeId,
        types: &mut Types,
        unknown: &mut Vec<NodeId>,
    ) -> Result<DataType, LinkError> {
        let description = self.refers(encoding, ReferenceTypeId::HasDescription, BrowseDirection::Forward).await?;
        let Some(description) = description else { return Ok(DataType::Untold) };
        let Some(dictionary) = self.related(&description, ReferenceTypeId::HasComponent).await? else {
            return Ok(DataType::Untold);
        };
        let values = match self.read(&[description, dictionary.clone()]).await {
            Ok(values) => values,
            Err(Fault::Over(over)) => return Err(over),
            Err(_) => return Ok(DataType::Untold),
        };
        let (Some(Variant::String(name)), Some(Variant::ByteString(xml))) = (&values[0].value, &values[1].value) else {
            return Ok(DataType::Untold);
        };
        let Some(mut found) = dictionary::read(&dictionary, xml.as_ref()) else { return Ok(DataType::Untold) };
        let described = found.get(name.as_ref()).cloned().unwrap_or(DataType::Untold);
        for (name, data_type) in found.drain() {
            let more = types.note(dictionary::id_of(&dictionary, &name), data_type);
            more.into_iter().for_each(|id| {
                if !unknown.contains(&id) {
                    unknown.push(id)
                }
            });
        }
        unknown.retain(|id| types.get(id).is_none());
        Ok(described)
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
        self.refers(node, by, BrowseDirection::Inverse).await
    }

    async fn refers(
        &mut self,
        node: &NodeId,
        by: ReferenceTypeId,
        browse_direction: BrowseDirection,
    ) -> Result<Option<NodeId>, LinkError> {
        let wanted = [BrowseDescription {
            node_id: node.clone(),
            browse_direction,
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
