//! Structures as JSON.

use opcua::types::ExtensionObject;

/// A structure as a JSON text; `None` where its type is not known.
pub(super) fn structure(object: &ExtensionObject) -> Option<String> {
    if object.is_null() { Some("null".into()) } else { None }
}
