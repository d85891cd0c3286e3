//! The names behind the tag ids of a block, and which of them are wanted.

use std::path::PathBuf;
use std::sync::Arc;

use driver_core::{TagId, glob};

use crate::pipeline::schema::Schema;

/// What stands for the device of a tag whose name is lost, as in the messages.
pub(super) const DEVICE_UNKNOWN: &str = "unknown";

/// The names of the tags of one block after the other. Only the schema used last is held.
pub(super) struct Names<'a> {
    folder: PathBuf,
    patterns: &'a [String],
    known: Option<Known>,
}

struct Known {
    id: u32,
    schema: Option<Arc<Schema>>,
    /// By tag; empty where no pattern is given.
    chosen: Vec<bool>,
}

impl<'a> Names<'a> {
    /// Of the schemas in `folder`; without patterns every tag is wanted.
    pub(super) fn new(folder: PathBuf, patterns: &'a [String]) -> Names<'a> {
        Names { folder, patterns, known: None }
    }

    /// Takes the schema of the block that comes next.
    pub(super) fn load(&mut self, id: u32) {
        if self.known.as_ref().is_some_and(|known| known.id == id) {
            return;
        }
        let schema = Schema::load(&self.folder, id).map(Arc::new);
        let tags = schema.as_ref().filter(|_| !self.patterns.is_empty()).map_or(0, |schema| schema.tags());
        let name = |index: u32| schema.as_ref().and_then(|schema| schema.tag(TagId(index)));
        let chosen =
            (0..tags as u32).map(|index| name(index).is_some_and(|names| self.matches(names.device, names.tag)));
        let chosen = chosen.collect();
        self.known = Some(Known { id, schema, chosen });
    }

    /// The names; `None` when they are lost.
    pub(super) fn schema(&self) -> Option<&Arc<Schema>> {
        self.known.as_ref()?.schema.as_ref()
    }

    /// Whether a tag is wanted.
    pub(super) fn choose(&self, tag: TagId) -> bool {
        let known = self.known.as_ref().and_then(|known| known.chosen.get(tag.index()));
        self.patterns.is_empty()
            || known.copied().unwrap_or_else(|| self.matches(DEVICE_UNKNOWN, &format!("tag-{}", tag.0)))
    }

    fn matches(&self, device: &str, tag: &str) -> bool {
        let name = format!("{device}.{tag}");
        self.patterns.iter().any(|pattern| glob::matches(pattern, &name))
    }
}
