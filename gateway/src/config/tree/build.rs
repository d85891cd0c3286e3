//! Builds the tree from the parser's events, without recursion.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::places::Places;
use super::{Content, Entry, Node, Texts, Words};
use crate::config::fault::Faults;
use crate::config::source::{Source, Span};

/// How deep maps and lists may nest; a gateway file needs six.
const DEPTH_MAX: usize = 32;

/// The most nodes that aliases and merge keys may add up to.
const ALIASED_NODES_MAX: usize = 2_000_000;

/// Maps of up to this many keys are searched for duplicates one by one.
const SMALL_MAP: usize = 16;

const MERGE_KEY: &str = "<<";

/// A tree, and the texts that do not stand in the source as they are.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Node,
    pub(crate) beside: String,
}

/// The tree of a source; `None` when it is no YAML, or not of a kind that a configuration can be.
pub(crate) fn parse(source: &Source, faults: &mut Faults) -> Option<Tree> {
    let mut builder = Builder {
        places: Places::new(source.text()),
        source: source.text(),
        beside: String::new(),
        faults,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        aliased_nodes: 0,
    };
    let mut parser = Parser::new_from_str(source.text());
    loop {
        let event = match parser.next_event()? {
            Ok((Event::StreamEnd, _)) => break,
            Ok(event) => event,
            Err(error) => {
                builder.syntax_error(source, &error);
                return None;
            }
        };
        builder.event(event.0, builder.places.span(event.1)).ok()?;
    }
    Some(Tree { root: builder.root?, beside: builder.beside })
}

/// It makes no sense to read on; the fault has been told.
struct Stop;

struct Builder<'s, 'f> {
    places: Places<'s>,
    source: &'s str,
    beside: String,
    faults: &'f mut Faults,
    open: Vec<Open>,
    root: Option<Node>,
    /// The node of each anchor, with how many nodes it holds.
    anchors: HashMap<usize, (Node, usize)>,
    aliased_nodes: usize,
}

