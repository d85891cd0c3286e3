//! One text, or a list of them.

use serde_json::{Value, json};

use super::{Context, Form, Key, Text};
use crate::config::schema::Definitions;
use crate::config::source::Spanned;
use crate::config::tree::{Content, Node};

/// One or several of them.
pub(in crate::config) struct OneOrMore(pub(in crate::config) Text);

impl<'t> Form<'t> for OneOrMore {
    type Value = Vec<Spanned<&'t str>>;

    fn read(&self, context: &mut Context<'t>, key: Key<'t>, node: &Node) -> Option<Self::Value> {
        let one = |context: &mut Context<'t>, node: &Node| {
            self.0.read(context, key, node).map(|value| Spanned { value, span: node.span })
        };
        match &node.content {
            Content::List(nodes) => Some(nodes.iter().filter_map(|node| one(context, node)).collect()),
            _ => one(context, node).map(|value| vec![value]),
        }
    }

    fn expected(&self) -> String {
        format!("{}, or a list of them", Form::expected(&self.0))
    }

    fn schema(&self, definitions: &mut Definitions) -> Value {
        let one = Form::schema(&self.0, definitions);
        json!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
