//! From words to an expression whose kinds are right.

use std::ops::Range;

use driver_core::TagId;

use super::lex::{Word, words};
use super::{DEPTH_MAX, Expression, Kind, Node, Operator, Wrong};

/// Finds a tag by the parts of its name, and tells what it gives. The error is what is wrong, and what to do.
pub type Resolve<'a> = dyn FnMut(&[&str]) -> Result<(TagId, Kind), (String, String)> + 'a;

/// Understands an expression.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(text: &str, resolve: &mut Resolve<'_>) -> Result<Expression, Wrong> {
    let words = words(text)?;
    let mut parser = Parser { words: &words, next: 0, end: text.len(), depth: 0, operands: Vec::new(), resolve };
    let part = parser.or()?;
    if let Some((_, at)) = parser.words.get(parser.next) {
        let message = format!("`{}` cannot stand here", &text[at.clone()]);
        return Err(Wrong { at: at.clone(), message, help: "write `and` or `or` between two conditions".into() });
    }
    Ok(Expression { root: part.node, text: text.into(), operands: parser.operands.into(), kind: part.kind })
}

struct Part {
    node: Node,
    kind: Kind,
    at: Range<usize>,
}

struct Parser<'a, 'r> {
    words: &'a [(Word, Range<usize>)],
    next: usize,
    /// The length of the text.
    end: usize,
    depth: usize,
    operands: Vec<TagId>,
    resolve: &'a mut Resolve<'r>,
}

const OR: [(&str, Operator); 2] = [("or", Operator::Or), ("||", Operator::Or)];
const AND: [(&str, Operator); 2] = [("and", Operator::And), ("&&", Operator::And)];
const COMPARE: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];
const SUM: [(&str, Operator); 2] = [("+", Operator::Plus), ("-", Operator::Minus)];
const PRODUCT: [(&str, Operator); 2] = [("*", Operator::Times), ("/", Operator::Over)];

impl Parser<'_, '_> {
    fn or(&mut self) -> Result<Part, Wrong> {
        self.chain(&OR, Kind::Bool, Self::and)
    }

    fn and(&mut self) -> Result<Part, Wrong> {
        self.chain(&AND, Kind::Bool, Self::not)
    }

    fn not(&mut self) -> Result<Part, Wrong> {
        let Some(at) = self.take(&["not", "!"]) else { return self.compare() };
        let part = self.deeper(Self::not)?;
        self.wanted(&part, Kind::Bool)?;
        Ok(Part { at: at.start..part.at.end, kind: Kind::Bool, node: Node::Not(Box::new(part.node)) })
    }

    fn compare(&mut self) -> Result<Part, Wrong> {
        let left = self.sum()?;
        let Some(operator) = self.operator(&COMPARE) else { return Ok(left) };
        let right = self.sum()?;
        let at = left.at.start..right.at.end;
        if !left.kind.fits(right.kind) {
            let message = format!("{} is compared with {}", left.kind.name(), right.kind.name());
            return Err(Wrong { at, message, help: "compare values of one kind".into() });
        }
        if !matches!(operator, Operator::Equal | Operator::NotEqual) {
            self.wanted(&left, Kind::Number)?;
            self.wanted(&right, Kind::Number)?;
        }
        Ok(Part { at, kind: Kind::Bool, node: Node::Two(operator, Box::new((left.node, right.node))) })
    }

    fn sum(&mut self) -> Result<Part, Wrong> {
        self.chain(&SUM, Kind::Number, Self::product)
    }

    fn product(&mut self) -> Result<Part, Wrong> {
        self.chain(&PRODUCT, Kind::Number, Self::sign)
    }

    fn sign(&mut self) -> Result<Part, Wrong> {
        let Some(at) = self.take(&["-"]) else { return self.one() };
        let part = self.deeper(Self::sign)?;
        self.wanted(&part, Kind::Number)?;
        Ok(Part { at: at.start..part.at.end, kind: Kind::Number, node: Node::Minus(Box::new(part.node)) })
    }

    /// Parts of one kind with operators between them, which give the same kind. They nest to the left.
    fn chain(
        &mut self,
        operators: &[(&str, Operator)],
        kind: Kind,
        part: fn(&mut Self) -> Result<Part, Wrong>,
    ) -> Result<Part, Wrong> {
        let mut left = part(self)?;
        let before = self.depth;
        while let Some(operator) = self.operator(operators) {
            let right = part(self)?;
            self.wanted(&left, kind)?;
            self.wanted(&right, kind)?;
            self.descend(&right.at)?;
            let at = left.at.start..right.at.end;
            left = Part { at, kind, node: Node::Two(operator, Box::new((left.node, right.node))) };
        }
        self.depth = before;
        Ok(left)
    }

