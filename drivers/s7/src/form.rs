//! How a value lies in a PLC's bytes, and the parts of which a write consists.
//!
//! Numbers, bit strings and characters lie as wide as they are, most significant byte first, and are the shared codec's
//! matter. Siemens has forms of its own for the rest:
//!
//! ```text
//! STRING(n)       longest (1) | length (1) | n characters of 8 bits (Latin-1)
//! WSTRING(n)      longest (2) | length (2) | n characters of 16 bits
//! DATE            days since 1990-01-01 (2)
//! DATE_AND_TIME   year month day hour minute second (a BCD byte each) | milliseconds (3 BCD digits) weekday (1 digit)
//! DTL             year (2) month day weekday hour minute second (1 each) nanoseconds (4)
//! S5TIME          0 (2 bits) base (2 bits: 10 ms, 100 ms, 1 s, 10 s) | 3 BCD digits; timers hold the same
//! counter         3 BCD digits in two bytes
//! ```
//! What is no value of its form (a digit above 9, the 30th of February, a length beyond the longest) has none: nothing is
//! made up.

mod clock;
mod text;

pub(crate) use text::{STRING_MAX, too_long};

#[cfg(test)]
mod tests;

use driver_core::{DataType, Field, Layout, Order, Value, WriteError};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;
/// The highest count of a counter.
const COUNT_MAX: i64 = 999;

/// How a value lies in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    field: Field,
    shape: Shape,
}

/// Whose matter the form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The shared codec's.
    Shared,
    /// The shared codec's, less than a day.
    TimeOfDay,
    Date,
    DateAndTime,
    Dtl,
    S5time,
    Counter,
    String,
    Wstring,
}

/// A [`Form`] at a place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    at: u32,
    form: Form,
}

/// A part of what a write carries; `at` counts bytes from the beginning of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Bytes.
    Bytes {
        /// Where.
        at: u32,
        /// What.
        bytes: Vec<u8>,
    },
    /// A single bit.
    Bit {
        /// Its byte.
        at: u32,
        /// Its place in the byte, 0 being the least significant.
        bit: u8,
        /// Whether it is set.
        on: bool,
    },
    /// A text. Its head says how many characters the PLC takes, and stays as it is.
    Text {
        /// Where its head is.
        at: u32,
        /// Bytes of each of the two numbers before the characters.
        head: TextHead,
        /// How many characters it has.
        len: usize,
        /// Length and characters.
        bytes: Vec<u8>,
    },
}

/// The numbers before a text's characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextHead {
    /// A byte each.
    Narrow,
    /// Two bytes each.
    Wide,
}

impl TextHead {
    /// Bytes of each of the two numbers.
    pub fn bytes(self) -> u16 {
        match self {
            TextHead::Narrow => 1,
            TextHead::Wide => 2,
        }
    }
}

impl Form {
    /// A value of this type, or an array of them. `bit` is the first bit of a BOOL in its byte.
    pub fn new(data_type: DataType, elements: Option<u16>, bit: u8, order: Order) -> Form {
        let shape = match data_type {
            DataType::TimeOfDay | DataType::Ltod => Shape::TimeOfDay,
            DataType::Date => Shape::Date,
            DataType::DateAndTime => Shape::DateAndTime,
            DataType::Dtl => Shape::Dtl,
            DataType::S5time => Shape::S5time,
            DataType::String(_) => Shape::String,
            DataType::Wstring(_) => Shape::Wstring,
            _ => Shape::Shared,
        };
        Form { field: Field { data_type, order, layout: Layout::Bytes, elements, bit }, shape }
    }

    /// The count of a counter, or of several.
    pub fn counter(elements: Option<u16>) -> Form {
        Form { shape: Shape::Counter, ..Form::new(DataType::Uint, elements, 0, Order::Abcd) }
    }

