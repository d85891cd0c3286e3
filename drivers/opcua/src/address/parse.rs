//! Text to addresses.

use driver_core::{AddressError, DataType, nearest, parse_type};

use super::{Address, EVENTS, Identifier, Namespace, Place, Step, What};

/// Most characters of a text identifier or a name (Part 3, 8.2.4).
const TEXT_MAX: usize = 4_096;
/// Most names in a path.
const STEPS_MAX: usize = 64;

const EXPECTED: &str = "an OPC UA address is a node id such as ns=2;s=Tank.Level or ns=2;i=1001, the same by the namespace's \
                        name, nsu=urn:plant;s=Tank.Level, or a path such as /Objects/2:Tank/2:Level";

impl Address {
    /// Understands an address.
    ///
    /// # Errors
    /// What is wrong, where, and what to write instead.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if let Some(node) = text.strip_prefix(EVENTS) {
            let shifted = |error: AddressError| {
                let range = error.range.start + EVENTS.len()..error.range.end + EVENTS.len();
                AddressError::new(range, error.message)
            };
            return Ok(Address { place: place(node).map_err(shifted)?, what: What::Events, data_type: None });
        }
        let (rest, data_type) = split_type(text)?;
        Ok(Address { place: place(rest)?, what: What::Value, data_type })
    }
}

fn place(text: &str) -> Result<Place, AddressError> {
    if text.starts_with('/') { path(text) } else { node(text) }
}

/// A type after the last semicolon: a name of a type in capital letters, as PLC4X writes it. What a text identifier has
/// there stays its own unless it is one.
fn split_type(text: &str) -> Result<(&str, Option<DataType>), AddressError> {
    let Some(at) = text.rfind(';') else { return Ok((text, None)) };
    let word = &text[at + 1..];
    let is_word = word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '(' | ')'));
    // The server knows how long its texts are: a STRING needs no length here.
    let with_length = || parse_type(word, 0..word.len()).ok().filter(|typed| typed.elements.is_none());
    match DataType::from_name(word).or_else(|| with_length().map(|typed| typed.data_type)) {
        Some(data_type) if is_word => Ok((&text[..at], Some(data_type))),
        // Behind a number nothing else can stand.
        None if is_word && text[..at].rsplit(';').next().is_some_and(|part| part.starts_with("i=")) => {
            let near = nearest(word, DataType::names()).map(|near| format!("; did you mean {near}?"));
            Err(AddressError::new(at + 1..text.len(), format!("unknown type `{word}`{}", near.unwrap_or_default())))
        }
        _ => Ok((text, None)),
    }
}

fn node(text: &str) -> Result<Place, AddressError> {
    let whole = || AddressError::new(0..text.len(), EXPECTED);
    if let Some(after) = text.strip_prefix("nsu=") {
        let end = after.find(';').filter(|end| *end > 0).ok_or_else(whole)?;
        let uri = after[..end].replace("%3B", ";").replace("%3b", ";").replace("%25", "%");
        return identifier(text, 4 + end + 1).map(|id| Place::Node(Namespace::Uri(uri.into()), id));
    }
    if let Some(after) = text.strip_prefix("ns=") {
        let end = after.find(';').ok_or_else(whole)?;
        let index = number(text, 3..3 + end, "the index of a namespace is a number from 0 to 65535")?;
        return identifier(text, 3 + end + 1).map(|id| Place::Node(Namespace::Index(index), id));
    }
    if let Some((index, _)) = text.split_once('!').filter(|(index, _)| index.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let index_end = index.len();
        let index =
            number(text, 0..index_end, "Neuron's form is the namespace's index, `!` and the name: 2!Tank.Level")?;
        let name = &text[index_end + 1..];
        let id = match name.parse() {
            Ok(number) => Identifier::Number(number),
            Err(_) => identifier_text(text, index_end + 1)?,
        };
        return Ok(Place::Node(Namespace::Index(index), id));
    }
    identifier(text, 0).map(|id| Place::Node(Namespace::Index(0), id))
}

fn identifier(text: &str, from: usize) -> Result<Identifier, AddressError> {
    let wrong = |message: &str| AddressError::new(from..text.len(), message);
    let Some((kind, value)) = text[from..].split_once('=') else { return Err(wrong(EXPECTED)) };
    match kind {
        "i" => number(text, from + 2..text.len(), "i= is followed by a number from 0 to 4294967295")
            .map(Identifier::Number),
        "s" => identifier_text(text, from + 2),
        "g" => guid(value)
            .map(Identifier::Guid)
            .ok_or_else(|| wrong("g= is followed by a GUID, such as 72962b91-fa75-4ae6-8d28-b404dc7daf63")),
        "b" => from_base64(value)
            .filter(|bytes| !bytes.is_empty() && bytes.len() <= TEXT_MAX)
            .map(|bytes| Identifier::Opaque(bytes.into()))
            .ok_or_else(|| wrong("b= is followed by bytes in base64, such as M/RbKBsRVkePCePcx24oRA==")),
        _ => Err(wrong(EXPECTED)),
    }
}

