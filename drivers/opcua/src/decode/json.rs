//! Structures as JSON, by what the server says of its data types (Part 6, 5.2.6 to 5.2.8).
//!
//! ```text
//! Plain     field field …
//! Optional  mask u32, field …      a bit for each field that may be absent, the first is the lowest
//! Union     choice u32, field      0 is none, 1 the first
//! field     value | length i32, value … | dimensions [i32], value …
//! ```
//! Numbers that JSON has no digits for are texts, as Part 6, 5.4.2.4 has it: "NaN", "Infinity", "-Infinity".

use std::io::{Cursor, Read};

use driver_core::Value;
use opcua::types::type_loader::{ByteStringBody, Context};
use opcua::types::{BinaryDecodable, ContextOwned, ExtensionObject, NodeId, Variant};
use serde_json::{Map, Number, Value as Json};

use super::{DEPTH_MAX, nested, shape};
use crate::types::{DataType, EXTENSION_OBJECT, Field, Form, Structure, Types, VARIANT};

/// Why a structure cannot be told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Untold {
    /// The server has to be asked which data type has this encoding.
    Ask(NodeId),
    /// The server does not say what this type is made of.
    NoDefinition(NodeId),
    /// The bytes do not follow what the server says of the type.
    Broken,
}

/// A structure as a JSON text.
pub(crate) fn structure(object: &ExtensionObject, types: &Types) -> Result<String, Untold> {
    Reader { types, context: &ContextOwned::default().context() }.object(object, 0).map(|json| json.to_string())
}

/// The encodings in a value that the server has to be asked for.
pub(crate) fn to_ask(variant: &Variant, types: &Types) -> Option<NodeId> {
    match variant {
        Variant::ExtensionObject(object) => match structure(object, types) {
            Err(Untold::Ask(encoding)) => Some(encoding),
            Ok(_) | Err(_) => None,
        },
        Variant::Variant(inner) => to_ask(inner, types),
        Variant::Array(array) => array.values.iter().find_map(|value| to_ask(value, types)),
        _ => None,
    }
}

struct Reader<'a> {
    types: &'a Types,
    context: &'a Context<'a>,
}

