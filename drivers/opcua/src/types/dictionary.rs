//! Type dictionaries, in which servers before OPC UA 1.04 tell what their structures are made of (Part 3, Annex C; the
//! schema is the OPC Binary one of Part 3, C.2).
//!
//! ```text
//! <opc:StructuredType Name="Axis">
//!   <opc:Field Name="hasNote" TypeName="opc:Bit"/>                    optional: bits, 32 in all, before the fields
//!   <opc:Field Name="Reserved1" TypeName="opc:Bit" Length="31"/>
//!   <opc:Field Name="note" TypeName="opc:String" SwitchField="hasNote"/>
//!   <opc:Field Name="NoOfsteps" TypeName="opc:Int32"/>                an array: its length before it
//!   <opc:Field Name="steps" TypeName="opc:Double" LengthField="NoOfsteps"/>
//! ```
//! A union has a `UInt32` first, and every other field names it with the number that it has (`SwitchValue`).

use std::collections::HashMap;

use opcua::types::NodeId;

use super::{DataType, EXTENSION_OBJECT, Field, Form, Structure, VARIANT};

/// Types by their names; those of other dictionaries are not resolved.
pub(crate) type Dictionary = HashMap<String, DataType>;

/// Built-in types that have another name in dictionaries.
const ALSO: [(&str, u8); 3] = [("CharArray", 12), ("ExtensionObject", EXTENSION_OBJECT), ("Variant", VARIANT)];
/// The built-in types in the order of their numbers (Part 6, 5.1.2).
const BUILT_IN: [&str; 25] = [
    "Boolean",
    "SByte",
    "Byte",
    "Int16",
    "UInt16",
    "Int32",
    "UInt32",
    "Int64",
    "UInt64",
    "Float",
    "Double",
    "String",
    "DateTime",
    "Guid",
    "ByteString",
    "XmlElement",
    "NodeId",
    "ExpandedNodeId",
    "StatusCode",
    "QualifiedName",
    "LocalizedText",
    "Structure",
    "DataValue",
    "BaseDataType",
    "DiagnosticInfo",
];
const INT_32: u8 = 6;
/// The bits that say which optional fields are there, with those that are kept free.
const BITS: u32 = 32;

/// The node id under which a type of a dictionary is kept: no server has such a node.
pub(crate) fn id_of(dictionary: &NodeId, name: &str) -> NodeId {
    NodeId::new(dictionary.namespace, format!("{dictionary} {name}"))
}

/// What a dictionary says; `None` where it is none. What it says and cannot be followed is [`DataType::Untold`].
pub(crate) fn read(dictionary: &NodeId, xml: &[u8]) -> Option<Dictionary> {
    let document = roxmltree::Document::parse(std::str::from_utf8(xml).ok()?.trim_end_matches('\0')).ok()?;
    let root = document.root_element();
    if root.tag_name().name() != "TypeDictionary" {
        return None;
    }
    let types = root.children().filter_map(|node| {
        let name = node.attribute("Name")?.to_owned();
        match node.tag_name().name() {
            "StructuredType" => {
                let fields: Vec<Row<'_>> = node.children().filter_map(|field| Row::of(&field)).collect();
                Some((name, structure(dictionary, &fields).unwrap_or(DataType::Untold)))
            }
            "EnumeratedType" => {
                let is_usual = node.attribute("LengthInBits").is_none_or(|bits| bits == "32");
                Some((name, if is_usual { DataType::BuiltIn(INT_32) } else { DataType::Untold }))
            }
            _ => None,
        }
    });
    Some(types.collect())
}

/// A field as it is written.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    name: &'a str,
    type_name: &'a str,
    /// How many bits, where it is of bits.
    bits: u32,
    length_field: Option<&'a str>,
    switch_field: Option<&'a str>,
    switch_value: Option<u32>,
}

impl<'a> Row<'a> {
    fn of(node: &roxmltree::Node<'a, 'a>) -> Option<Row<'a>> {
        let number = |name: &str| node.attribute(name).and_then(|text| text.parse().ok());
        (node.tag_name().name() == "Field").then_some(())?;
        Some(Row {
            name: node.attribute("Name")?,
            type_name: node.attribute("TypeName")?,
            bits: number("Length").unwrap_or(1),
            length_field: node.attribute("LengthField"),
            switch_field: node.attribute("SwitchField"),
            switch_value: number("SwitchValue"),
        })
    }

    fn is_bits(&self) -> bool {
        self.type_name == "opc:Bit"
    }
}

