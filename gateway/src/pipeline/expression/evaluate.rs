//! What an expression gives.

use driver_core::{TagId, Value};

use super::{Expression, Node, Operator};

/// The last reading of a tag, as far as it can be used.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Good and fresh.
    Good(Value),
    /// Not to be relied on, and why: a word such as `timeout`, `old` or `missing`.
    Unusable(&'static str),
}

/// Why an expression gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotKnown {
    /// The reading of a tag cannot be used; why.
    Operand(TagId, &'static str),
    /// A result is no finite number, such as after a division by zero.
    NoNumber,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Bool(bool),
    Number(f64),
    Text(Box<str>),
}

impl Expression {
    /// Whether the condition holds.
    ///
    /// # Errors
    /// It is not known: an operand cannot be used, or something is no number.
    pub fn holds(&self, read: impl Fn(TagId) -> Operand) -> Result<bool, NotKnown> {
        match self.evaluate(read)? {
            Item::Bool(holds) => Ok(holds),
            Item::Number(_) | Item::Text(_) => Err(NotKnown::NoNumber),
        }
    }

    fn evaluate(&self, read: impl Fn(TagId) -> Operand) -> Result<Item, NotKnown> {
        let operands: Vec<Item> = self.operands.iter().map(|tag| item(*tag, read(*tag))).collect::<Result<_, _>>()?;
        evaluate(&self.root, &operands)
    }
}

fn item(tag: TagId, operand: Operand) -> Result<Item, NotKnown> {
    match operand {
        Operand::Good(Value::Bool(value)) => Ok(Item::Bool(value)),
        Operand::Good(Value::Text(text)) => Ok(Item::Text(text)),
        Operand::Good(value) => match value.as_f64() {
            Some(number) => finite(number),
            None => Err(NotKnown::Operand(tag, "of a type that has no place here")),
        },
        Operand::Unusable(why) => Err(NotKnown::Operand(tag, why)),
    }
}

fn finite(number: f64) -> Result<Item, NotKnown> {
    if number.is_finite() { Ok(Item::Number(number)) } else { Err(NotKnown::NoNumber) }
}

fn evaluate(node: &Node, operands: &[Item]) -> Result<Item, NotKnown> {
    match node {
        Node::Number(number) => Ok(Item::Number(*number)),
        Node::Bool(value) => Ok(Item::Bool(*value)),
        Node::Text(text) => Ok(Item::Text(text.clone())),
        Node::Tag(index) => operands.get(*index).cloned().ok_or(NotKnown::NoNumber),
        Node::Not(node) => match evaluate(node, operands)? {
            Item::Bool(value) => Ok(Item::Bool(!value)),
            _ => Err(NotKnown::NoNumber),
        },
        Node::Minus(node) => match evaluate(node, operands)? {
            Item::Number(number) => Ok(Item::Number(-number)),
            _ => Err(NotKnown::NoNumber),
        },
        Node::Two(operator, both) => two(*operator, evaluate(&both.0, operands)?, evaluate(&both.1, operands)?),
    }
}

fn two(operator: Operator, left: Item, right: Item) -> Result<Item, NotKnown> {
    match (left, right) {
        (Item::Bool(left), Item::Bool(right)) => match operator {
            Operator::Or => Ok(Item::Bool(left || right)),
            Operator::And => Ok(Item::Bool(left && right)),
            Operator::Equal => Ok(Item::Bool(left == right)),
            Operator::NotEqual => Ok(Item::Bool(left != right)),
            _ => Err(NotKnown::NoNumber),
        },
        (Item::Text(left), Item::Text(right)) => match operator {
            Operator::Equal => Ok(Item::Bool(left == right)),
            Operator::NotEqual => Ok(Item::Bool(left != right)),
            _ => Err(NotKnown::NoNumber),
        },
        (Item::Number(left), Item::Number(right)) => match operator {
            Operator::Equal => Ok(Item::Bool(left == right)),
            Operator::NotEqual => Ok(Item::Bool(left != right)),
            Operator::Less => Ok(Item::Bool(left < right)),
            Operator::LessOrEqual => Ok(Item::Bool(left <= right)),
            Operator::Greater => Ok(Item::Bool(left > right)),
            Operator::GreaterOrEqual => Ok(Item::Bool(left >= right)),
            Operator::Plus => finite(left + right),
            Operator::Minus => finite(left - right),
            Operator::Times => finite(left * right),
            Operator::Over => finite(left / right),
            Operator::Or | Operator::And => Err(NotKnown::NoNumber),
        },
        _ => Err(NotKnown::NoNumber),
    }
}
