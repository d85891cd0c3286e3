//! From a place within a value to its place in the file.

use std::ops::Range;

use crate::config::fault::Faults;
use crate::config::source::{Source, Span, Spanned};

/// The part of the source that a part of a text comes from; all of the text where escapes or line breaks are in between.
pub(super) fn part_of(source: &Source, text: Spanned<&str>, range: Range<usize>) -> Span {
    let written = source.part(text.span);
    let quotes = (written.len().saturating_sub(text.value.len())) / 2;
    if written.get(quotes..written.len() - quotes) != Some(text.value) {
        return text.span;
    }
    let quotes = quotes as u32;
    Span { start: text.span.start + quotes, end: text.span.end - quotes }.within(range)
}

/// Whatever stands before an `@` in a URL may be a password: it is never shown.
pub(super) fn hide_login(source: &Source, url: Span, faults: &mut Faults) {
    let written = source.part(url);
    let from = written.find("//").map_or(0, |at| at + 2);
    if let Some(to) = written.rfind('@').filter(|to| *to > from) {
        faults.hide(url.within(from..to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_value_is_found_in_the_file() {
        let source = Source::new("x", "plain \"quoted\" \"a\\x41b\"");
        let part = |start, end, value, range| {
            let text = Spanned { value, span: Span { start, end } };
            source.part(part_of(&source, text, range))
        };
        assert_eq!(part(0, 5, "plain", 1..3), "la");
        assert_eq!(part(6, 14, "quoted", 0..2), "qu");
        assert_eq!(part(6, 14, "quoted", 4..99), "ed");
        assert_eq!(part(15, 23, "aAb", 1..2), "\"a\\x41b\"");
    }
}
