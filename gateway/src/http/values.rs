//! The last reading of some tags.

use serde_json::{Value, json};

use super::past;
use super::query::Query;
use super::tags::{Patterns, limit, named};
use crate::pipeline::command::json::json_value;
use crate::pipeline::latest::Last;
use crate::pipeline::schema::TagNames;
use crate::pipeline::vitals::Vitals;

/// What a request for values may say.
pub(super) const PARAMETERS: [&str; 2] = ["match", "limit"];

/// The last readings of the tags that are meant.
pub(super) async fn json(vitals: &Vitals, query: &Query) -> Result<Value, String> {
    let (patterns, limit) = (Patterns::of(query)?, limit(query)?);
    past::look(vitals).await;
    let chosen = patterns.choose(&vitals.tags, limit);
    let last = vitals.watched.latest.of(&chosen.tags);
    let values = chosen.tags.iter().zip(last).filter_map(|(tag, last)| {
        let names = vitals.tags.schema().tag(*tag)?;
        Some(one(&names, last.as_ref()))
    });
    let values: Vec<Value> = values.collect();
    Ok(json!({ "time": vitals.clock.now().0.to_string(), "tags": chosen.meant, "values": values }))
}

/// The names of the tags that are meant, and what may be written to them.
pub(super) fn names(vitals: &Vitals, query: &Query) -> Result<Value, String> {
    let chosen = Patterns::of(query)?.choose(&vitals.tags, limit(query)?);
    let names = chosen.tags.iter().filter_map(|tag| named(vitals, *tag));
    Ok(json!({ "tags": chosen.meant, "names": names.collect::<Value>() }))
}

fn one(names: &TagNames<'_>, last: Option<&Last>) -> Value {
    let mut object = json!({ "device": names.device, "tag": names.tag, "unit": names.unit });
    match last {
        None => {
            object["quality"] = "unknown".into();
            object["value"] = Value::Null;
        }
        Some(last) => {
            object["value"] = json_value(&last.value);
            object["quality"] = last.quality.level().name().into();
            object["reason"] = last.quality.reason().map(|reason| reason.name()).into();
            object["time"] = last.at.to_string().into();
            if let Some(good) = &last.good {
                object["good"] = json!({ "value": json_value(&good.0), "time": good.1.to_string() });
            }
        }
    }
    object
}
