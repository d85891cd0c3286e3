//! What commands may write, and what is kept of them, as written.

use std::time::Duration;

use super::EVERY;
use crate::config::checked::CommandsConfig;
use crate::config::fields::Fields;
use crate::config::form::{Allowed, Interval, Number, OneOf, PerTime, Section, Size, Text, Truth};
use crate::config::source::Spanned;
use crate::pipeline::command::Role;
use crate::pipeline::command::books::WhenAuditFails;
use crate::pipeline::command::rule::{Rate, Verify};

/// What stands behind `write:` of a tag.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RawWrite<'t> {
    pub(in crate::config) min: Option<Spanned<f64>>,
    pub(in crate::config) max: Option<Spanned<f64>>,
    pub(in crate::config) step: Option<Spanned<f64>>,
    pub(in crate::config) role: Role,
    pub(in crate::config) rate: Rate,
    pub(in crate::config) expires: Duration,
    pub(in crate::config) verify: Verify,
    pub(in crate::config) only_if: Option<Spanned<&'t str>>,
    pub(in crate::config) on_link_loss: Option<Spanned<RawLinkLoss<'t>>>,
}

/// What stands behind `on_link_loss:`.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct RawLinkLoss<'t> {
    pub(in crate::config) value: Option<Spanned<&'t str>>,
    pub(in crate::config) after: Duration,
}

/// Takes the keys of `write:`.
pub(super) fn write<'t>(fields: &mut Fields<'_, 't>) -> RawWrite<'t> {
    RawWrite {
        min: fields.optional("min", "The smallest number, in the unit of the scaled value.", &Number(Allowed::Any)),
        max: fields.optional("max", "The largest number, in the unit of the scaled value.", &Number(Allowed::Any)),
        step: fields.optional(
            "step",
            "Numbers have to be whole steps away from `min`, or from 0 where there is none.",
            &Number(Allowed::Positive),
        ),
        role: fields.default("role", "The least that the sender has to be.", &ROLE, "operator"),
        rate: fields.default("rate", "How many commands are taken in a time.", &PerTime, "10/s"),
        expires: fields.default(
            "expires",
            "How old a command may be when it reaches the device; an older one is refused.",
            &EXPIRES,
            "10s",
        ),
        verify: fields.default("verify", "Whether what is read back has to be what was written.", &VERIFY, "true"),
        only_if: fields.optional(
            "only_if",
            "An interlock over the last readings of other tags; a tag that is bad or old holds the command back.",
            &Text { example: "press.mode == 2 and not press.alarm" },
        ),
        on_link_loss: fields.optional(
            "on_link_loss",
            "What is written when no uplink has been connected for a while.",
            &Section { name: "on_link_loss", read: link_loss },
        ),
    }
}

fn link_loss<'t>(fields: &mut Fields<'_, 't>) -> RawLinkLoss<'t> {
    RawLinkLoss {
        value: fields.required("value", "The value, as it is typed for `forebay command`.", &Text { example: "0" }),
        after: fields.default("after", "How long the link has to be away.", &EVERY, "30s"),
    }
}

/// Takes the keys of `commands:`.
pub(super) fn commands(fields: &mut Fields<'_, '_>) -> CommandsConfig {
    let size = Size { min: 1 << 20, max: 1 << 40 };
    CommandsConfig {
        audit_bytes_max: fields.default("audit_size", "The most that the audit trail takes on disk.", &size, "64MiB"),
        when_audit_fails: fields.default(
            "when_audit_fails",
            "What happens to commands while the audit trail cannot be written.",
            &WHEN_AUDIT_FAILS,
            "refuse",
        ),
    }
}

const EXPIRES: Interval = Interval { min: Duration::from_millis(100), max: Duration::from_secs(86_400) };

const VERIFY: Truth<Verify> = Truth { yes: Verify::Equal, no: Verify::Taken };

/// What a sender of commands may do.
pub(super) const ROLE: OneOf<Role> = OneOf(&[
    ("viewer", Role::Viewer, "looks, and writes nothing that asks for more"),
    ("operator", Role::Operator, "runs the machine"),
    ("engineer", Role::Engineer, "sets it up"),
    ("admin", Role::Admin, "everything"),
]);

const WHEN_AUDIT_FAILS: OneOf<WhenAuditFails> = OneOf(&[
    ("refuse", WhenAuditFails::Refuse, "they are refused: nothing is written that is not recorded"),
    ("execute", WhenAuditFails::Execute, "they are executed; how many were not recorded is told later"),
]);
