//! Looking for the variables where patterns point, without I/O: which nodes to browse next, and what was found.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use driver_core::FoundTag;
use opcua::types::NodeId;

use crate::address::{Address, Glob, Taken};

/// Most variables that are found for one device; the rest is told as left out.
const FOUND_MAX: usize = 100_000;
/// Most nodes that wait to be looked into; an address space may go on without an end.
const OPEN_MAX: usize = 200_000;
/// Most names above each other.
const DEPTH_MAX: usize = 64;
/// Longest name of a tag, bytes.
const NAME_BYTES_MAX: usize = 255;
/// What a server tells of itself and of its types is no part of a plant, unless a pattern begins there: Server, Types, Views.
const OF_ITSELF: [u32; 3] = [2253, 86, 87];

/// Looking through an address space, again and again.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) globs: Vec<Glob>,
    pub(crate) state: State,
    /// What the last walk came to, until it is taken.
    pub(crate) found: Option<Vec<FoundTag>>,
    /// The server said that its address space has changed since the last walk began.
    pub(crate) is_stale: bool,
    /// That a pattern begins nowhere was said.
    pub(crate) told_missing: bool,
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) enum State {
    /// It is to begin.
    #[default]
    Due,
    /// It is under way.
    Under(Box<Walk>),
    /// It has come to its end, and begins again then.
    Done(Instant),
}

/// A walk that has begun.
#[derive(Debug)]
pub(crate) struct Walk {
    globs: Vec<Glob>,
    open: VecDeque<Place>,
    been: HashSet<(NodeId, usize, Taken)>,
    variables: HashSet<NodeId>,
    found: Vec<FoundTag>,
    names: HashSet<Box<str>>,
    /// The last number that was put behind a name.
    numbers: HashMap<Box<str>, u32>,
    left_out: usize,
    /// The server does not have the begin of some pattern.
    pub(crate) lacks_root: bool,
}

/// A node to be looked into.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) node: NodeId,
    glob: usize,
    taken: Taken,
    /// The names from where the pattern begins.
    names: Vec<Box<str>>,
}

/// A node that was seen below another.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) node: NodeId,
    pub(crate) namespace: u16,
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    /// Its address where it becomes a tag.
    pub(crate) address: Address,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Variable,
}

/// What a walk came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) found: Vec<FoundTag>,
    /// How many variables were too many.
    pub(crate) left_out: usize,
}

impl Walk {
    /// A walk over these patterns, from the nodes where each begins; `None` for one whose begin the server does not have.
    pub(crate) fn begin(globs: &[Glob], roots: Vec<Option<NodeId>>) -> Walk {
        let mut walk = Walk {
            globs: globs.to_vec(),
            open: VecDeque::new(),
            been: HashSet::new(),
            variables: HashSet::new(),
            found: Vec::new(),
            names: HashSet::new(),
            numbers: HashMap::new(),
            left_out: 0,
            lacks_root: roots.iter().any(Option::is_none),
        };
        for (glob, root) in roots.into_iter().enumerate().take(globs.len()) {
            let taken = walk.globs[glob].begin();
            walk.open.extend(root.map(|node| Place { node, glob, taken, names: Vec::new() }));
        }
        walk
    }

    /// The next nodes to look into, at most so many; none at the end.
    pub(crate) fn next(&mut self, most: usize) -> Vec<Place> {
        let count = self.open.len().min(most);
        self.open.drain(..count).collect()
    }

    /// These could not be looked into yet.
    pub(crate) fn put_back(&mut self, places: Vec<Place>) {
        places.into_iter().rev().for_each(|place| self.open.push_front(place));
    }

    /// What lies below a place.
    pub(crate) fn take(&mut self, place: &Place, children: Vec<Child>) {
        for child in children {
            let glob = &self.globs[place.glob];
            let taken = glob.below(&place.taken, child.namespace, &child.name);
            let (is_whole, goes_on) = (glob.is_whole(&taken), glob.goes_on(&taken));
            let mut names = place.names.clone();
            names.push(child.name.clone());
            if is_whole && child.kind == Kind::Variable && self.variables.insert(child.node.clone()) {
                self.note(&names, &child);
            }
            let of_itself =
                child.node.namespace == 0 && child.node.as_u32().is_some_and(|number| OF_ITSELF.contains(&number));
            let has_room = self.open.len() < OPEN_MAX && names.len() < DEPTH_MAX;
            if goes_on && !of_itself && has_room && self.been.insert((child.node.clone(), place.glob, taken.clone())) {
                self.open.push_back(Place { node: child.node, glob: place.glob, taken, names });
            }
        }
    }