fn identifier_text(text: &str, from: usize) -> Result<Identifier, AddressError> {
    let value = &text[from..];
    if value.is_empty() || value.chars().count() > TEXT_MAX {
        return Err(AddressError::new(from..text.len(), format!("a name of 1 to {TEXT_MAX} characters stands here")));
    }
    Ok(Identifier::Text(value.into()))
}

fn number<T: std::str::FromStr>(text: &str, range: std::ops::Range<usize>, expected: &str) -> Result<T, AddressError> {
    let digits = text.get(range.clone()).unwrap_or_default();
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_digits).ok_or_else(|| AddressError::new(range, expected))
}

fn path(text: &str) -> Result<Place, AddressError> {
    let step = |written: Written| Step { namespace: written.namespace.unwrap_or(0), name: written.name };
    Ok(Place::Path(steps(text)?.into_iter().map(step).collect()))
}

/// A browse name as written.
pub(super) struct Written {
    /// The index of its namespace, where one is written.
    pub(super) namespace: Option<u16>,
    pub(super) name: Box<str>,
    /// It has a `*` or a `?` without an `&` before it.
    pub(super) is_pattern: bool,
}

/// The browse names between the slashes of a path.
pub(super) fn steps(text: &str) -> Result<Vec<Written>, AddressError> {
    let mut steps = Vec::new();
    let mut at = 1;
    while at <= text.len() {
        let (step, end) = step(text, at)?;
        steps.push(step);
        at = end + 1;
    }
    if steps.len() > STEPS_MAX {
        return Err(AddressError::new(0..text.len(), format!("a path has at most {STEPS_MAX} names")));
    }
    Ok(steps)
}

/// The browse name that begins at `from`, and where it ends.
fn step(text: &str, from: usize) -> Result<(Written, usize), AddressError> {
    let (mut name, mut namespace, mut escaped, mut is_pattern) = (String::new(), None, false, false);
    let mut end = text.len();
    for (offset, character) in text[from..].char_indices() {
        match character {
            _ if escaped => {
                name.push(character);
                escaped = false;
            }
            '&' => escaped = true,
            '/' => {
                end = from + offset;
                break;
            }
            ':' if namespace.is_none() && name.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => {
                let expected = "the index of a namespace is a number from 0 to 65535";
                namespace = Some(number(text, from..from + offset, expected)?);
                name.clear();
            }
            other => {
                is_pattern |= matches!(other, '*' | '?');
                name.push(other);
            }
        }
    }
    if name.is_empty() || escaped || name.chars().count() > TEXT_MAX {
        let message = "a browse name stands between slashes, with the index of its namespace: /Objects/2:Tank/2:Level";
        return Err(AddressError::new(from.min(text.len())..end, message));
    }
    Ok((Written { namespace, name: name.into(), is_pattern }, end))
}

/// The bytes of a GUID in the order in which it is written.
pub(crate) fn guid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    if groups != [8, 4, 4, 4, 12] {
        return None;
    }
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |index: usize| (pair[index] as char).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(bytes)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes in base64 with padding (RFC 4648, 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().enumerate().fold(0_u32, |word, (index, byte)| word | u32::from(*byte) << (16 - 8 * index));
        for place in 0..4 {
            let sextet = BASE64[(word >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= chunk.len() { sextet } else { '=' });
        }
    }
    text
}

