//! Patterns of paths: which of the variables below a node are tags.
//!
//! ```text
//! /Objects/2:Line7/**          every variable below Line7, at any depth
//! /Objects/2:Line7/*/2:Level   the Level of each thing right below it
//! /Objects/**/Temp*            whose name begins so; without an index in any namespace
//! ```
//! What stands before the first step with a `*`, a `?` or a `**` is a path as in an address.

use driver_core::{AddressError, glob};

use super::Step;
use super::parse::steps;

/// A pattern: where it begins, and what has to lie below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    /// The browse names from the root to where the pattern begins.
    pub(crate) root: Box<[Step]>,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Any number of names, none too.
    Deep,
    /// One name.
    Name { namespace: Option<u16>, pattern: Box<str> },
}

/// How much of a pattern the names so far have taken: each of these parts may be next.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Taken(Box<[usize]>);

impl Glob {
    /// Understands a pattern.
    ///
    /// # Errors
    /// What is wrong, where, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Glob, AddressError> {
        if !text.starts_with('/') {
            let message = "a pattern is a path with `*`, `?` or `**` in it, such as /Objects/2:Line7/**";
            return Err(AddressError::new(0..text.len(), message));
        }
        let written = steps(text)?;
        let fixed = written.iter().take_while(|step| !step.is_pattern).count();
        if fixed == written.len() {
            let message = "this is the path of one node: write it as a tag's address, or end it with /* or /**";
            return Err(AddressError::new(0..text.len(), message));
        }
        let mut written = written.into_iter();
        let root = written.by_ref().take(fixed);
        let root = root.map(|step| Step { namespace: step.namespace.unwrap_or(0), name: step.name }).collect();
        let parts = written.map(|step| match &*step.name {
            "**" if step.is_pattern && step.namespace.is_none() => Part::Deep,
            // As in a path: a whole name without an index is one of the standard's own.
            _ if !step.is_pattern => Part::Name { namespace: Some(step.namespace.unwrap_or(0)), pattern: step.name },
            _ => Part::Name { namespace: step.namespace, pattern: step.name },
        });
        Ok(Glob { root, parts: parts.collect() })
    }

    /// At the node where the pattern begins.
    pub(crate) fn begin(&self) -> Taken {
        self.with_deep(vec![0])
    }

    /// One name further down.
    pub(crate) fn below(&self, taken: &Taken, namespace: u16, name: &str) -> Taken {
        let mut next = Vec::new();
        for at in taken.0.iter() {
            match self.parts.get(*at) {
                Some(Part::Deep) => next.push(*at),
                Some(Part::Name { namespace: wanted, pattern })
                    if wanted.is_none_or(|wanted| wanted == namespace) && glob::matches(pattern, name) =>
                {
                    next.push(at + 1);
                }
                Some(Part::Name { .. }) | None => {}
            }
        }
        self.with_deep(next)
    }

    /// Whether a variable here is a tag.
    pub(crate) fn is_whole(&self, taken: &Taken) -> bool {
        taken.0.contains(&self.parts.len())
    }

    /// Whether something further down may be one.
    pub(crate) fn goes_on(&self, taken: &Taken) -> bool {
        taken.0.iter().any(|at| *at < self.parts.len())
    }

    /// `**` is also no name at all.
    fn with_deep(&self, mut at: Vec<usize>) -> Taken {
        let mut index = 0;
        while let Some(part) = at.get(index).copied() {
            if self.parts.get(part) == Some(&Part::Deep) && !at.contains(&(part + 1)) {
                at.push(part + 1);
            }
            index += 1;
        }
        at.sort_unstable();
        at.dedup();
        Taken(at.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a path below the pattern's begin is a tag, and whether it is looked into.
    fn at(pattern: &str, path: &[(u16, &str)]) -> (bool, bool) {
        let glob = Glob::parse(pattern).expect(pattern);
        let taken = path.iter().fold(glob.begin(), |taken, (namespace, name)| glob.below(&taken, *namespace, name));
        (glob.is_whole(&taken), glob.goes_on(&taken))
    }

    #[test]
    fn stars_stand_for_one_name_and_two_for_any_depth() {
        for (pattern, path, expected) in [
            ("/Objects/2:Line/**", &[(2, "Tank"), (3, "Level")][..], (true, true)),
            ("/Objects/2:Line/**", &[], (true, true)),
            ("/Objects/2:Line/*", &[(2, "Level")], (true, false)),
            ("/Objects/2:Line/*", &[(2, "Tank"), (2, "Level")], (false, false)),
            ("/Objects/*/2:Level", &[(2, "Tank"), (2, "Level")], (true, false)),
            ("/Objects/*/2:Level", &[(2, "Tank"), (3, "Level")], (false, false)),
            ("/Objects/*/Level", &[(2, "Tank"), (2, "Level")], (false, false)),
            ("/Objects/**/Temp*", &[(2, "a"), (3, "b"), (4, "Temperature")], (true, true)),
            ("/Objects/**/Temp*", &[(2, "a"), (3, "b")], (false, true)),
            ("/Objects/**/2:a/**", &[(2, "x"), (2, "a"), (2, "y")], (true, true)),
            ("/Objects/2:T?nk*", &[(2, "Tank 1")], (true, false)),
        ] {
            assert_eq!(at(pattern, path), expected, "{pattern} {path:?}");
        }
    }

    #[test]
    fn a_pattern_begins_with_a_path_and_has_a_star() {
        let glob = Glob::parse("/Objects/2:a&/b/**").expect("a pattern");
        let step = |namespace, name: &str| Step { namespace, name: name.into() };
        assert_eq!(*glob.root, [step(0, "Objects"), step(2, "a/b")]);
        for (pattern, words) in [
            ("ns=2;s=a*", "such as /Objects/2:Line7/**"),
            ("/Objects/2:a", "the path of one node"),
            ("/Objects/2:a&*", "the path of one node"),
            ("/Objects//**", "a browse name stands between slashes"),
            ("/Objects/99999:*", "0 to 65535"),
        ] {
            let error = Glob::parse(pattern).expect_err(pattern);
            assert!(error.message.contains(words), "{pattern}: {error}");
        }
    }
}
