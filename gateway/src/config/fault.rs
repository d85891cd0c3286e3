//! What is wrong with a configuration: gathered, never thrown, so that all of it is seen at once.

use super::source::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but may not do what was meant.
    Warning,
}

impl Severity {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Where it stands.
    pub span: Span,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do; empty when the message says it all.
    pub help: String,
}

/// Why a text was not understood, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) help: String,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Complaint {
        Complaint { message: message.into(), help: help.into() }
    }
}

/// All that is wrong, and which parts of the source are never shown.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<Fault>,
    errors: usize,
    hidden: Vec<Span>,
}

impl Faults {
    /// The configuration cannot be used.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.errors += 1;
        self.list.push(Fault { span, severity: Severity::Error, message: message.into(), help: help.into() });
    }

    /// A text was not understood.
    pub(super) fn complaint(&mut self, span: Span, complaint: Complaint) {
        self.error(span, complaint.message, complaint.help);
    }

    /// The configuration may not do what was meant.
    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.list.push(Fault { span, severity: Severity::Warning, message: message.into(), help: help.into() });
    }

    /// A secret stands here: no message shows it.
    pub(super) fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// The faults in the order of the file, each once however many devices share the template that it stands in; and the
    /// parts that are never shown.
    pub(super) fn into_parts(mut self) -> (Vec<Fault>, Vec<Span>) {
        let mut seen = std::collections::HashSet::new();
        self.list.retain(|fault| seen.insert(fault.clone()));
        self.list.sort_by_key(|fault| (fault.severity == Severity::Warning, fault.span.start));
        self.hidden.sort();
        (self.list, self.hidden)
    }
}
