//! The server's own data types, without I/O: what is known of them, and what has to be asked for (Part 3, 8.48 to 8.52).

pub(crate) mod dictionary;

use std::collections::HashMap;

use opcua::types::{NodeId, StructureDefinition, StructureType};

/// Most data types that are kept of a server.
const TYPES_MAX: usize = 4_096;
/// The last data type that is a built-in one (Part 6, 5.1.2); their node ids are their numbers.
const BUILT_IN_LAST: u32 = 25;

/// The built-in types whose values say their own type (Part 6, 5.1.2).
pub(crate) const EXTENSION_OBJECT: u8 = 22;
pub(crate) const VARIANT: u8 = 24;

/// What is known of a server's data types.
#[derive(Debug, Default)]
pub(crate) struct Types {
    /// The data type of an encoding; none where the server names none.
    encodings: HashMap<NodeId, Option<NodeId>>,
    known: HashMap<NodeId, DataType>,
}

/// A data type, by how its values lie in a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DataType {
    /// As this built-in type: 1 is Boolean, 25 is DiagnosticInfo (Part 6, 5.1.2).
    BuiltIn(u8),
    /// As its fields, one after the other.
    Structure(Structure),
    /// The server does not tell.
    Untold,
}

/// A structure (Part 6, 5.2.6 to 5.2.8).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Structure {
    pub(crate) form: Form,
    pub(crate) fields: Vec<Field>,
}

/// How the fields of a structure are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All are there.
    Plain,
    /// A mask says which of the optional ones are there.
    Optional,
    /// A number says which one is there.
    Union,
}

/// A field of a structure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) data_type: NodeId,
    /// 0 for one value, 1 for an array, more for a matrix.
    pub(crate) dimensions: u32,
    /// It may be absent.
    pub(crate) is_optional: bool,
    /// Each value says its own type.
    pub(crate) is_subtyped: bool,
}

impl Types {
    /// The data type of an encoding: not asked for yet, or what came of it. A server with more than are kept is not asked for
    /// ever: the rest counts as not told.
    pub(crate) fn of_encoding(&self, encoding: &NodeId) -> Option<Option<&NodeId>> {
        match self.encodings.get(encoding) {
            Some(known) => Some(known.as_ref()),
            None => (self.encodings.len() >= TYPES_MAX).then_some(None),
        }
    }

    /// A data type, where it is known.
    pub(crate) fn get(&self, data_type: &NodeId) -> Option<&DataType> {
        self.known.get(data_type)
    }

    /// Notes which data type has this encoding.
    pub(crate) fn note_encoding(&mut self, encoding: NodeId, data_type: Option<NodeId>) {
        if self.encodings.len() < TYPES_MAX {
            self.encodings.insert(encoding, data_type);
        }
    }

    /// Notes a data type. It returns those that its fields are of, and which are not known.
    pub(crate) fn note(&mut self, id: NodeId, data_type: DataType) -> Vec<NodeId> {
        let unknown = match &data_type {
            DataType::Structure(structure) => {
                let fields = structure.fields.iter().map(|field| field.data_type.clone());
                fields.filter(|of_field| *of_field != id && !self.known.contains_key(of_field)).collect()
            }
            DataType::BuiltIn(_) | DataType::Untold => Vec::new(),
        };
        if self.known.len() >= TYPES_MAX {
            return Vec::new();
        }
        self.known.insert(id, data_type);
        unknown
    }
}

/// The data type that this one is built in as: one itself, or an abstract one above them (Part 3, 8.2).
pub(crate) fn built_in(id: &NodeId) -> Option<DataType> {
    let number = id.as_u32().filter(|_| id.namespace == 0)?;
    match number {
        1..=BUILT_IN_LAST => u8::try_from(number).ok().map(DataType::BuiltIn),
        // Number, Integer, UInteger: any of them stands there, as a Variant.
        26..=28 => Some(DataType::BuiltIn(VARIANT)),
        // Enumeration: an Int32.
        29 => Some(DataType::BuiltIn(6)),
        _ => None,
    }
}

/// What a server says of a structure; `None` for what does not fit together.
pub(crate) fn structure(definition: &StructureDefinition) -> Option<DataType> {
    let (form, can_be_subtyped) = match definition.structure_type {
        StructureType::Structure => (Form::Plain, false),
        StructureType::StructureWithOptionalFields => (Form::Optional, false),
        StructureType::Union => (Form::Union, false),
        StructureType::StructureWithSubtypedValues => (Form::Plain, true),
        StructureType::UnionWithSubtypedValues => (Form::Union, true),
    };
    let fields = definition.fields.iter().flatten().map(|field| {
        let dimensions = match field.value_rank {
            -1 => 0,
            rank => u32::try_from(rank).ok().filter(|rank| *rank > 0)?,
        };
        Some(Field {
            name: field.name.as_ref().to_owned(),
            data_type: field.data_type.clone(),
            dimensions,
            is_optional: field.is_optional && form == Form::Optional,
            is_subtyped: field.is_optional && can_be_subtyped,
        })
    });
    let fields = fields.collect::<Option<Vec<Field>>>()?;
    Some(DataType::Structure(Structure { form, fields }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_with_more_types_than_are_kept_is_not_asked_for_ever() {
        let mut types = Types::default();
        for number in 0..TYPES_MAX as u32 {
            assert_eq!(types.of_encoding(&NodeId::new(2, number)), None);
            types.note_encoding(NodeId::new(2, number), None);
        }
        assert_eq!(types.of_encoding(&NodeId::new(3, 1_u32)), Some(None));
    }
}
