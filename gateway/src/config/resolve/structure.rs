//! `fields:` and `columns:` of a tag: what its structures are made of.

use std::sync::Arc;

use crate::config::fault::Faults;
use crate::config::raw::TagSettings;
use crate::uplink::structure::{Shape, Structure};

/// The structure that is declared, where one is.
pub(super) fn structure(settings: &TagSettings<'_>, faults: &mut Faults) -> Option<Arc<Structure>> {
    let (written, shape) = match (settings.fields, settings.columns) {
        (Some(_), Some(columns)) => {
            let message = "a tag is one structure or an array of them";
            faults.error(columns.span, message, "keep `fields` for one, or `columns` for an array");
            return None;
        }
        (Some(fields), None) => (fields, Shape::One),
        (None, Some(columns)) => (columns, Shape::Table),
        (None, None) => return None,
    };
    for (key, other) in [("scale", settings.scale), ("offset", settings.offset)] {
        if let Some(other) = other {
            faults.error(other.span, format!("`{key}` is for numbers, and this tag is a structure"), "remove it");
        }
    }
    match Structure::parse(written.value, shape) {
        Ok(structure) => Some(Arc::new(structure)),
        Err(message) => {
            faults.error(written.span, message, "write names and types, such as `temperature REAL, count UDINT`");
            None
        }
    }
}
