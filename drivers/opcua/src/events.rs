//! Events, alarms and conditions, without I/O: what is asked for of each, and what is told of it (Part 4, 7.22.3; Part 9).

use driver_core::{Timestamp, Value};
use opcua::types::{
    AttributeId, ContentFilter, ContentFilterElement, EventFilter, ExtensionObject, FilterOperator, LiteralOperand,
    NodeId, ObjectTypeId, QualifiedName, SimpleAttributeOperand, Variant,
};
use serde_json::{Map, Value as Json};

use crate::decode::{json, timestamp, value};
use crate::types::Types;

/// A field of an event: its key, the event type that has it, and its browse names below that; none is the condition itself.
struct Field(&'static str, ObjectTypeId, &'static [&'static str]);

/// What is told of an event, in this order. A field that an event does not have is left out.
const FIELDS: [Field; 16] = [
    Field("id", ObjectTypeId::BaseEventType, &["EventId"]),
    Field("type", ObjectTypeId::BaseEventType, &["EventType"]),
    Field("time", ObjectTypeId::BaseEventType, &["Time"]),
    Field("source", ObjectTypeId::BaseEventType, &["SourceName"]),
    Field("source_node", ObjectTypeId::BaseEventType, &["SourceNode"]),
    Field("message", ObjectTypeId::BaseEventType, &["Message"]),
    Field("severity", ObjectTypeId::BaseEventType, &["Severity"]),
    Field("condition", ObjectTypeId::ConditionType, &["ConditionName"]),
    Field("condition_node", ObjectTypeId::ConditionType, &[]),
    Field("retain", ObjectTypeId::ConditionType, &["Retain"]),
    Field("enabled", ObjectTypeId::ConditionType, &["EnabledState", "Id"]),
    Field("comment", ObjectTypeId::ConditionType, &["Comment"]),
    Field("acknowledged", ObjectTypeId::AcknowledgeableConditionType, &["AckedState", "Id"]),
    Field("confirmed", ObjectTypeId::AcknowledgeableConditionType, &["ConfirmedState", "Id"]),
    Field("active", ObjectTypeId::AlarmConditionType, &["ActiveState", "Id"]),
    Field("suppressed", ObjectTypeId::AlarmConditionType, &["SuppressedOrShelved"]),
];
const TYPE: usize = 1;
const TIME: usize = 2;

/// Between these a server repeats the conditions that hold; they are no events of the plant.
const OF_REFRESH: [ObjectTypeId; 3] =
    [ObjectTypeId::RefreshStartEventType, ObjectTypeId::RefreshEndEventType, ObjectTypeId::RefreshRequiredEventType];

/// An event as a reading.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// JSON.
    pub(crate) value: Value,
    /// When it happened, as the server says.
    pub(crate) time: Option<Timestamp>,
}

/// All events below a node.
pub(crate) fn all() -> ExtensionObject {
    let select = FIELDS.iter().map(|Field(_, of, path)| operand(*of, path)).collect();
    ExtensionObject::from_message(EventFilter { select_clauses: Some(select), where_clause: ContentFilter::default() })
}

/// Events that say that the address space has changed (Part 3, 9.32).
pub(crate) fn model_changes() -> ExtensionObject {
    let of_type = LiteralOperand { value: NodeId::from(ObjectTypeId::BaseModelChangeEventType).into() };
    let element = ContentFilterElement {
        filter_operator: FilterOperator::OfType,
        filter_operands: Some(vec![ExtensionObject::from_message(of_type)]),
    };
    ExtensionObject::from_message(EventFilter {
        select_clauses: Some(vec![operand(ObjectTypeId::BaseEventType, &["EventType"])]),
        where_clause: ContentFilter { elements: Some(vec![element]) },
    })
}

fn operand(of: ObjectTypeId, path: &[&str]) -> SimpleAttributeOperand {
    let attribute = if path.is_empty() { AttributeId::NodeId } else { AttributeId::Value };
    SimpleAttributeOperand {
        type_definition_id: of.into(),
        browse_path: Some(path.iter().map(|name| QualifiedName::new(0, *name)).collect()),
        attribute_id: attribute as u32,
        ..SimpleAttributeOperand::default()
    }
}

/// What the reading of a tag of events says when the server has begun to tell: nothing is missing from here on.
pub(crate) fn listening() -> Value {
    Value::Text(r#"{"listening":true}"#.into())
}

/// An event by its fields; `None` for one that is none of the plant.
pub(crate) fn told(fields: &[Variant], types: &Types) -> Option<Told> {
    let event_type = match fields.get(TYPE) {
        Some(Variant::NodeId(id)) => Some(&**id),
        _ => None,
    };
    if event_type.is_some_and(|id| OF_REFRESH.iter().any(|of| *id == *of)) {
        return None;
    }
    let mut all = Map::new();
    for (Field(key, ..), field) in FIELDS.iter().zip(fields) {
        match value(field, types) {
            Some(Value::None) | None => {}
            Some(value) => {
                all.insert((*key).into(), json(&value));
            }
        }
    }
    if let Some(name) = event_type.and_then(standard_name) {
        all.insert("type".into(), name.into());
    }
    let time = match fields.get(TIME) {
        Some(Variant::DateTime(time)) => timestamp(time),
        _ => None,
    };
    if let Some(time) = time {
        all.insert("time".into(), time.to_string().into());
    }
    Some(Told { value: Value::Text(Json::Object(all).to_string().into()), time })
}

/// What the standard calls its own types.
fn standard_name(id: &NodeId) -> Option<String> {
    let number = id.as_u32().filter(|_| id.namespace == 0)?;
    ObjectTypeId::try_from(number).ok().map(|known| format!("{known:?}"))
}

#[cfg(test)]
mod tests {
    use opcua::types::{ByteString, DateTime, LocalizedText};

    use super::*;

    fn fields(event_type: ObjectTypeId) -> Vec<Variant> {
        let mut fields = vec![Variant::Empty; FIELDS.len()];
        fields[0] = ByteString::from(vec![1, 2, 3]).into();
        fields[TYPE] = NodeId::from(event_type).into();
        fields[TIME] = DateTime::from(133_800_000_000_000_000_i64).into();
        fields[5] = LocalizedText::new("en", "too high").into();
        fields[6] = 700_u16.into();
        fields[14] = true.into();
        fields
    }

    #[test]
    fn an_alarm_is_told_with_what_it_has() {
        let told = told(&fields(ObjectTypeId::AlarmConditionType), &Types::default()).expect("an event");
        let Value::Text(text) = &told.value else { panic!("{told:?}") };
        let json: Json = text.parse().expect("JSON");
        assert_eq!((&json["id"], &json["type"]), (&"AQID".into(), &"AlarmConditionType".into()));
        assert_eq!((&json["message"], &json["severity"]), (&"too high".into(), &700.into()));
        assert_eq!((&json["active"], json.get("acknowledged")), (&true.into(), None));
        assert!(told.time.is_some());
    }

    #[test]
    fn what_brackets_a_refresh_is_no_event() {
        for of in OF_REFRESH {
            assert_eq!(told(&fields(of), &Types::default()), None);
        }
    }
}
