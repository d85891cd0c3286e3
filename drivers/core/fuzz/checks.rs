//! What must hold for any text that people write and any bytes that devices send. Run by the fuzz targets, and by the
//! tests over the corpus.

use std::ops::Range;
use std::time::Duration;

use super::tested::{
    AddressParts, DataType, ELEMENTS_MAX, EndpointUrl, Field, Layout, Order, Place, STRING_MAX, SpecError, Typed,
    Value, parse_type, parse_value,
};

/// Runs `input` through the parser that the fuzz target of that name tests.
pub(crate) fn check(target: &str, input: &[u8]) {
    match target {
        "url" => on_text(input, url),
        "address" => on_text(input, address),
        "field" => field(input),
        "value" => value(input),
        other => panic!("there is no fuzz target {other}"),
    }
}

fn on_text(input: &[u8], check: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(input) {
        check(text);
    }
}

fn url(text: &str) {
    let url: EndpointUrl = match text.parse() {
        Ok(url) => url,
        Err(error) => return in_url(text, &error),
    };
    assert_eq!((url.as_str(), url.to_string().as_str()), (text, text));
    assert!(!url.scheme().is_empty() && text.starts_with(url.scheme()));
    assert_ne!(url.port(), Some(0));
    in_url(text, &url.host_error("wrong"));
    in_url(text, &url.path_error("wrong"));
    let mut options = url.options();
    let unit = options.parse("unit", "a number", |text| text.parse::<u8>().ok());
    assert!(unit.is_none() || options.has("unit"));
    if let Some(time) = options.duration("timeout") {
        assert!(!time.is_zero() && time <= Duration::from_secs(86_400), "{time:?}");
    }
    options.error("baud", "wrong");
    let errors = options.finish(&[("unit", "the unit")]).expect_err("one was added");
    errors.iter().for_each(|error| in_url(text, error));
}

fn in_url(text: &str, error: &SpecError) {
    match &error.place {
        Place::Url(range) => inside(text, range),
        other => panic!("{other:?} is no place in a URL"),
    }
}

fn inside(text: &str, range: &Range<usize>) {
    assert!(text.get(range.clone()).is_some(), "{range:?} of `{text}`");
}

/// What is understood is understood again when it is printed.
fn address(text: &str) {
    match parse_type(text, 0..text.len()) {
        Ok(typed) => bounded(text, &typed),
        Err(error) => inside(text, &error.range),
    }
    match AddressParts::parse(text) {
        Ok(parts) => {
            assert!(text.starts_with(parts.location));
            parts.typed.iter().for_each(|typed| bounded(text, typed));
            let printed = print(&parts);
            let again = AddressParts::parse(&printed).expect("what is printed is an address");
            assert_eq!(print(&again), printed);
            assert_eq!((again.location, again.order), (parts.location, parts.order));
        }
        Err(error) => inside(text, &error.range),
    }
}

fn bounded(text: &str, typed: &Typed) {
    inside(text, &typed.range);
    assert!(typed.elements.is_none_or(|count| (1..=ELEMENTS_MAX).contains(&count)));
    if let DataType::String(length) | DataType::Wstring(length) = typed.data_type {
        assert!((1..=STRING_MAX).contains(&length));
    }
}

fn print(parts: &AddressParts<'_>) -> String {
    let typed = parts.typed.as_ref().map(|typed| match typed.elements {
        Some(count) => format!(":{}[{count}]", typed.data_type),
        None => format!(":{}", typed.data_type),
    });
    let order = parts.order.map(|order| format!("@{order}"));
    format!("{}{}{}", parts.location, typed.unwrap_or_default(), order.unwrap_or_default())
}

/// What decodes is encoded to bytes that decode to it. The first six bytes make the field.
fn field(input: &[u8]) {
    let Some((&[kind, length, form, elements, bit, at], bytes)) = input.split_first_chunk() else { return };
    let field = Field {
        data_type: data_type(kind, length),
        order: Order::ALL[usize::from(form % 4)],
        layout: [Layout::Registers, Layout::Bytes, Layout::Bits][usize::from(form / 4 % 3)],
        elements: (elements > 0).then_some(u16::from(elements)),
        bit,
    };
    let Some(value) = field.decoder(u32::from(at)).decode(bytes).filter(|_| field.is_known()) else { return };
    assert!(field.units() > 0 && field.grain() > 0);
    let encoded = match field.encode(&value) {
        Ok(encoded) => encoded,
        // Latin-1 is told as UTF-8, which may be longer.
        Err(error) => return assert!(matches!(field.data_type, DataType::String(_)), "{value}: {error}"),
    };
    assert_eq!((encoded.len(), field.mask().len()), (field.bytes(), field.bytes()));
    let again = field.decoder(0).decode(&encoded).expect("what was encoded decodes");
    assert_eq!(format!("{again:?}"), format!("{value:?}"), "{field:?}");
    assert_eq!(field.encode(&again).as_ref(), Ok(&encoded), "{field:?} {value:?}");
}

/// What people type is printed so that they can type it again. The first three bytes say what is wanted.
fn value(input: &[u8]) {
    let Some((&[kind, length, elements], text)) = input.split_first_chunk() else { return };
    let (data_type, elements) = (data_type(kind, length), usize::from(elements));
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(value) = parse_value(text, data_type, elements) else { return };
    let count = if let Value::Array(values) = &value { values.len() } else { 1 };
    assert_eq!(count, elements);
    let array = (elements != 1).then_some(elements as u16);
    // Whether it fits is the codec's matter.
    drop(Field { elements: array, ..Field::in_registers(data_type) }.encode(&value));
    let printed = value.to_string();
    let again = parse_value(&printed, data_type, elements).expect("what is printed can be typed");
    assert_eq!(format!("{again:?}"), format!("{value:?}"), "{data_type} {printed}");
}

fn data_type(kind: u8, length: u8) -> DataType {
    let names: Vec<&str> = DataType::names().collect();
    match DataType::from_name(names[usize::from(kind) % names.len()]) {
        Some(DataType::String(_)) => DataType::String(u16::from(length)),
        Some(DataType::Wstring(_)) => DataType::Wstring(u16::from(length)),
        Some(other) => other,
        None => panic!("a name of the list is known"),
    }
}
