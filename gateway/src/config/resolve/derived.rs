//! Tags that are made of others: references followed, kinds checked, put into an order in which each comes after what it
//! needs.

use std::collections::HashMap;
use std::time::Duration;

use driver_core::{DataType, TagId};

use super::place::part_of;
use super::writes::{Plant, fresh_for, resolve};
use crate::config::form::Context;
use crate::config::raw::{RawAlarm, RawTotal, RawWindow};
use crate::config::source::{Source, Span, Spanned};
use crate::pipeline::command::Target;
use crate::pipeline::command::rule::{TagForm, Verify, Writable, WriteRule};
use crate::pipeline::derive::alarm::AlarmRule;
use crate::pipeline::derive::window::Take;
use crate::pipeline::derive::{self, Plan, Step, Work};
use crate::pipeline::expression::{self, Expression, Kind, Wrong};
use crate::pipeline::tags::DevicePlace;

/// The longest text that a command to an alarm may be.
const ALARM_TEXT_CHARS: u16 = 64;

/// A tag that is made of others.
pub(super) struct PendingDerived<'t> {
    pub(super) tag: TagId,
    pub(super) device: &'t str,
    pub(super) name: &'t str,
    pub(super) made: Made<'t>,
}

/// How it is made.
#[derive(Clone, Copy)]
pub(super) enum Made<'t> {
    Calc(Spanned<&'t str>),
    Window(Spanned<RawWindow<'t>>),
    Total(Spanned<RawTotal<'t>>),
    /// Of the tag with this id.
    Alarm(TagId, Spanned<RawAlarm>),
}

/// What is derived.
#[derive(Default)]
pub(super) struct Derived {
    pub(super) plan: Plan,
    /// The types of the derived tags.
    pub(super) types: Vec<(TagId, DataType)>,
    /// The alarms, which take commands.
    pub(super) writables: Vec<Writable>,
}

struct Resolver<'a, 't> {
    pending: &'a [PendingDerived<'t>],
    by_tag: HashMap<TagId, usize>,
    names: HashMap<Target, TagId>,
    plant: &'a Plant<'a>,
    source: &'a Source,
    /// What each derived tag gives, once that is known.
    kinds: HashMap<TagId, Kind>,
}

/// Everything that is derived.
pub(super) fn derived(
    pending: &[PendingDerived<'_>],
    plant: &Plant<'_>,
    source: &Source,
    context: &mut Context<'_>,
) -> Derived {
    if pending.is_empty() {
        return Derived::default();
    }
    let by_tag = pending.iter().zip(0..).map(|(one, index)| (one.tag, index)).collect();
    let mut resolver = Resolver { pending, by_tag, names: plant.names(), plant, source, kinds: HashMap::new() };
    // What each needs; what cannot be followed is told here, and is left out of what follows.
    let needs: Vec<Option<Vec<TagId>>> =
        pending.iter().map(|one| resolver.made(one, context).map(|(work, of)| sources_of(&work, of))).collect();
    let order = resolver.order(&needs, context);
    let mut steps = Vec::new();
    for index in order {
        let one = &pending[index];
        // What needs something that cannot be made has no fault of its own.
        let can_be_made = |tag: &TagId| !resolver.by_tag.contains_key(tag) || resolver.kinds.contains_key(tag);
        if !needs[index].as_ref().is_some_and(|needs| needs.iter().all(can_be_made)) {
            continue;
        }
        // Now the kinds of what it needs are known.
        let Some((work, of)) = resolver.made(one, context) else { continue };
        let Some(kind) = resolver.kind(one, &work, of, context) else { continue };
        resolver.kinds.insert(one.tag, kind);
        let sources = sources_of(&work, of).into_iter().map(|tag| resolver.source(tag)).collect();
        steps.push(Step { tag: one.tag, sources, work });
    }
    let types = steps.iter().map(|step| (step.tag, type_of(resolver.kinds.get(&step.tag)))).collect();
    let alarms = pending.iter().filter(|one| matches!(one.made, Made::Alarm(..)));
    let writables = alarms.map(|one| alarm_writable(one, plant)).collect();
    Derived { plan: Plan { steps: steps.into() }, types, writables }
}

fn sources_of(work: &Work, of: Option<TagId>) -> Vec<TagId> {
    match work {
        Work::Calc(expression) => expression.operands().to_vec(),
        _ => of.into_iter().collect(),
    }
}

impl<'t> Resolver<'_, 't> {
    /// How a tag is made, and of which one where it is one. Faults are told once: when it is asked for the first time.
    fn made(&self, one: &PendingDerived<'t>, context: &mut Context<'_>) -> Option<(Work, Option<TagId>)> {
        match one.made {
            Made::Calc(text) => Some((Work::Calc(self.expression(text, one.device, context)?), None)),
            Made::Window(Spanned { value: RawWindow { of, over, take }, .. }) => {
                Some((Work::Window { over: over?.value, take }, Some(self.tag(of?, one.device, context)?)))
            }
            Made::Total(Spanned { value: RawTotal { of, per }, .. }) => {
                let per = per.map(|per| per.value);
                Some((Work::Total { per }, Some(self.tag(of?, one.device, context)?)))
            }
            Made::Alarm(of, Spanned { value: RawAlarm { high, low, hysteresis, hold }, .. }) => {
                let value = |limit: Option<Spanned<f64>>| limit.map(|limit| limit.value);
                Some((Work::Alarm(AlarmRule { high: value(high), low: value(low), hysteresis, hold }), Some(of)))
            }
        }
    }

    fn expression(&self, text: Spanned<&str>, device: &str, context: &mut Context<'_>) -> Option<Expression> {
        match expression::parse(text.value, &mut |parts| self.find(parts, device)) {
            Ok(expression) if expression.operands().is_empty() => {
                let help = "write at least one tag into it, such as `press.current * 2`";
                context.faults.error(text.span, "the calculation has no tag, so that nothing ever makes it", help);
                None
            }
            Ok(expression) => Some(expression),
            Err(Wrong { at, message, help }) => {
                context.faults.error(part_of(self.source, text, at), message, help);
                None
            }
        }
    }

    /// One tag by its name, in backticks or not.
    fn tag(&self, name: Spanned<&str>, device: &str, context: &mut Context<'_>) -> Option<TagId> {
        let parts: Vec<&str> = name.value.split('.').collect();
        match self.find(&parts, device) {
            Ok((tag, _)) => Some(tag),
            Err((message, help)) => {
                context.faults.error(name.span, message, help);
                None
            }
        }
    }

    fn find(&self, parts: &[&str], device: &str) -> Result<(TagId, Kind), (String, String)> {
        let (tag, kind) = resolve(parts, device, &self.names, self.plant)?;
        Ok((tag, self.kinds.get(&tag).copied().unwrap_or(kind)))
    }

    fn source(&self, tag: TagId) -> derive::Source {
        // What is derived says by its quality how old it is.
        let fresh_for = if self.by_tag.contains_key(&tag) { Duration::MAX } else { fresh_for(self.plant.every(tag)) };
        derive::Source { tag, fresh_for }
    }

    /// What a tag gives; a fault where its source is of a kind that it cannot be made of.
    fn kind(
        &self,
        one: &PendingDerived<'_>,
        work: &Work,
        of: Option<TagId>,
        context: &mut Context<'_>,
    ) -> Option<Kind> {
        let kind_of = |tag: TagId| self.kinds.get(&tag).copied().or_else(|| self.plant.kind(tag)).unwrap_or(Kind::Any);
        let of = of.map_or(Kind::Any, kind_of);
        let (wrong, help) = match (work, of) {
            (Work::Calc(expression), _) if expression.kind() == Kind::Text => {
                ("the calculation gives a text".to_owned(), "write one that gives a number, or true or false")
            }
            (Work::Calc(expression), _) => return Some(expression.kind()),
            (Work::Window { take: Take::Last, .. }, kind) => return Some(kind),
            (Work::Window { .. } | Work::Total { .. }, Kind::Number | Kind::Any) => return Some(Kind::Number),
            (Work::Window { .. } | Work::Total { .. }, kind) => {
                (format!("the tag gives {}, and a number is wanted", kind.name()), "take a tag that is a number")
            }
            (Work::Alarm(rule), kind) => {
                let has_limit = rule.high.is_some() || rule.low.is_some();
                let crossed = rule.high.zip(rule.low).is_some_and(|(high, low)| low >= high);
                match kind {
                    _ if crossed => ("`low` is not below `high`".to_owned(), "write the smaller one as `low`"),
                    Kind::Text => ("a text has no limits".to_owned(), "remove `alarm`"),
                    Kind::Number if !has_limit => ("the alarm has no limit".to_owned(), "write `high`, `low` or both"),
                    Kind::Bool if has_limit => (
                        "a tag that is true or false has no limits".to_owned(),
                        "write `alarm: {}`: it comes when it is true",
                    ),
                    Kind::Bool | Kind::Number | Kind::Any => return Some(Kind::Text),
                }
            }
        };
        context.faults.error(one.span(), wrong, help);
        None
    }

    /// All places, each after what it needs; where there is a circle, that is told, and one of it comes too early.
    fn order(&self, needs: &[Option<Vec<TagId>>], context: &mut Context<'_>) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let (mut marks, mut order) = (vec![Mark::New; needs.len()], Vec::new());
        for first in 0..needs.len() {
            // Each entry: a place, and how many of its needs were followed.
            let mut path = vec![(first, 0)];
            while let Some((index, followed)) = path.pop() {
                if marks[index] == Mark::Done {
                    continue;
                }
                marks[index] = Mark::Open;
                let inner = |tag: &TagId| self.by_tag.get(tag).copied();
                let next = needs[index].iter().flatten().filter_map(inner).nth(followed);
                let Some(next) = next else {
                    marks[index] = Mark::Done;
                    order.push(index);
                    continue;
                };
                path.push((index, followed + 1));
                match marks[next] {
                    Mark::Done => {}
                    Mark::New => path.push((next, 0)),
                    Mark::Open => {
                        let from = path.iter().position(|(at, _)| *at == next).unwrap_or_default();
                        let names: Vec<String> =
                            path[from..].iter().map(|(at, _)| self.pending[*at].to_string()).collect();
                        let message = format!("`{}` is made from itself: {} -> it", names[0], names.join(" -> "));
                        context.faults.error(
                            self.pending[next].span(),
                            message,
                            "take one of these tags out of the circle",
                        );
                    }
                }
            }
        }
        order
    }
}

impl PendingDerived<'_> {
    fn span(&self) -> Span {
        match self.made {
            Made::Calc(text) => text.span,
            Made::Window(window) => window.value.of.map_or(window.span, |of| of.span),
            Made::Total(total) => total.value.of.map_or(total.span, |of| of.span),
            Made::Alarm(_, alarm) => alarm.span,
        }
    }
}

impl std::fmt::Display for PendingDerived<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alarm = if let Made::Alarm(..) = self.made { ".alarm" } else { "" };
        write!(f, "{}.{}{alarm}", self.device, self.name)
    }
}

fn type_of(kind: Option<&Kind>) -> DataType {
    match kind {
        Some(Kind::Bool) => DataType::Bool,
        Some(Kind::Text) => DataType::String(ALARM_TEXT_CHARS),
        Some(Kind::Number | Kind::Any) | None => DataType::Lreal,
    }
}

/// Who may write at all may acknowledge.
fn alarm_writable(one: &PendingDerived<'_>, plant: &Plant<'_>) -> Writable {
    let device = plant.tags.place(one.tag).map_or(0, |place| place.device);
    Writable {
        tag: one.tag,
        target: Target { device: one.device.into(), tag: format!("{}.alarm", one.name).into() },
        place: DevicePlace { line: DevicePlace::DERIVED, device },
        form: TagForm { data_type: DataType::String(ALARM_TEXT_CHARS), elements: 1, scale: None },
        rule: WriteRule { verify: Verify::Taken, ..WriteRule::default() },
    }
}