impl Reader<'_> {
    fn object(&self, object: &ExtensionObject, depth: usize) -> Result<Json, Untold> {
        let Some(body) = &object.body else { return Ok(Json::Null) };
        let (encoding, bytes) = match object.inner_as::<ByteStringBody>() {
            Some(raw) => (raw.encoding_id().clone(), raw.raw_body().as_ref().to_vec()),
            // The library knows some of the standard's own: they are told as the server tells of them, like all others.
            None => {
                let mut bytes = Vec::new();
                body.encode_binary(&mut bytes, self.context).map_err(|_| Untold::Broken)?;
                (object.binary_type_id().node_id, bytes)
            }
        };
        let data_type = match self.types.of_encoding(&encoding) {
            None => return Err(Untold::Ask(encoding)),
            Some(None) => return Err(Untold::NoDefinition(encoding)),
            Some(Some(data_type)) => data_type,
        };
        let Some(DataType::Structure(structure)) = self.types.get(data_type) else {
            return Err(Untold::NoDefinition(data_type.clone()));
        };
        let mut stream = Cursor::new(bytes.as_slice());
        let told = self.structure(structure, &mut stream, depth + 1)?;
        // What a newer version of the type has at its end is not invented, and not passed over in silence.
        if stream.position() == bytes.len() as u64 { Ok(told) } else { Err(Untold::Broken) }
    }

    fn structure(&self, structure: &Structure, stream: &mut Cursor<&[u8]>, depth: usize) -> Result<Json, Untold> {
        if depth > DEPTH_MAX {
            return Err(Untold::Broken);
        }
        let mut told = Map::new();
        match structure.form {
            Form::Plain => {
                for field in &structure.fields {
                    told.insert(field.name.clone(), self.field(field, stream, depth)?);
                }
            }
            Form::Optional => {
                let mask: u32 = self.number(stream)?;
                let mut bits = (0..32).map(|bit| mask >> bit & 1 == 1);
                for field in &structure.fields {
                    if !field.is_optional || bits.next().unwrap_or(false) {
                        told.insert(field.name.clone(), self.field(field, stream, depth)?);
                    }
                }
            }
            Form::Union => {
                let choice: u32 = self.number(stream)?;
                let Some(index) = choice.checked_sub(1) else { return Ok(Json::Null) };
                let field = structure.fields.get(index as usize).ok_or(Untold::Broken)?;
                told.insert(field.name.clone(), self.field(field, stream, depth)?);
            }
        }
        Ok(Json::Object(told))
    }

    fn field(&self, field: &Field, stream: &mut Cursor<&[u8]>, depth: usize) -> Result<Json, Untold> {
        let mut sizes = Vec::new();
        match field.dimensions {
            0 => return self.value(field, stream, depth),
            1 => sizes.push(self.number::<i32>(stream)?.max(0) as usize),
            _ => {
                let count = self.number::<i32>(stream)?;
                if count < 0 || count as usize > DEPTH_MAX {
                    return Err(Untold::Broken);
                }
                for _ in 0..count {
                    sizes.push(self.number::<i32>(stream)?.max(0) as usize);
                }
            }
        }
        let cells = sizes.iter().try_fold(1_usize, |cells, size| cells.checked_mul(*size)).ok_or(Untold::Broken)?;
        // Each has a byte at least: a length that the bytes cannot hold is none.
        if cells > stream.get_ref().len() - stream.position() as usize {
            return Err(Untold::Broken);
        }
        let cells = (0..cells).map(|_| self.value(field, stream, depth)).collect::<Result<Vec<Json>, Untold>>()?;
        Ok(Json::Array(shape(cells, &sizes, Json::Array)))
    }

    /// One value of a field.
    fn value(&self, field: &Field, stream: &mut Cursor<&[u8]>, depth: usize) -> Result<Json, Untold> {
        let data_type = self.types.get(&field.data_type);
        let built_in = match data_type {
            Some(DataType::Structure(_)) if field.is_subtyped => EXTENSION_OBJECT,
            Some(DataType::BuiltIn(kind)) if field.is_subtyped && *kind != EXTENSION_OBJECT => VARIANT,
            Some(DataType::Structure(structure)) => return self.structure(structure, stream, depth + 1),
            Some(DataType::BuiltIn(kind)) => *kind,
            Some(DataType::Untold) | None => return Err(Untold::NoDefinition(field.data_type.clone())),
        };
        let mut stream: &mut dyn Read = stream;
        let variant = match built_in {
            VARIANT => Variant::decode(&mut stream, self.context),
            // A Variant is a value behind the number of its type.
            kind => Variant::decode(&mut [kind].chain(stream), self.context),
        };
        self.variant(&variant.map_err(|_| Untold::Broken)?, depth + 1)
    }

    fn variant(&self, variant: &Variant, depth: usize) -> Result<Json, Untold> {
        if depth > DEPTH_MAX {
            return Err(Untold::Broken);
        }
        match variant {
            Variant::ExtensionObject(object) => self.object(object, depth),
            Variant::Variant(inner) => self.variant(inner, depth + 1),
            Variant::Array(array) => {
                let one = |value| self.variant(value, depth + 1);
                let cells = array.values.iter().map(one).collect::<Result<Vec<Json>, Untold>>()?;
                let sizes: Vec<usize> = match &array.dimensions {
                    Some(dimensions) => dimensions.iter().map(|size| *size as usize).collect(),
                    None => vec![cells.len()],
                };
                if sizes.iter().try_fold(1_usize, |all, size| all.checked_mul(*size)) != Some(cells.len()) {
                    return Err(Untold::Broken);
                }
                Ok(Json::Array(shape(cells, &sizes, Json::Array)))
            }
            plain => nested(plain, self.types, depth).map(|value| json(&value)).ok_or(Untold::Broken),
        }
    }

    fn number<T: BinaryDecodable>(&self, stream: &mut Cursor<&[u8]>) -> Result<T, Untold> {
        T::decode(stream, self.context).map_err(|_| Untold::Broken)
    }
}

/// A value that is no structure.
fn json(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number((*value).into()),
        Value::UInt(value) => Json::Number((*value).into()),
        // The shortest digits that mean this number, as everywhere else.
        Value::Real(value) => float(value.to_string().parse().unwrap_or(f64::from(*value))),
        Value::LReal(value) => float(*value),
        Value::Array(values) => Json::Array(values.iter().map(json).collect()),
        text => Json::String(text.to_string()),
    }
}

fn float(value: f64) -> Json {
    let name = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    Number::from_f64(value).map_or_else(|| Json::String(name.into()), Json::Number)
}
