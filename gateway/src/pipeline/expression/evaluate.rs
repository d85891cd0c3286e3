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

#[derive(Debug, Clone, Copy, PartialEq)]
enum Item<'a> {
    Bool(bool),
    Number(f64),
    Text(&'a str),
}

impl Expression {
    /// Whether the condition holds.
    ///
    /// # Errors
    /// It is not known: an operand cannot be used, or something is no number.
    pub fn holds(&self, read: impl Fn(TagId) -> Operand) -> Result<bool, NotKnown> {
        let operand = |tag: &TagId| match read(*tag) {
            Operand::Good(value) => {
                item(*tag, &value)?;
                Ok(value)
            }
            Operand::Unusable(why) => Err(NotKnown::Operand(*tag, why)),
        };
        let operands: Vec<Value> = self.operands.iter().map(operand).collect::<Result<_, _>>()?;
        match self.evaluate(&|index| operands.get(index))? {
            Item::Bool(holds) => Ok(holds),
            Item::Number(_) | Item::Text(_) => Err(NotKnown::NoNumber),
        }
    }

    /// What it gives for usable operands, by their places: an LREAL, a BOOL or a text. Allocates for a text only.
    ///
    /// # Errors
    /// Something is no number, or of another type than the configuration said.
    pub fn value<'a>(&'a self, operand: impl Fn(usize) -> Option<&'a Value>) -> Result<Value, NotKnown> {
        Ok(match self.evaluate(&operand)? {
            Item::Bool(value) => Value::Bool(value),
            Item::Number(number) => Value::LReal(number),
            Item::Text(text) => Value::Text(text.into()),
        })
    }

    fn evaluate<'a>(&'a self, operand: &dyn Fn(usize) -> Option<&'a Value>) -> Result<Item<'a>, NotKnown> {
        let read = |index: usize| {
            let (tag, value) = (self.operands.get(index), operand(index));
            tag.zip(value).ok_or(NotKnown::NoNumber).and_then(|(tag, value)| item(*tag, value))
        };
        evaluate(&self.root, &read)
    }
}

fn item(tag: TagId, value: &Value) -> Result<Item<'_>, NotKnown> {
    match value {
        Value::Bool(value) => Ok(Item::Bool(*value)),
        Value::Text(text) => Ok(Item::Text(text)),
        value => match value.as_f64() {
            Some(number) => finite(number),
            None => Err(NotKnown::Operand(tag, "of a type that has no place here")),
        },
    }
}

fn finite<'a>(number: f64) -> Result<Item<'a>, NotKnown> {
    if number.is_finite() { Ok(Item::Number(number)) } else { Err(NotKnown::NoNumber) }
}

fn evaluate<'a>(node: &'a Node, read: &dyn Fn(usize) -> Result<Item<'a>, NotKnown>) -> Result<Item<'a>, NotKnown> {
    match node {
        Node::Number(number) => Ok(Item::Number(*number)),
        Node::Bool(value) => Ok(Item::Bool(*value)),
        Node::Text(text) => Ok(Item::Text(text)),
        Node::Tag(index) => read(*index),
        Node::Not(node) => match evaluate(node, read)? {
            Item::Bool(value) => Ok(Item::Bool(!value)),
            _ => Err(NotKnown::NoNumber),
        },
        Node::Minus(node) => match evaluate(node, read)? {
            Item::Number(number) => Ok(Item::Number(-number)),
            _ => Err(NotKnown::NoNumber),
        },
        Node::Two(operator, both) => two(*operator, evaluate(&both.0, read)?, evaluate(&both.1, read)?),
    }
}

fn two<'a>(operator: Operator, left: Item<'a>, right: Item<'a>) -> Result<Item<'a>, NotKnown> {
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
