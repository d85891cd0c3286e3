//! The template's text, understood when the configuration is checked.

/// The longest template, bytes.
const PAYLOAD_BYTES_MAX: usize = 4096;

/// A template with places for what is known of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Box<[Part]>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Stands as it is.
    Literal(Box<str>),
    /// Something known of the reading.
    Word(Word, Form),
}

/// How something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Text,
    /// As JSON.
    Json,
}

/// What can be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Gateway,
    Device,
    Tag,
    Unit,
    Value,
    Time,
    TimeSeconds,
    TimeMillis,
    TimeMicros,
    TimeNanos,
    Quality,
    Reason,
    Status,
    Clock,
    Historical,
    Lane,
    Epoch,
    Seq,
}

const WORDS: &[(&str, Word)] = &[
    ("gateway", Word::Gateway),
    ("device", Word::Device),
    ("tag", Word::Tag),
    ("unit", Word::Unit),
    ("value", Word::Value),
    ("time", Word::Time),
    ("time_s", Word::TimeSeconds),
    ("time_ms", Word::TimeMillis),
    ("time_us", Word::TimeMicros),
    ("time_ns", Word::TimeNanos),
    ("quality", Word::Quality),
    ("reason", Word::Reason),
    ("status", Word::Status),
    ("clock", Word::Clock),
    ("historical", Word::Historical),
    ("lane", Word::Lane),
    ("epoch", Word::Epoch),
    ("seq", Word::Seq),
];

impl Payload {
    /// Understands a template; the error says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Payload, String> {
        if text.len() > PAYLOAD_BYTES_MAX {
            return Err(format!("has {} bytes; at most {PAYLOAD_BYTES_MAX} are possible", text.len()));
        }
        let mut parts = Vec::new();
        let (mut literal, mut rest) = (String::new(), text);
        while let Some(open) = rest.find('{') {
            literal.push_str(&rest[..open]);
            let after = &rest[open + 1..];
            match word_at(after) {
                None => {
                    literal.push('{');
                    rest = after;
                }
                Some((inside, behind)) => {
                    let part = understood(inside)?;
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                    }
                    parts.push(part);
                    rest = behind;
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        if !parts.iter().any(|part| matches!(part, Part::Word(..))) {
            return Err(format!("`{text}` says the same of every reading; put in words such as {{value}}"));
        }
        Ok(Payload(parts.into()))
    }

    /// The value alone.
    pub(super) fn value() -> Payload {
        Payload([Part::Word(Word::Value, Form::Text)].into())
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }
}

/// What stands between the brace before `text` and its partner, and what follows; `None` where the brace is a brace.
fn word_at(text: &str) -> Option<(&str, &str)> {
    let (inside, behind) = text.split_once('}')?;
    let is_word = |character: char| character.is_ascii_lowercase() || matches!(character, '_' | ':');
    (!inside.is_empty() && inside.chars().all(is_word)).then_some((inside, behind))
}

fn understood(inside: &str) -> Result<Part, String> {
    let (name, form) = match inside.split_once(':') {
        None => (inside, Form::Text),
        Some((name, "json")) => (name, Form::Json),
        Some((name, other)) => return Err(format!("`{{{name}:{other}}}`: only `:json` can stand behind a word")),
    };
    match WORDS.iter().find(|(known, _)| *known == name) {
        Some((_, word)) => Ok(Part::Word(*word, form)),
        None => {
            let known = WORDS.iter().map(|(known, _)| format!("{{{known}}}")).collect::<Vec<_>>().join(", ");
            Err(format!("`{{{name}}}` is not known here; write one of {known}"))
        }
    }
}