    /// How many bytes the value fills.
    pub fn bytes(&self) -> usize {
        match self.shape {
            Shape::Shared | Shape::TimeOfDay => self.field.bytes(),
            _ => self.count() * self.stride(),
        }
    }

    /// How many bytes must be read in one piece, so that no element is torn.
    pub fn grain(&self) -> usize {
        match self.shape {
            Shape::Shared | Shape::TimeOfDay => self.field.grain(),
            _ => self.stride(),
        }
    }

    /// The decoder of this form where it begins `at` bytes into an answer.
    pub fn decoder(self, at: u32) -> Decoder {
        Decoder { at, form: self }
    }

    /// The parts that write `value`.
    ///
    /// # Errors
    /// [`WriteError::Value`] where the value does not fit the type.
    pub fn encode(&self, value: &Value) -> Result<Vec<Part>, WriteError> {
        match self.shape {
            Shape::Shared if self.field.data_type == DataType::Bool => self.bits(value),
            Shape::Shared => Ok(vec![Part::Bytes { at: 0, bytes: self.field.encode(value)? }]),
            Shape::TimeOfDay => {
                let is_within = |value: &Value| !matches!(value, Value::TimeOfDay(nanos) if !is_time_of_day(*nanos));
                if !self.all(value, is_within) {
                    return Err(self.misfit("a time of day lies between 00:00 and 24:00".into()));
                }
                Ok(vec![Part::Bytes { at: 0, bytes: self.field.encode(value)? }])
            }
            _ => self.own(value),
        }
    }

    /// The bits of a BOOL, each by itself, so that those beside it stay.
    fn bits(&self, value: &Value) -> Result<Vec<Part>, WriteError> {
        let bytes = self.field.encode(value)?;
        let first = usize::from(self.field.bit);
        let bit = |index: usize| {
            let (at, bit) = ((first + index) / 8, (first + index) % 8);
            Part::Bit { at: at as u32, bit: bit as u8, on: bytes.get(at).is_some_and(|byte| byte >> bit & 1 == 1) }
        };
        Ok((0..self.count()).map(bit).collect())
    }

    /// Siemens' own forms.
    fn own(&self, value: &Value) -> Result<Vec<Part>, WriteError> {
        let elements = match (self.field.elements, value) {
            (None, Value::Array(_)) => return Err(self.misfit("it is no array, one value is wanted".into())),
            (None, one) => std::slice::from_ref(one),
            (Some(count), Value::Array(all)) if all.len() == usize::from(count) => all,
            (Some(count), _) => return Err(self.misfit(format!("an array of {count} elements is wanted"))),
        };
        let mut parts = Vec::new();
        let mut bytes = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let at = (index * self.stride()) as u32;
            let put = match self.shape {
                Shape::String => self.text(text::narrow(element, self.length()), at, TextHead::Narrow, &mut parts),
                Shape::Wstring => self.text(text::wide(element, self.length()), at, TextHead::Wide, &mut parts),
                Shape::Date => clock::put_date(element, &mut bytes),
                Shape::DateAndTime => clock::put_date_and_time(element, &mut bytes),
                Shape::Dtl => clock::put_dtl(element, &mut bytes),
                Shape::S5time => clock::put_s5time(element, &mut bytes),
                Shape::Counter => put_counter(element, &mut bytes),
                Shape::Shared | Shape::TimeOfDay => Ok(()),
            };
            put.map_err(|cause| self.misfit(cause))?;
        }
        if !bytes.is_empty() {
            parts.push(Part::Bytes { at: 0, bytes });
        }
        Ok(parts)
    }

    fn text(
        &self,
        encoded: Result<text::Encoded, String>,
        at: u32,
        head: TextHead,
        parts: &mut Vec<Part>,
    ) -> Result<(), String> {
        let text::Encoded { len, bytes } = encoded?;
        parts.push(Part::Text { at, head, len, bytes });
        Ok(())
    }

    fn misfit(&self, cause: String) -> WriteError {
        let data_type = match self.field.elements {
            None => self.field.data_type.to_string(),
            Some(count) => format!("{}[{count}]", self.field.data_type),
        };
        WriteError::Value { data_type, cause }
    }

    fn all(&self, value: &Value, holds: impl Fn(&Value) -> bool) -> bool {
        match value {
            Value::Array(elements) => elements.iter().all(holds),
            one => holds(one),
        }
    }

    fn count(&self) -> usize {
        self.field.elements.map_or(1, usize::from)
    }

    /// Characters of a text.
    fn length(&self) -> usize {
        match self.field.data_type {
            DataType::String(length) | DataType::Wstring(length) => usize::from(length),
            _ => 0,
        }
    }

    /// Bytes from one element to the next.
    fn stride(&self) -> usize {
        match self.shape {
            Shape::Date | Shape::S5time | Shape::Counter => 2,
            Shape::DateAndTime => 8,
            Shape::Dtl => 12,
            Shape::String => 2 + self.length(),
            Shape::Wstring => 4 + 2 * self.length(),
            Shape::Shared | Shape::TimeOfDay => self.field.grain(),
        }
    }

    fn decode_one(&self, bytes: &[u8]) -> Option<Value> {
        match self.shape {
            Shape::Date => clock::date(bytes),
            Shape::DateAndTime => clock::date_and_time(bytes),
            Shape::Dtl => clock::dtl(bytes),
            Shape::S5time => clock::s5time(bytes),
            Shape::Counter => counter(bytes),
            Shape::String => text::from_narrow(bytes, self.length()),
            Shape::Wstring => text::from_wide(bytes, self.length()),
            Shape::Shared | Shape::TimeOfDay => None,
        }
    }
}

