//! From text to words.

use std::ops::Range;

use super::{EXPRESSION_BYTES_MAX, Wrong};

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Number(f64),
    Text(Box<str>),
    /// A name or a keyword.
    Name(Box<str>),
    /// A name in backticks, which is no keyword.
    Quoted(Box<str>),
    Sign(&'static str),
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 16] = ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "(", ")", "."];

/// The words with their places.
pub(super) fn words(text: &str) -> Result<Vec<(Word, Range<usize>)>, Wrong> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the expression has {} bytes", text.len());
        return Err(Wrong { at: 0..text.len(), message, help: format!("write at most {EXPRESSION_BYTES_MAX}") });
    }
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (word, length) = word(&text[at..], first).map_err(|(length, message, help)| Wrong {
            at: at..at + length,
            message,
            help: help.into(),
        })?;
        words.push((word, at..at + length));
        at += length;
    }
    Ok(words)
}

type Unknown = (usize, String, &'static str);

fn word(rest: &str, first: char) -> Result<(Word, usize), Unknown> {
    if first.is_ascii_digit() {
        return number(rest);
    }
    if first == '"' || first == '\'' || first == '`' {
        return quoted(rest, first);
    }
    if is_letter(first) {
        let length = rest.find(|next| !is_letter(next) && !char::is_numeric(next)).unwrap_or(rest.len());
        return Ok((Word::Name(rest[..length].into()), length));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Word::Sign(sign), sign.len())),
        None if first == '=' => Err((1, "`=` gives no answer".into(), "write == to compare")),
        None => Err((
            first.len_utf8(),
            format!("`{first}` cannot stand here"),
            "names with other characters than letters, digits and _ stand in backticks",
        )),
    }
}

fn is_letter(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn number(rest: &str) -> Result<(Word, usize), Unknown> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        length += 1 + sign + digits(length + 1 + sign);
    }
    match rest[..length].parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((Word::Number(number), length)),
        _ => Err((length, format!("`{}` is no number", &rest[..length]), "write one such as 21.5 or 1e-3")),
    }
}

fn quoted(rest: &str, mark: char) -> Result<(Word, usize), Unknown> {
    let inside = &rest[1..];
    match inside.find(mark) {
        Some(end) if mark == '`' => Ok((Word::Quoted(inside[..end].into()), end + 2)),
        Some(end) => Ok((Word::Text(inside[..end].into()), end + 2)),
        None => Err((rest.len(), format!("`{mark}` has no partner"), "close the text with the same mark")),
    }
}