/// A structure of these fields; `None` for what OPC UA's encoding knows no form of.
fn structure(dictionary: &NodeId, rows: &[Row<'_>]) -> Option<DataType> {
    let (bits, rows) = rows.split_at(rows.iter().take_while(|row| row.is_bits()).count());
    let is_union = rows.iter().any(|row| row.switch_value.is_some());
    let form = match (bits.is_empty(), is_union) {
        (true, false) => Form::Plain,
        (false, false) if bits.iter().map(|row| row.bits).sum::<u32>() == BITS => Form::Optional,
        (true, true) => Form::Union,
        (false, _) => return None,
    };
    let rows = if is_union { rows.split_first().filter(|(choice, _)| is_choice(choice, rows))?.1 } else { rows };
    let mut fields: Vec<Field> = Vec::new();
    let mut before: Option<&Row<'_>> = None;
    for row in rows {
        let is_array = row.length_field.is_some();
        if is_array {
            // The field before it is its length, which the encoding of an array begins with.
            let length =
                before.filter(|before| row.length_field == Some(before.name) && before.type_name == "opc:Int32");
            length.filter(|length| length.switch_field == row.switch_field)?;
            fields.pop();
        }
        fields.push(Field {
            name: row.name.to_owned(),
            data_type: type_of(dictionary, row.type_name)?,
            dimensions: u32::from(is_array),
            is_optional: form == Form::Optional && row.switch_field.is_some(),
            is_subtyped: false,
        });
        before = Some(row);
    }
    let are_told_apart = match form {
        Form::Plain => rows.iter().all(|row| row.switch_field.is_none()),
        Form::Optional => are_in_the_order_of(bits, rows),
        Form::Union => are_numbered(rows),
    };
    are_told_apart.then_some(DataType::Structure(Structure { form, fields }))
}

/// Whether the first field of a union says which of the others is there.
fn is_choice(choice: &Row<'_>, rows: &[Row<'_>]) -> bool {
    choice.type_name == "opc:UInt32" && rows[1..].iter().all(|row| row.switch_field == Some(choice.name))
}

/// Whether the optional fields stand in the order of their bits: the first one has the lowest.
fn are_in_the_order_of(bits: &[Row<'_>], rows: &[Row<'_>]) -> bool {
    let mut switches: Vec<&str> = rows.iter().filter_map(|row| row.switch_field).collect();
    switches.dedup();
    let named = bits.iter().filter(|row| row.bits == 1).map(|row| row.name).take(switches.len());
    named.eq(switches.iter().copied())
}

