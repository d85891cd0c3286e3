//! The types of all tags' readings, for formats that announce them before the first reading.

use std::sync::Arc;

use driver_core::{DataType, Line, TagId};

use super::tags::Tags;
use crate::config::LineConfig;
use crate::uplink::TagType;
use crate::uplink::structure::Structure;

/// The types in the order of the live tags, after scaling. A line that was not planned leaves its tags as LREAL, which a first reading of
/// another type puts right.
pub fn types_of(
    tags: &Tags,
    lines: &[LineConfig],
    planned: &[Box<dyn Line>],
    derived: &[(TagId, DataType)],
    structures: &[(TagId, Arc<Structure>)],
) -> Arc<[TagType]> {
    let mut types = vec![TagType::plain(DataType::Lreal, 1); tags.len()];
    for (config, line) in lines.iter().zip(planned) {
        for (device, spec) in config.spec.devices.iter().enumerate() {
            for (place, tag) in spec.tags.iter().enumerate() {
                let text = line.tag_text(device, place);
                let scaled = tags.rule(tag.id).is_some_and(|rule| rule.scale.is_some());
                let data_type = if scaled { scaled_type(text.data_type) } else { text.data_type };
                let elements = u32::try_from(text.elements).unwrap_or(u32::MAX);
                if let Some(known) = types.get_mut(tag.id.index()) {
                    *known = TagType::plain(data_type, elements);
                }
            }
        }
    }
    for (tag, data_type) in derived {
        if let Some(known) = types.get_mut(tag.index()) {
            known.data_type = *data_type;
        }
    }
    for (tag, structure) in structures {
        if let Some(known) = types.get_mut(tag.index()) {
            known.structure = Some(structure.clone());
        }
    }
    if tags.live_len() == tags.len() && tags.live().eq((0..tags.len() as u32).map(TagId)) {
        return types.into();
    }
    tags.live().filter_map(|tag| types.get(tag.index()).cloned()).collect()
}

/// Integers become LREAL when they are scaled, a REAL stays one, and what is no number stays as it is.
fn scaled_type(data_type: DataType) -> DataType {
    use DataType::{Byte, Dint, Dword, Int, Lint, Lword, Sint, Udint, Uint, Ulint, Usint, Word};
    match data_type {
        Sint | Usint | Int | Uint | Dint | Udint | Lint | Ulint | Byte | Word | Dword | Lword => DataType::Lreal,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Kinds, Source, check};
    use crate::uplink::structure::Shape;

    #[test]
    fn types_are_those_of_the_addresses_and_scaling_makes_them_lreal() {
        let text = "gateway: g
every: 1s
devices:
  press:
    url: modbus-tcp://10.0.0.11
    tags:
      plain: hr:0:INT
      scaled: { address: 'hr:1:INT', scale: 0.1 }
      real: { address: 'hr:2:REAL', scale: 0.1 }
      row: 'hr:10:UINT[4]'
      bit: co:3
      recipe: { address: 'hr:20:STRING(20)', fields: 'level REAL, name STRING' }
";
        let checked = check(Source::new("gateway.yaml", text), Kinds::of_this_build()).expect("a configuration");
        let types =
            types_of(&checked.config.tags, &checked.config.lines, &checked.lines, &[], &checked.config.structures);
        let expected =
            [(DataType::Int, 1), (DataType::Lreal, 1), (DataType::Real, 1), (DataType::Uint, 4), (DataType::Bool, 1)];
        let expected = expected.map(|(data_type, elements)| TagType::plain(data_type, elements));
        assert_eq!(types[..5], expected);
        let structure = types[5].structure.as_deref().expect("it was declared");
        assert_eq!((structure.shape, structure.fields.len()), (Shape::One, 2));
    }
}