/// The bytes of a base64 text, with or without its padding.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for chunk in digits.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for (index, digit) in chunk.iter().enumerate() {
            let value = BASE64.iter().position(|known| known == digit)?;
            word |= (value as u32) << (18 - 6 * index);
        }
        bytes.extend(word.to_be_bytes().iter().skip(1).take(chunk.len() - 1));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(namespace: Namespace, identifier: Identifier) -> Place {
        Place::Node(namespace, identifier)
    }

    #[test]
    fn every_form_is_understood() {
        let text = |text: &str| Identifier::Text(text.into());
        let uri = |uri: &str| Namespace::Uri(uri.into());
        let cases = [
            ("ns=2;s=Tank.Level", node(Namespace::Index(2), text("Tank.Level")), None, "ns=2;s=Tank.Level"),
            ("ns=2;s=a;b=c", node(Namespace::Index(2), text("a;b=c")), None, "ns=2;s=a;b=c"),
            (
                "ns=2;i=1001;REAL",
                node(Namespace::Index(2), Identifier::Number(1001)),
                Some(DataType::Real),
                "ns=2;i=1001;REAL",
            ),
            (
                "ns=2;i=7;STRING(8)",
                node(Namespace::Index(2), Identifier::Number(7)),
                Some(DataType::String(8)),
                "ns=2;i=7;STRING(8)",
            ),
            (
                "ns=2;s=name;STRING",
                node(Namespace::Index(2), text("name")),
                DataType::from_name("STRING"),
                "ns=2;s=name;STRING",
            ),
            ("i=2258", node(Namespace::Index(0), Identifier::Number(2258)), None, "i=2258"),
            ("nsu=urn:plant;s=Level", node(uri("urn:plant"), text("Level")), None, "nsu=urn:plant;s=Level"),
            ("nsu=a%3Bb;i=1", node(uri("a;b"), Identifier::Number(1)), None, "nsu=a%3Bb;i=1"),
            ("2!Tank.Level", node(Namespace::Index(2), text("Tank.Level")), None, "ns=2;s=Tank.Level"),
            ("2!1001", node(Namespace::Index(2), Identifier::Number(1001)), None, "ns=2;i=1001"),
            ("ns=1;b=AQID", node(Namespace::Index(1), Identifier::Opaque([1, 2, 3].into())), None, "ns=1;b=AQID"),
            (
                "ns=1;g=72962B91-FA75-4AE6-8D28-B404DC7DAF63",
                node(
                    Namespace::Index(1),
                    Identifier::Guid([
                        0x72, 0x96, 0x2b, 0x91, 0xfa, 0x75, 0x4a, 0xe6, 0x8d, 0x28, 0xb4, 0x04, 0xdc, 0x7d, 0xaf, 0x63,
                    ]),
                ),
                None,
                "ns=1;g=72962b91-fa75-4ae6-8d28-b404dc7daf63",
            ),
        ];
        for (written, place, data_type, canonical) in cases {
            let address = Address::parse(written).expect(written);
            assert_eq!(address, Address { place, what: What::Value, data_type }, "{written}");
            assert_eq!(address.to_string(), canonical);
        }
        for text in ["events:i=2253", "events:/Objects/2:Line7", "events:ns=2;s=a;REAL"] {
            let address = Address::parse(text).expect(text);
            assert_eq!((address.what, address.to_string().as_str()), (What::Events, text));
        }
        let error = Address::parse("events:ns=2;i=").expect_err("no number");
        assert_eq!(error.range, 14..14);
        let step = |namespace, name: &str| Step { namespace, name: name.into() };
        let path = Address::parse("/Objects/2:Tank/3:a&/b:c").expect("a path");
        assert_eq!(path.place, Place::Path([step(0, "Objects"), step(2, "Tank"), step(3, "a/b:c")].into()));
        assert_eq!(path.to_string(), "/Objects/2:Tank/3:a&/b&:c");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, range, message) in [
            ("Tank.Level", 0..10, "ns=2;s=Tank.Level"),
            ("ns=2", 0..4, "ns=2;s="),
            ("ns=70000;i=1", 3..8, "0 to 65535"),
            ("ns=2;i=x", 7..8, "a number"),
            ("ns=2;i=+1", 7..9, "a number"),
            ("ns=2;i=1;RAEL", 9..13, "did you mean REAL"),
            ("ns=2;s=", 7..7, "1 to 4096"),
            ("ns=2;g=12", 5..9, "a GUID"),
            ("ns=2;b=!", 5..8, "base64"),
            ("ns=2;x=1", 5..8, "ns=2;s="),
            ("/Objects//a", 9..9, "between slashes"),
            ("/", 1..1, "between slashes"),
            ("", 0..0, "ns=2;s="),
        ] {
            let error = Address::parse(text).expect_err(text);
            assert_eq!(error.range, range, "{text}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }

    fn places() -> impl Strategy<Value = Place> {
        let namespace = prop_oneof![
            any::<u16>().prop_map(Namespace::Index),
            "[a-z:/%;]{1,20}".prop_map(|uri| Namespace::Uri(uri.into()))
        ];
        let identifier = prop_oneof![
            any::<u32>().prop_map(Identifier::Number),
            "[a-z0-9.\"=!/ü;]{1,20}".prop_map(|text| Identifier::Text(text.into())),
            any::<[u8; 16]>().prop_map(Identifier::Guid),
            proptest::collection::vec(any::<u8>(), 1..20).prop_map(|bytes| Identifier::Opaque(bytes.into())),
        ];
        let step = (any::<u16>(), "\\PC{1,8}").prop_map(|(namespace, name)| Step { namespace, name: name.into() });
        prop_oneof![
            (namespace, identifier).prop_map(|(namespace, identifier)| Place::Node(namespace, identifier)),
            proptest::collection::vec(step, 1..5).prop_map(|steps| Place::Path(steps.into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_understood_as_the_same(place in places(), real: bool) {
            let data_type = real.then_some(DataType::Real);
            let address = Address { place, what: What::Value, data_type };
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
        }

        #[test]
        fn no_text_makes_it_panic_and_ranges_lie_within(text in "(\\PC|[:;=!/&a-z0-9]){0,30}") {
            if let Err(error) = Address::parse(&text) {
                prop_assert!(text.get(error.range).is_some());
            }
        }
    }
}