/// Whether the fields of a union are numbered from 1 on; an array and its length have one number.
fn are_numbered(rows: &[Row<'_>]) -> bool {
    let mut numbers: Vec<Option<u32>> = rows.iter().map(|row| row.switch_value).collect();
    numbers.dedup();
    numbers.iter().zip(1..).all(|(number, expected)| *number == Some(expected))
}

/// The data type that a name such as `opc:Double` or `tns:Axis` stands for.
fn type_of(dictionary: &NodeId, name: &str) -> Option<NodeId> {
    let (space, name) = name.split_once(':')?;
    let number = BUILT_IN.iter().position(|known| *known == name).and_then(|place| u8::try_from(place + 1).ok());
    let number = number.or_else(|| ALSO.iter().find(|(known, _)| *known == name).map(|(_, number)| *number));
    match (space, number) {
        ("opc" | "ua", Some(number)) => Some(NodeId::new(0, u32::from(number))),
        // A type of the standard, or a kind of bits that OPC UA does not use.
        ("opc" | "ua", None) => None,
        _ => Some(id_of(dictionary, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = r#"<opc:TypeDictionary xmlns:opc="http://opcfoundation.org/BinarySchema/" xmlns:tns="urn:t"
        xmlns:ua="http://opcfoundation.org/UA/" DefaultByteOrder="LittleEndian" TargetNamespace="urn:t">
      <opc:Import Namespace="http://opcfoundation.org/UA/"/>
      <opc:EnumeratedType LengthInBits="32" Name="Mode"><opc:EnumeratedValue Name="Off" Value="0"/></opc:EnumeratedType>
      <opc:StructuredType BaseType="ua:ExtensionObject" Name="Axis">
        <opc:Field Name="name" TypeName="opc:CharArray"/>
        <opc:Field Name="mode" TypeName="tns:Mode"/>
        <opc:Field Name="NoOfsteps" TypeName="opc:Int32"/>
        <opc:Field Name="steps" TypeName="opc:Double" LengthField="NoOfsteps"/>
      </opc:StructuredType>
      <opc:StructuredType Name="Noted">
        <opc:Field Name="hasNote" TypeName="opc:Bit"/><opc:Field Name="hasList" TypeName="opc:Bit"/>
        <opc:Field Name="Reserved1" TypeName="opc:Bit" Length="30"/>
        <opc:Field Name="n" TypeName="opc:Byte"/>
        <opc:Field Name="note" TypeName="ua:LocalizedText" SwitchField="hasNote"/>
        <opc:Field Name="NoOflist" TypeName="opc:Int32" SwitchField="hasList"/>
        <opc:Field Name="list" TypeName="tns:Axis" LengthField="NoOflist" SwitchField="hasList"/>
      </opc:StructuredType>
      <opc:StructuredType Name="Either">
        <opc:Field Name="SwitchField" TypeName="opc:UInt32"/>
        <opc:Field Name="number" TypeName="opc:Int32" SwitchField="SwitchField" SwitchValue="1"/>
        <opc:Field Name="text" TypeName="opc:String" SwitchField="SwitchField" SwitchValue="2"/>
      </opc:StructuredType>
      <opc:StructuredType Name="Odd"><opc:Field Name="b" TypeName="opc:Bit"/></opc:StructuredType>
      <opc:StructuredType Name="Far"><opc:Field Name="r" TypeName="ua:Range"/></opc:StructuredType>
      <opc:StructuredType Name="Loose"><opc:Field Name="a" TypeName="opc:Byte" LengthField="n"/></opc:StructuredType>
    </opc:TypeDictionary>"#;

    fn dictionary() -> NodeId {
        NodeId::new(2, 7_u32)
    }

    /// Name, type, dimensions, and whether it may be missing.
    type Told = (String, NodeId, u32, bool);

    fn told(name: &str) -> Option<(Form, Vec<Told>)> {
        let found = read(&dictionary(), XML.as_bytes()).expect("a dictionary").remove(name).expect("a type");
        let DataType::Structure(Structure { form, fields }) = found else { return None };
        let fields = fields.into_iter().map(|field| (field.name, field.data_type, field.dimensions, field.is_optional));
        Some((form, fields.collect()))
    }

    #[test]
    fn structures_of_each_form_are_understood() {
        let id = |number: u32| NodeId::new(0, number);
        let of = |name: &str| id_of(&dictionary(), name);
        let field = |name: &str, of, dimensions, is_optional| (name.to_owned(), of, dimensions, is_optional);
        let axis = vec![
            field("name", id(12), 0, false),
            field("mode", of("Mode"), 0, false),
            field("steps", id(11), 1, false),
        ];
        assert_eq!(told("Axis"), Some((Form::Plain, axis)));
        let noted =
            vec![field("n", id(3), 0, false), field("note", id(21), 0, true), field("list", of("Axis"), 1, true)];
        assert_eq!(told("Noted"), Some((Form::Optional, noted)));
        let either = vec![field("number", id(6), 0, false), field("text", id(12), 0, false)];
        assert_eq!(told("Either"), Some((Form::Union, either)));
        let mode = read(&dictionary(), XML.as_bytes()).and_then(|mut types| types.remove("Mode"));
        assert_eq!(mode, Some(DataType::BuiltIn(6)));
    }

    #[test]
    fn what_cannot_be_followed_is_untold_and_what_is_no_dictionary_is_none() {
        for name in ["Odd", "Far", "Loose"] {
            assert_eq!(told(name), None, "{name}");
        }
        for other in [&b"<x/>"[..], b"", b"<opc:TypeDictionary", &[0xff, 0xfe]] {
            assert!(read(&dictionary(), other).is_none());
        }
    }
}