    fn note(&mut self, names: &[Box<str>], child: &Child) {
        if self.found.len() >= FOUND_MAX {
            self.left_out += 1;
            return;
        }
        let name = self.name_of(names);
        self.found.push(FoundTag { name, address: child.address.to_string().into() });
    }

    /// A name that no other has: the names on the way, with dots between them.
    fn name_of(&mut self, names: &[Box<str>]) -> Box<str> {
        let whole = names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(".");
        let wanted = end_of(&whole, NAME_BYTES_MAX);
        let mut name = wanted.to_owned();
        while !self.names.insert(name.as_str().into()) {
            let number = self.numbers.entry(wanted.into()).or_insert(1);
            *number += 1;
            let number = format!("_{number}");
            name = format!("{}{number}", end_of(wanted, NAME_BYTES_MAX - number.len()));
        }
        name.into()
    }

    /// What was found.
    pub(crate) fn end(self) -> Outcome {
        Outcome { found: self.found, left_out: self.left_out }
    }
}

/// A browse name without what has a meaning of its own in topics and between names.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || matches!(c, '/' | '+' | '#' | '.') { '_' } else { c }).collect()
}

/// So many bytes of the end of a text, where the names lie that tell tags apart.
fn end_of(text: &str, bytes: usize) -> &str {
    let from = (text.len().saturating_sub(bytes)..text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::What;

    fn child(name: &str, node: NodeId, kind: Kind) -> Child {
        let address = Address { place: crate::wire::place(&node), what: What::Value, data_type: None };
        Child { node, namespace: 2, name: name.into(), kind, address }
    }

    /// A plant of two tanks with a level each; the second leads back to the first.
    fn plant(node: &NodeId) -> Vec<Child> {
        let id = |name: &str| NodeId::new(2, name);
        let of = |name: &str, kind| child(name, id(name), kind);
        match node.to_string().as_str() {
            "i=85" => {
                let server = child("Server", NodeId::new(0, 2253_u32), Kind::Object);
                vec![of("T1", Kind::Object), of("T2", Kind::Object), server]
            }
            "ns=2;s=T1" => vec![child("Level", id("L1"), Kind::Variable), child("a/b", id("ab"), Kind::Variable)],
            "ns=2;s=T2" => vec![child("Level", id("L2"), Kind::Variable), of("T1", Kind::Object)],
            "ns=2;s=L1" => vec![child("Limit", id("L1.Limit"), Kind::Variable)],
            "i=2253" => panic!("what a server tells of itself is not looked into"),
            _ => Vec::new(),
        }
    }

    fn walked(patterns: &[&str]) -> Vec<(String, String)> {
        let globs: Vec<Glob> = patterns.iter().map(|text| Glob::parse(text).expect(text)).collect();
        let mut walk = Walk::begin(&globs, globs.iter().map(|_| Some(NodeId::objects_folder_id())).collect());
        let mut rounds = 0;
        loop {
            let places = walk.next(2);
            if places.is_empty() {
                break;
            }
            rounds += 1;
            assert!(rounds < 100, "a circle has an end");
            for place in places {
                let children = plant(&place.node);
                walk.take(&place, children);
            }
        }
        walk.end().found.into_iter().map(|tag| (tag.name.into(), tag.address.into())).collect()
    }

    #[test]
    fn variables_are_found_once_and_named_by_their_way() {
        let found = walked(&["/Objects/**"]);
        let expected = [
            ("T1.Level", "ns=2;s=L1"),
            ("T1.a_b", "ns=2;s=ab"),
            ("T2.Level", "ns=2;s=L2"),
            ("T1.Level.Limit", "ns=2;s=L1.Limit"),
        ];
        assert_eq!(found, expected.map(|(name, address)| (name.to_owned(), address.to_owned())));
        let names: Vec<String> = walked(&["/Objects/*/2:Level"]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["T1.Level", "T2.Level"]);
        assert_eq!(walked(&["/Objects/*/2:Level", "/Objects/2:T1/**"]).len(), 4, "each node once");
    }

    #[test]
    fn a_name_is_given_once_and_has_an_end() {
        let mut walk = Walk::begin(&[], Vec::new());
        let mut name = |names: &[&str]| -> String {
            let names: Vec<Box<str>> = names.iter().map(|name| (*name).into()).collect();
            walk.name_of(&names).into()
        };
        assert_eq!((name(&["a"]), name(&["a_2"]), name(&["a"])), ("a".into(), "a_2".into(), "a_3".into()));
        assert_eq!((name(&["a"]), name(&["a"])), ("a_4".into(), "a_5".into()));
        let long = "ä".repeat(200);
        let (first, second) = (name(&[&long]), name(&[&long]));
        assert!(first.len() <= NAME_BYTES_MAX && second.len() <= NAME_BYTES_MAX && first != second);
    }
}
