//! From the parser's places, which count characters, to ours, which count bytes.

use saphyr_parser::{Marker, Span as Marked};

use crate::config::source::Span;

/// How many characters lie between two known places.
const STEP: usize = 16;

/// Finds the byte of a character quickly.
pub(super) struct Places<'s> {
    text: &'s str,
    /// The byte of each [`STEP`]th character; empty when each character is one byte.
    known: Vec<u32>,
}

impl<'s> Places<'s> {
    pub(super) fn new(text: &'s str) -> Places<'s> {
        let known = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STEP).map(|(byte, _)| byte as u32).collect()
        };
        Places { text, known }
    }

    /// The part without blanks and comments after it, which the parser counts to a text in quotes.
    pub(super) fn span(&self, marked: Marked) -> Span {
        let start = self.byte(marked.start);
        let end = self.byte(marked.end).max(start);
        let part = self.text.get(start as usize..end as usize).unwrap_or_default();
        let part = quoted(part).unwrap_or(part);
        Span { start, end: start + part.trim_end().len() as u32 }
    }

    /// Where in the source a text stands letter by letter, if it does.
    pub(super) fn verbatim(&self, text: &str, span: Span) -> Option<Span> {
        let written = self.text.get(span.start as usize..span.end as usize)?;
        let quotes = written.len().checked_sub(text.len())? / 2;
        let start = span.start + quotes as u32;
        (written.get(quotes..quotes + text.len())? == text).then_some(Span { start, end: start + text.len() as u32 })
    }

    pub(super) fn byte(&self, marker: Marker) -> u32 {
        let character = marker.index();
        let length = self.text.len();
        if self.known.is_empty() {
            return character.min(length) as u32;
        }
        let Some(start) = self.known.get(character / STEP) else { return length as u32 };
        let rest = self.text.get(*start as usize..).unwrap_or_default();
        let within = rest.char_indices().nth(character % STEP).map_or(rest.len(), |(byte, _)| byte);
        *start + within as u32
    }
}

/// A text that begins with a quote, up to its partner: `\"` does not end a text in double quotes, nor `''` one in single.
fn quoted(part: &str) -> Option<&str> {
    let quote = part.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut rest = part.char_indices().skip(1).peekable();
    while let Some((at, character)) = rest.next() {
        match (character, rest.peek()) {
            ('\\', _) if quote == '"' => drop(rest.next()),
            ('\'', Some((_, '\''))) if quote == '\'' => drop(rest.next()),
            (end, _) if end == quote => return part.get(..at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_quotes_ends_with_its_quote() {
        let cases = [
            (r#""a" # "b""#, Some(r#""a""#)),
            (r#""a\"b" x"#, Some(r#""a\"b""#)),
            ("'it''s'  # c", Some("'it''s'")),
            ("'a", None),
            ("a 'b'", None),
            ("", None),
        ];
        for (part, expected) in cases {
            assert_eq!(quoted(part), expected, "{part}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_character_is_found(text in "[a°€😀\n]{0,400}") {
            let places = Places::new(&text);
            for (character, (byte, _)) in text.char_indices().enumerate() {
                assert_eq!(places.byte(Marker::new(character, 1, 0)) as usize, byte);
            }
            assert_eq!(places.byte(Marker::new(text.chars().count(), 1, 0)) as usize, text.len());
            assert_eq!(places.byte(Marker::new(usize::MAX, 1, 0)) as usize, text.len());
        }
    }
}