    fn one(&mut self) -> Result<Part, Wrong> {
        let Some((word, at)) = self.words.get(self.next).cloned() else {
            let message = "the expression ends too early".into();
            return Err(Wrong { at: self.end..self.end, message, help: "write a value or a tag".into() });
        };
        self.next += 1;
        let part = |node, kind| Ok(Part { node, kind, at: at.clone() });
        match word {
            Word::Number(number) => part(Node::Number(number), Kind::Number),
            Word::Text(text) => part(Node::Text(text), Kind::Text),
            Word::Name(name) if &*name == "true" => part(Node::Bool(true), Kind::Bool),
            Word::Name(name) if &*name == "false" => part(Node::Bool(false), Kind::Bool),
            Word::Name(name) if matches!(&*name, "and" | "or" | "not") => {
                let message = format!("`{name}` cannot stand here");
                Err(Wrong { at, message, help: "a part that begins with `not` stands in parentheses".into() })
            }
            Word::Name(name) | Word::Quoted(name) => self.tag(name, at),
            Word::Sign("(") => {
                let inside = self.deeper(Self::or)?;
                match self.take(&[")"]) {
                    Some(end) => Ok(Part { at: at.start..end.end, ..inside }),
                    None => Err(Wrong { at, message: "`(` has no partner".into(), help: "close it with )".into() }),
                }
            }
            Word::Sign(sign) => {
                let message = format!("`{sign}` cannot stand here");
                Err(Wrong { at, message, help: "write a value or a tag".into() })
            }
        }
    }

    fn tag(&mut self, first: Box<str>, at: Range<usize>) -> Result<Part, Wrong> {
        let (mut parts, mut end) = (vec![first], at.end);
        while self.take(&["."]).is_some() {
            let Some((Word::Name(name) | Word::Quoted(name), part_at)) = self.words.get(self.next) else {
                let message = "after the dot a name is missing".into();
                return Err(Wrong { at: at.start..end, message, help: "write DEVICE.TAG".into() });
            };
            parts.push(name.clone());
            (self.next, end) = (self.next + 1, part_at.end);
        }
        let names: Vec<&str> = parts.iter().map(|part| &**part).collect();
        let at = at.start..end;
        let (tag, kind) = (self.resolve)(&names).map_err(|(message, help)| Wrong { at: at.clone(), message, help })?;
        let known = self.operands.iter().position(|operand| *operand == tag);
        let index = known.unwrap_or_else(|| {
            self.operands.push(tag);
            self.operands.len() - 1
        });
        Ok(Part { node: Node::Tag(index), kind, at })
    }

    fn deeper(&mut self, part: fn(&mut Self) -> Result<Part, Wrong>) -> Result<Part, Wrong> {
        let at = self.words.get(self.next).map_or(self.end..self.end, |(_, at)| at.clone());
        self.descend(&at)?;
        let part = part(self)?;
        self.depth -= 1;
        Ok(part)
    }

    fn descend(&mut self, at: &Range<usize>) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("the expression is nested deeper than {DEPTH_MAX}");
        Err(Wrong { at: at.clone(), message, help: "write it shorter".into() })
    }

    fn wanted(&self, part: &Part, kind: Kind) -> Result<(), Wrong> {
        if part.kind.fits(kind) {
            return Ok(());
        }
        let message = format!("here stands {}, where {} is wanted", part.kind.name(), kind.name());
        Err(Wrong { at: part.at.clone(), message, help: String::new() })
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        let (_, operator) = operators.iter().find(|(sign, _)| self.is_next(sign))?;
        self.next += 1;
        Some(*operator)
    }

    fn take(&mut self, signs: &[&str]) -> Option<Range<usize>> {
        let (_, at) = self.words.get(self.next).filter(|_| signs.iter().any(|sign| self.is_next(sign)))?;
        self.next += 1;
        Some(at.clone())
    }

    fn is_next(&self, sign: &str) -> bool {
        match self.words.get(self.next) {
            Some((Word::Sign(word), _)) => *word == sign,
            Some((Word::Name(word), _)) => &**word == sign,
            _ => false,
        }
    }
}
