//! Where a variable lies: a node id, or a path of browse names from the root.
//!
//! ```text
//! ns=2;s=Tank.Level          i=, s=, g=, b= (Part 6, 5.3.1.10); the variable lies in the folder of its namespace
//! nsu=urn:plant;s=Level      the namespace by its name
//! /Objects/2:Tank/2:Level    folders are made; `&` stands before a character that would have a meaning (Part 4, A.2)
//! ```

use std::str::FromStr;

use opcua::types::{NodeId, QualifiedName};

/// No namespace index above this: a typing error shall not make thousands of them.
const NAMESPACE_MAX: u16 = 1000;

/// Why a text is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is neither a node id nor a path.
    #[error("`{0}` is no node id and no path below /Objects")]
    Text(String),
    /// It lies in namespace 0, which is the standard's.
    #[error("`{0}` lies in namespace 0, which belongs to the standard, or in one above 1000")]
    Namespace(String),
}

/// A variable's node, its name, and the names of the folders above it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) id: NodeId,
    pub(super) folders: Vec<QualifiedName>,
    pub(super) name: QualifiedName,
}

impl Place {
    /// Understands a place. The namespaces that it names are there afterwards.
    pub(super) fn parse(text: &str, namespaces: &mut Vec<String>) -> Result<Self, PlaceError> {
        let wrong = || PlaceError::Text(text.to_owned());
        let place = match text.strip_prefix('/') {
            Some(path) => Self::of_path(path).ok_or_else(wrong)?,
            None => Self::of_id(node_id(text, namespaces).ok_or_else(wrong)?),
        };
        let index = place.id.namespace;
        if index == 0 || index > NAMESPACE_MAX {
            return Err(PlaceError::Namespace(text.to_owned()));
        }
        while namespaces.len() <= usize::from(index) {
            namespaces.push(format!("urn:forebay:sim:{}", namespaces.len()));
        }
        Ok(place)
    }

    fn of_id(id: NodeId) -> Self {
        let text = id.to_string();
        let name = text.split_once(";s=").map_or(text.as_str(), |(_, name)| name);
        let index = id.namespace;
        let name = QualifiedName::new(index, name);
        Self { id, folders: vec![QualifiedName::new(index, format!("Namespace{index}"))], name }
    }

    fn of_path(path: &str) -> Option<Self> {
        let mut steps: Vec<QualifiedName> = split(path).iter().map(|step| browse_name(step)).collect::<Option<_>>()?;
        let name = steps.pop()?;
        if steps.is_empty() || steps.remove(0) != QualifiedName::new(0, "Objects") {
            return None;
        }
        let words: Vec<&str> = steps.iter().chain([&name]).map(|step| step.name.as_ref()).collect();
        Some(Self { id: NodeId::new(name.namespace_index, words.join(".")), folders: steps, name })
    }
}

/// The node id of a text; a namespace that is named is found or made.
fn node_id(text: &str, namespaces: &mut Vec<String>) -> Option<NodeId> {
    let Some(named) = text.strip_prefix("nsu=") else { return NodeId::from_str(text).ok() };
    let (uri, identifier) = named.split_once(';')?;
    let uri = uri.replace("%3B", ";").replace("%25", "%");
    let index = namespaces.iter().position(|known| *known == uri).unwrap_or_else(|| {
        namespaces.push(uri);
        namespaces.len() - 1
    });
    NodeId::from_str(&format!("ns={index};{identifier}")).ok()
}

/// The steps of a path, still with their marks.
fn split(path: &str) -> Vec<String> {
    let (mut steps, mut step, mut marked) = (Vec::new(), String::new(), false);
    for character in path.chars() {
        if character == '/' && !marked {
            steps.push(std::mem::take(&mut step));
            continue;
        }
        marked = character == '&' && !marked;
        step.push(character);
    }
    steps.push(step);
    steps
}

/// A step `2:Level`, without its marks.
fn browse_name(step: &str) -> Option<QualifiedName> {
    let (index, name) = match step.split_once(':') {
        Some((index, name)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => {
            (index.parse().ok()?, name)
        }
        _ => (0, step),
    };
    let (mut plain, mut marked) = (String::new(), false);
    for character in name.chars() {
        marked = character == '&' && !marked;
        if !marked {
            plain.push(character);
        }
    }
    (!plain.is_empty()).then(|| QualifiedName::new(index, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, Vec<String>, String, usize), PlaceError> {
        let mut namespaces = vec!["http://opcfoundation.org/UA/".to_owned(), "urn:one".to_owned()];
        let place = Place::parse(text, &mut namespaces)?;
        let folders = place.folders.iter().map(ToString::to_string).collect();
        Ok((place.id.to_string(), folders, place.name.to_string(), namespaces.len()))
    }

    fn expected(id: &str, folders: &[&str], name: &str, namespaces: usize) -> (String, Vec<String>, String, usize) {
        (id.into(), folders.iter().map(|folder| (*folder).into()).collect(), name.into(), namespaces)
    }

    #[test]
    fn node_ids_and_paths_lead_somewhere() {
        assert_eq!(
            parsed("ns=2;s=Tank.Level"),
            Ok(expected("ns=2;s=Tank.Level", &["2:Namespace2"], "2:Tank.Level", 3))
        );
        assert_eq!(parsed("nsu=urn:one;i=7"), Ok(expected("ns=1;i=7", &["1:Namespace1"], "1:ns=1;i=7", 2)));
        assert_eq!(parsed("nsu=urn:two;s=A"), Ok(expected("ns=2;s=A", &["2:Namespace2"], "2:A", 3)));
        assert_eq!(parsed("/Objects/1:Tank/1:Le&/vel"), Ok(expected("ns=1;s=Tank.Le/vel", &["1:Tank"], "1:Le/vel", 2)));
    }

    #[test]
    fn what_is_no_place_is_told() {
        for text in ["", "hr:0", "/", "/Objects", "/Types/1:A", "nsu=urn:one", "/Objects//1:A"] {
            assert_eq!(parsed(text), Err(PlaceError::Text(text.into())), "{text}");
        }
        for text in ["i=85", "/Objects/Tank/Level", "ns=2000;s=A"] {
            assert_eq!(parsed(text), Err(PlaceError::Namespace(text.into())), "{text}");
        }
    }
}