/// A map or a list whose end has not come yet.
struct Open {
    start: Span,
    anchor: usize,
    nodes: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(Words, Span)> },
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.as_deref(), span);
                let content = match style {
                    ScalarStyle::Plain if matches!(&*text, "" | "~" | "null") => Content::Nothing,
                    ScalarStyle::Plain => Content::Plain(self.words(&text, span)),
                    _ => Content::Quoted(self.words(&text, span)),
                };
                self.put(Node { span, content }, anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), span);
                self.open(span, anchor, Parts::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), span);
                self.open(span, anchor, Parts::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::DocumentStart(_) if self.root.is_some() => {
                self.faults.error(
                    span,
                    "a second document begins here",
                    "a configuration is one document: remove `---`",
                );
                Err(Stop)
            }
            _ => Ok(()),
        }
    }

    /// A text as a part of the source, or put beside it.
    fn words(&mut self, text: &str, span: Span) -> Words {
        if let Some(Span { start, end }) = self.places.verbatim(text, span) {
            return Words { start, end };
        }
        let start = (self.source.len() + self.beside.len()) as u32;
        self.beside.push_str(text);
        Words { start, end: start + text.len() as u32 }
    }

    fn text(&self, words: Words) -> &str {
        Texts { source: self.source, beside: &self.beside }.get(words)
    }

    fn open(&mut self, start: Span, anchor: usize, parts: Parts) -> Result<(), Stop> {
        if self.open.len() >= DEPTH_MAX {
            self.faults.error(start, format!("maps and lists are nested deeper than {DEPTH_MAX}"), "");
            return Err(Stop);
        }
        self.open.push(Open { start, anchor, nodes: 1, parts });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Stop> {
        let Some(Open { start, anchor, nodes, parts }) = self.open.pop() else { return Ok(()) };
        let content = match parts {
            Parts::List(nodes) => Content::List(nodes.into()),
            Parts::Map { entries, .. } => Content::Map(self.map(entries)?),
        };
        self.put(Node { span: Span { start: start.start, end: end.end.max(start.start) }, content }, anchor, nodes)
    }

    /// Puts a complete node where it belongs: into what is open, as key, value or item; or as the root.
    fn put(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.nodes += nodes;
        match &mut open.parts {
            Parts::List(items) => items.push(node),
            Parts::Map { entries, key } => match key.take() {
                Some((key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                None => match node.content {
                    Content::Plain(text) | Content::Quoted(text) => *key = Some((text, node.span)),
                    _ => {
                        let found = format!("a key must be a text, and here is {}", node.kind());
                        self.faults.error(node.span, found, "write `name: value`; quote a name that is `null` or `~`");
                        return Err(Stop);
                    }
                },
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
            self.faults.error(span, "the alias refers to something that it is itself a part of", "");
            return Err(Stop);
        };
        self.count_aliased(nodes, span)?;
        self.put(node, 0, nodes)
    }

    fn count_aliased(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        self.aliased_nodes = self.aliased_nodes.saturating_add(nodes);
        if self.aliased_nodes <= ALIASED_NODES_MAX {
            return Ok(());
        }
        let message = format!("aliases and merge keys add up to more than {ALIASED_NODES_MAX} values");
        self.faults.error(span, message, "use `templates` for what many devices share");
        Err(Stop)
    }

    /// The entries without duplicates, and with those of merge keys where they are not overridden.
    fn map(&mut self, entries: Vec<Entry>) -> Result<Rc<[Entry]>, Stop> {
        self.report_duplicates(&entries);
        let is_merge = |entry: &Entry| self.text(entry.key) == MERGE_KEY;
        if !entries.iter().any(is_merge) {
            return Ok(entries.into());
        }
        let (merges, mut own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(is_merge);
        let mut known: HashSet<String> = own.iter().map(|entry| self.text(entry.key).to_string()).collect();
        for merge in merges {
            let sources = match &merge.value.content {
                Content::List(list) => list,
                _ => std::slice::from_ref(&merge.value),
            };
            for source in sources {
                let Content::Map(entries) = &source.content else {
                    let found = format!("`<<` takes a map or a list of maps, and here is {}", source.kind());
                    self.faults.error(merge.value.span, found, "write, for example, `<<: *defaults`");
                    continue;
                };
                self.count_aliased(entries.len(), merge.key_span)?;
                own.extend(entries.iter().filter(|entry| known.insert(self.text(entry.key).to_string())).cloned());
            }
        }
        Ok(own.into())
    }

    fn report_duplicates(&mut self, entries: &[Entry]) {
        let texts = Texts { source: self.source, beside: &self.beside };
        let mut seen: HashSet<&str> = HashSet::new();
        for (index, entry) in entries.iter().enumerate() {
            let key = texts.get(entry.key);
            let is_second = if entries.len() <= SMALL_MAP {
                entries[..index].iter().any(|other| texts.get(other.key) == key)
            } else {
                !seen.insert(key)
            };
            if is_second {
                let message = format!("the key `{key}` stands here for the second time");
                self.faults.error(entry.key_span, message, "give one of the two another name, or remove it");
            }
        }
    }

    fn no_tag(&mut self, tag: Option<&saphyr_parser::Tag>, span: Span) {
        if let Some(tag) = tag {
            self.faults.error(span, format!("the YAML tag `{tag}` has no meaning here"), "remove it");
        }
    }

    /// The text is not YAML. Nothing is known of what stands where, so that whatever may be a secret is masked.
    fn syntax_error(&mut self, source: &Source, error: &ScanError) {
        let at = self.places.byte(*error.marker());
        let line = source.line_span(source.line_of(at).0);
        let text = source.part(line).to_ascii_lowercase();
        for word in ["password", "literal", "://"] {
            if let Some(found) = text.find(word) {
                self.faults.hide(Span { start: line.start + (found + word.len()) as u32, end: line.end });
            }
        }
        let help = "check the indentation here and in the lines above, that there are no tabs, and that quotes, braces \
                    and brackets are closed; a text with `: `, ` #`, `{`, `[` or `,` in it needs quotes";
        self.faults.error(Span { start: at, end: at }, format!("this is not YAML: {}", error.info()), help);
    }
}
