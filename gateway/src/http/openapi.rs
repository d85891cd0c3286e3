//! The OpenAPI document: kept by hand, held against the routes by a test.

/// As it stands in the binary.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::http::routes::{Needs, ROUTES};

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let written: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, operations)| {
                let methods = operations.as_object().expect("operations").keys();
                methods.map(|method| (path.clone(), method.clone())).collect::<Vec<_>>()
            })
            .collect();
        let known =
            ROUTES.iter().map(|route| (route.path.to_owned(), route.method.as_str().to_ascii_lowercase())).collect();
        assert_eq!(written, known);
    }

    #[test]
    fn every_operation_says_what_it_needs_and_what_may_come_of_it() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{}", route.path);
            let answers = operation["responses"].as_object().expect("responses");
            assert!(answers.contains_key("200") && answers.contains_key("403"), "{}", route.path);
            assert!(answers.contains_key("401"), "{}", route.path);
            assert_eq!(operation["security"].is_array(), route.needs != Needs::Nothing, "{}", route.path);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        fn walk(value: &Value, document: &Value) {
            if let Some(reference) = value["$ref"].as_str() {
                let pointer = reference.strip_prefix('#').expect("a reference within");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            match value {
                Value::Object(object) => object.values().for_each(|value| walk(value, document)),
                Value::Array(all) => all.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        walk(&document, &document);
    }
}
