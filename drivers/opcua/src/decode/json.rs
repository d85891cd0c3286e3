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
pub(crate) fn json(value: &Value) -> Json {
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

#[cfg(test)]
mod tests {
    use opcua::types::ByteString;
    use serde_json::json;

    use super::*;

    fn id(number: u32) -> NodeId {
        NodeId::new(2, number)
    }

    fn of_type(name: &str, data_type: NodeId, dimensions: u32) -> Field {
        Field { name: name.into(), data_type, dimensions, is_optional: false, is_subtyped: false }
    }

    /// Encoding 2;101 and so on of the types 2;1 (a point), 2;2 (with an optional field), 2;3 (a union), 2;4 (a line of
    /// points and a matrix), 2;5 (itself again).
    fn types() -> Types {
        let mut types = Types::default();
        for (number, built_in) in [(4, 4), (6, 6), (11, 11), (12, 12), (24, 24)] {
            types.note(NodeId::new(0, number), DataType::BuiltIn(built_in));
        }
        let point = vec![of_type("x", NodeId::new(0, 4), 0), of_type("y", NodeId::new(0, 4), 0)];
        let mut optional = vec![of_type("n", NodeId::new(0, 6), 0), of_type("note", NodeId::new(0, 12), 0)];
        optional[1].is_optional = true;
        let union = vec![of_type("number", NodeId::new(0, 6), 0), of_type("text", NodeId::new(0, 12), 0)];
        let line = vec![of_type("points", id(1), 1), of_type("grid", NodeId::new(0, 4), 2)];
        let again = vec![of_type("next", id(5), 0)];
        let all = [
            (1, Form::Plain, point),
            (2, Form::Optional, optional),
            (3, Form::Union, union),
            (4, Form::Plain, line),
            (5, Form::Plain, again),
        ];
        for (number, form, fields) in all {
            types.note(id(number), DataType::Structure(Structure { form, fields }));
            types.note_encoding(id(100 + number), Some(id(number)));
        }
        types.note_encoding(id(200), None);
        types
    }

    fn told(encoding: u32, bytes: &[u8]) -> Result<Json, Untold> {
        let object = ExtensionObject::new(ByteStringBody::new(ByteString::from(bytes.to_vec()), id(encoding)));
        structure(&object, &types()).map(|text| text.parse().expect("JSON"))
    }

    #[test]
    fn each_form_is_told_as_its_bytes_lie() {
        let line = [
            &[2, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0][..],
            &[2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0, 3, 0, 255, 255],
        ]
        .concat();
        let cases: [(u32, &[u8], Json); 6] = [
            (101, &[1, 0, 255, 255], json!({"x": 1, "y": -1})),
            (102, &[0, 0, 0, 0, 7, 0, 0, 0], json!({"n": 7})),
            (102, &[1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, b'a'], json!({"n": 7, "note": "a"})),
            (103, &[2, 0, 0, 0, 1, 0, 0, 0, b'a'], json!({"text": "a"})),
            (103, &[0, 0, 0, 0], Json::Null),
            (104, &line, json!({"points": [{"x": 1, "y": 2}, {"x": 3, "y": 4}], "grid": [[1, 2], [3, -1]]})),
        ];
        for (encoding, bytes, expected) in cases {
            assert_eq!(told(encoding, bytes), Ok(expected), "{encoding} {bytes:?}");
        }
    }

    #[test]
    fn nothing_is_made_up_of_bytes_that_do_not_fit() {
        let whole = [1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, b'a'];
        for end in 0..whole.len() {
            assert_eq!(told(102, &whole[..end]), Err(Untold::Broken), "cut at {end}");
        }
        for (encoding, bytes) in [
            (101, &[1, 0, 2, 0, 9][..]),
            (103, &[3, 0, 0, 0, 1, 0, 0, 0]),
            (104, &[255, 255, 255, 127]),
            (104, &[0, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 127, 255, 255, 255, 127]),
            (105, &[]),
        ] {
            assert_eq!(told(encoding, bytes), Err(Untold::Broken), "{encoding} {bytes:?}");
        }
    }

    #[test]
    fn the_server_is_asked_once_for_what_is_not_known() {
        assert_eq!(told(300, &[1]), Err(Untold::Ask(id(300))));
        assert_eq!(told(200, &[1]), Err(Untold::NoDefinition(id(200))));
        let object = ExtensionObject::new(ByteStringBody::new(ByteString::from(vec![1]), id(300)));
        let array = Variant::from(vec![object]);
        assert_eq!(to_ask(&array, &types()), Some(id(300)));
        assert_eq!(to_ask(&Variant::from(1_i32), &types()), None);
    }
}