impl Decoder {
    /// The same place in an answer that begins at byte `to` instead of `from`.
    pub(crate) fn moved(self, from: u32, to: u32) -> Decoder {
        Decoder { at: (self.at + from).saturating_sub(to), ..self }
    }

    /// The value in the bytes of an answer; `None` where they are no value of the type.
    pub fn decode(&self, answer: &[u8]) -> Option<Value> {
        let form = &self.form;
        match form.shape {
            Shape::Shared => form.field.decoder(self.at).decode(answer),
            Shape::TimeOfDay => form.field.decoder(self.at).decode(answer).filter(|value| {
                form.all(value, |one| matches!(one, Value::TimeOfDay(nanos) if is_time_of_day(*nanos)))
            }),
            _ => {
                let bytes = answer.get(self.at as usize..)?.get(..form.bytes())?;
                let mut elements = bytes.chunks_exact(form.stride()).map(|bytes| form.decode_one(bytes));
                match form.field.elements {
                    None => elements.next()?,
                    Some(_) => elements.collect::<Option<_>>().map(Value::Array),
                }
            }
        }
    }
}

fn is_time_of_day(nanos: i64) -> bool {
    (0..NANOS_PER_DAY).contains(&nanos)
}

/// The number that these bytes spell in BCD.
fn bcd(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |number, byte| {
        let (high, low) = (byte >> 4, byte & 15);
        (high < 10 && low < 10).then(|| number * 100 + i64::from(high) * 10 + i64::from(low))
    })
}

/// A number below 100 in a BCD byte.
fn to_bcd(number: i64) -> u8 {
    (number / 10 % 10 * 16 + number % 10) as u8
}

fn counter(bytes: &[u8]) -> Option<Value> {
    bcd(bytes).filter(|count| *count <= COUNT_MAX).map(|count| Value::UInt(count as u64))
}

fn put_counter(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let count = value.as_f64().filter(|count| count.fract() == 0.0 && (0.0..=COUNT_MAX as f64).contains(count));
    let count =
        count.ok_or_else(|| format!("a counter holds whole numbers from 0 to {COUNT_MAX}, `{value}` came"))? as i64;
    out.extend_from_slice(&[to_bcd(count / 100), to_bcd(count % 100)]);
    Ok(())
}
