//! The part of the address grammar that drivers share: `location [":" type ["(" n ")"] ["[" n "]"]] ["@" order]`.

use std::ops::Range;

use crate::{DataType, Order};

/// Most elements of an array.
pub const ELEMENTS_MAX: u16 = 10_000;
/// Most characters of a string.
pub const STRING_MAX: u16 = 4_096;

/// An address taken apart; what the location means is the driver's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressParts<'a> {
    /// What stands before type and order; it begins at the text's first byte.
    pub location: &'a str,
    /// The type, where one is written.
    pub typed: Option<Typed>,
    /// The order, where one is written.
    pub order: Option<Order>,
}

/// A type as written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// The type, with a string's length.
    pub data_type: DataType,
    /// The number of elements, where it is an array.
    pub elements: Option<u16>,
    /// Where it stands in the address.
    pub range: Range<usize>,
}

/// What is wrong with an address, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AddressError {
    /// Bytes within the address.
    pub range: Range<usize>,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl AddressError {
    /// An error about a part of the address.
    pub fn new(range: Range<usize>, message: impl Into<String>) -> AddressError {
        AddressError { range, message: message.into() }
    }
}

impl<'a> AddressParts<'a> {
    /// Takes an address apart.
    ///
    /// # Errors
    /// An unknown type or order, with the nearest known one, or a length that cannot be.
    pub fn parse(text: &'a str) -> Result<AddressParts<'a>, AddressError> {
        AddressParts::parse_with(text, None)
    }

    /// As [`AddressParts::parse`], where a string without a length has this one.
    ///
    /// # Errors
    /// As [`AddressParts::parse`].
    pub fn parse_with(text: &'a str, string_length: Option<u16>) -> Result<AddressParts<'a>, AddressError> {
        let (rest, order) = split_order(text)?;
        let Some(colon) = type_colon(rest) else { return Ok(AddressParts { location: rest, typed: None, order }) };
        let typed = parse_type_with(rest, colon + 1..rest.len(), string_length)?;
        Ok(AddressParts { location: &rest[..colon], typed: Some(typed), order })
    }
}

/// A type with its length and number of elements, such as `STRING(20)[3]`, at `range` of `text`.
///
/// # Errors
/// As [`AddressParts::parse`].
pub fn parse_type(text: &str, range: Range<usize>) -> Result<Typed, AddressError> {
    parse_type_with(text, range, None)
}

fn parse_type_with(text: &str, range: Range<usize>, string_length: Option<u16>) -> Result<Typed, AddressError> {
    let (rest, elements) = bracketed(text, range.clone(), ['[', ']'])?;
    let (name, length) = bracketed(text, rest, ['(', ')'])?;
    let written = &text[name.clone()];
    let data_type = DataType::from_name(written).ok_or_else(|| unknown_type(written, name.clone()))?;
    let length =
        length.or_else(|| string_length.filter(|_| is_string(data_type)).map(|n| (u32::from(n), name.clone())));
    let data_type = with_length(data_type, length, name)?;
    let elements = elements.map(|(count, at)| limited(count, ELEMENTS_MAX, "elements", at)).transpose()?;
    Ok(Typed { data_type, elements, range })
}

/// The candidate that is most like `word`, if any is near enough to be meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    let length = word.chars().count();
    let far = length.div_ceil(3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= far)
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn split_order(text: &str) -> Result<(&str, Option<Order>), AddressError> {
    let Some(at) = text.rfind('@') else { return Ok((text, None)) };
    let order = Order::from_name(&text[at + 1..]).ok_or_else(|| {
        AddressError::new(
            at + 1..text.len(),
            "a byte order is ABCD, CDAB, BADC or DCBA (A is the most significant byte)",
        )
    })?;
    Ok((&text[..at], Some(order)))
}

/// The colon before a type; a type begins with a letter, and something stands before the colon.
fn type_colon(text: &str) -> Option<usize> {
    let colon = text.rfind(':').filter(|colon| *colon > 0)?;
    text[colon + 1..].starts_with(|first: char| first.is_ascii_alphabetic()).then_some(colon)
}

type Counted = Option<(u32, Range<usize>)>;

/// Splits a number in brackets off the end.
fn bracketed(
    text: &str,
    range: Range<usize>,
    [open, close]: [char; 2],
) -> Result<(Range<usize>, Counted), AddressError> {
    let part = &text[range.clone()];
    let Some(inner) = part.strip_suffix(close) else { return Ok((range, None)) };
    let wrong = || AddressError::new(range.clone(), format!("expected a number between `{open}` and `{close}`"));
    let at = inner.rfind(open).ok_or_else(wrong)?;
    let digits = range.start + at + 1..range.start + inner.len();
    let number = text[digits.clone()].parse().map_err(|_| wrong())?;
    Ok((range.start..range.start + at, Some((number, digits))))
}

fn with_length(data_type: DataType, length: Counted, name: Range<usize>) -> Result<DataType, AddressError> {
    let needed =
        |name: Range<usize>| AddressError::new(name, "a string needs its length in characters, such as STRING(20)");
    match (data_type, length) {
        (DataType::String(_), Some((length, at))) => {
            limited(length, STRING_MAX, "characters", at).map(DataType::String)
        }
        (DataType::Wstring(_), Some((length, at))) => {
            limited(length, STRING_MAX, "characters", at).map(DataType::Wstring)
        }
        (DataType::String(_) | DataType::Wstring(_), None) => Err(needed(name)),
        (other, None) => Ok(other),
        (other, Some((_, at))) => {
            let message = format!("only strings have a length; an array of {other} is written {other}[n]");
            Err(AddressError::new(at, message))
        }
    }
}

fn is_string(data_type: DataType) -> bool {
    matches!(data_type, DataType::String(_) | DataType::Wstring(_))
}

fn limited(number: u32, max: u16, what: &str, at: Range<usize>) -> Result<u16, AddressError> {
    u16::try_from(number)
        .ok()
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| AddressError::new(at, format!("{number} {what}: expected 1 to {max}")))
}

/// Names that other languages and tools give to types, with the type meant: the nearest IEC name would be another.
const FOREIGN_TYPES: [(&str, &str); 17] = [
    ("boolean", "BOOL"),
    ("int8", "SINT"),
    ("uint8", "USINT"),
    ("int16", "INT"),
    ("short", "INT"),
    ("uint16", "UINT"),
    ("ushort", "UINT"),
    ("int32", "DINT"),
    ("long", "DINT"),
    ("uint32", "UDINT"),
    ("ulong", "UDINT"),
    ("int64", "LINT"),
    ("uint64", "ULINT"),
    ("float16", "F16"),
    ("float", "REAL"),
    ("float32", "REAL"),
    ("float64", "LREAL"),
];

fn unknown_type(written: &str, at: Range<usize>) -> AddressError {
    let foreign = FOREIGN_TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(written)).map(|(_, meant)| *meant);
    let near = match foreign.or_else(|| nearest(written, DataType::names())) {
        Some(name) => format!("did you mean {name}?"),
        None => "types are BOOL, INT, UINT, DINT, UDINT, LINT, ULINT, REAL, LREAL, WORD, STRING(n), …".into(),
    };
    AddressError::new(at, format!("unknown type `{written}`; {near}"))
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, one) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, other) in right.iter().enumerate() {
            let mut best = (row[j] + usize::from(one != other)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *one == right[j - 1] && left[i - 1] == *other {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(data_type: DataType, elements: Option<u16>, range: Range<usize>) -> Option<Typed> {
        Some(Typed { data_type, elements, range })
    }

    #[test]
    fn addresses_are_taken_apart() {
        let cases = [
            ("hr:100", "hr:100", None, None),
            ("hr:100:REAL@CDAB", "hr:100", typed(DataType::Real, None, 7..11), Some(Order::Cdab)),
            ("hr:0:int[10]", "hr:0", typed(DataType::Int, Some(10), 5..12), None),
            ("DB2.DBB8:STRING(32)[2]", "DB2.DBB8", typed(DataType::String(32), Some(2), 9..22), None),
            ("hr:50.3", "hr:50.3", None, None),
            ("co:5@BA", "co:5", None, Some(Order::Dcba)),
        ];
        for (text, location, typed, order) in cases {
            assert_eq!(AddressParts::parse(text), Ok(AddressParts { location, typed, order }), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_a_near_name() {
        let cases = [
            ("hr:0:RAEL", 5..9, "did you mean REAL?"),
            ("hr:0:UNIT", 5..9, "did you mean UINT?"),
            ("hr:0:float32", 5..12, "did you mean REAL?"),
            ("hr:0:uint32", 5..11, "did you mean UDINT?"),
            ("hr:0:colour", 5..11, "types are BOOL"),
            ("hr:0:STRING", 5..11, "needs its length"),
            ("hr:0:INT(3)", 9..10, "INT[n]"),
            ("hr:0:INT[0]", 9..10, "expected 1 to"),
            ("hr:0:INT[x]", 5..11, "expected a number"),
            ("hr:0:INT[99999999999]", 5..21, "expected a number"),
            ("hr:0:STRING(70000)", 12..17, "expected 1 to"),
            ("hr:0:INT]", 5..9, "expected a number"),
            ("hr:0@ACBD", 5..9, "ABCD, CDAB"),
        ];
        for (text, range, message) in cases {
            let error = AddressParts::parse(text).expect_err(text);
            assert_eq!(error.range, range, "{text}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_ranges_lie_within(text in "(\\PC|[:\\[\\]()@a-z0-9]){0,30}") {
            if let Err(error) = AddressParts::parse(&text) {
                assert!(text.get(error.range).is_some());
            }
        }
    }
}
