//! `forebay buffer stats`: what the log holds, where each uplink stands, what was lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use buffer::{Class, Damage, Gap, Inspector, Overview, Seq};
use driver_core::{Clock, SystemClock};
use serde_json::json;

use super::place::{Place, counted, gap_json, path_text, plain, refused, time_text};
use crate::command::Exit;
use crate::command::stdout::print;
use crate::command::table::table;
use crate::pipeline::forward::quarantine::Quarantine;

/// Ranges of one reason that are written out on a terminal; `--json` has them all.
const RANGES_SHOWN_MAX: usize = 6;

const MIB: f64 = 1024.0 * 1024.0;

/// Print what the buffer holds, where each uplink stands, and what was lost.
#[derive(clap::Args)]
#[command(
    after_help = "Damage is told as far as it shows without reading all blocks; `forebay buffer verify` reads them."
)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Exit> {
    let (folder, inspector) = args.place.open()?;
    let stats = Stats {
        path: path_text(&folder),
        overview: inspector.overview(),
        uplinks: uplinks(&inspector).map_err(|cause| refused(&cause))?,
        set_aside: set_aside(&folder).map_err(|cause| {
            eprintln!("cannot read the quarantine in {}: {cause}", folder.display());
            Exit::Failure
        })?,
        damages: inspector.damaged_books().map_err(|cause| refused(&cause))?,
    };
    print(&if args.json { stats.json() } else { stats.text() });
    Ok(Exit::Success)
}

/// What there is to say of a buffer.
pub(super) struct Stats<'a> {
    pub(super) path: String,
    pub(super) overview: &'a Overview,
    pub(super) uplinks: Vec<Standing>,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) damages: Vec<Damage>,
}

/// What lies in quarantine of one uplink.
pub(super) struct SetAside {
    uplink: String,
    messages: u64,
    bytes: u64,
}

pub(super) fn set_aside(folder: &Path) -> io::Result<Vec<SetAside>> {
    let of = |quarantine: Quarantine| {
        let (mut messages, mut bytes) = (0, 0);
        for kept in quarantine.messages()? {
            messages += 1;
            bytes += kept?.line.len() as u64 + 1;
        }
        Ok(SetAside { uplink: quarantine.name(), messages, bytes })
    };
    let all: io::Result<Vec<SetAside>> = Quarantine::all(folder)?.into_iter().map(of).collect();
    Ok(all?.into_iter().filter(|of| of.messages > 0).collect())
}

/// Where an uplink stands.
pub(super) struct Standing {
    pub(super) name: String,
    pub(super) low: Seq,
    pub(super) pending: u64,
    /// The oldest reading that waits, nanoseconds since 1970; only where the clock was set.
    pub(super) oldest_ns: Option<i64>,
}

impl Standing {
    fn oldest(&self) -> Option<String> {
        self.oldest_ns.and_then(time_text)
    }

    fn age_s(&self) -> Option<i64> {
        let now = SystemClock.now().0.0;
        self.oldest_ns.filter(|ns| time_text(*ns).is_some()).map(|ns| now.saturating_sub(ns).max(0) / 1_000_000_000)
    }
}

pub(super) fn uplinks(inspector: &Inspector) -> buffer::Result<Vec<Standing>> {
    let overview = inspector.overview();
    let standing = |(name, cursor): &(String, buffer::Cursor)| {
        let pending = cursor.pending(overview.next_seq);
        let oldest_ns = if pending > 0 { inspector.time_of(cursor.low())? } else { None };
        Ok(Standing { name: name.clone(), low: cursor.low(), pending, oldest_ns })
    };
    overview.uplinks.iter().map(standing).collect()
}

/// What lies there of one class.
struct OfClass {
    class: Class,
    segments: usize,
    bytes: u64,
    first_seq: Seq,
    oldest_ns: Option<i64>,
}

/// The classes of which something lies there, the most valuable first.
fn classes(overview: &Overview) -> Vec<OfClass> {
    let of = |class: Class| {
        let mut files = overview.segments.iter().filter(|segment| segment.class == class).peekable();
        files.peek()?;
        let empty = OfClass { class, segments: 0, bytes: 0, first_seq: Seq::MAX, oldest_ns: None };
        Some(files.fold(empty, |sum, file| OfClass {
            segments: sum.segments + 1,
            bytes: sum.bytes + file.bytes,
            first_seq: sum.first_seq.min(file.seqs.map_or(overview.next_seq, |seqs| seqs.first)),
            oldest_ns: sum.oldest_ns.into_iter().chain(file.time_ns.map(|(from, _)| from)).min(),
            ..sum
        }))
    };
    Class::ALL.into_iter().filter_map(of).collect()
}

/// Oldest and newest time of what is kept.
fn times(overview: &Overview) -> Option<(i64, i64)> {
    let times = overview.segments.iter().filter_map(|segment| segment.time_ns);
    times.reduce(|(from, to), (first, last)| (from.min(first), to.max(last)))
}

impl Stats<'_> {
    pub(super) fn text(&self) -> String {
        let Stats { path, overview, uplinks, set_aside, damages } = self;
        let mut out = head(path, overview);
        let rows = uplinks.iter().map(|uplink| {
            let oldest = uplink.oldest().unwrap_or_else(|| if uplink.pending > 0 { "unknown" } else { "-" }.into());
            let age = uplink.age_s().map_or_else(|| "-".into(), |seconds| format!("{seconds} s"));
            [plain(&uplink.name), uplink.low.to_string(), uplink.pending.to_string(), oldest, age]
        });
        let rows: Vec<[String; 5]> = rows.collect();
        if !rows.is_empty() {
            out.push('\n');
            out.push_str(&table(["uplink", "all below are delivered", "waiting", "oldest of them", "age"], &rows));
        }
        out.push_str(&quarantined(set_aside));
        out.push_str(&losses("lost, and not yet told to every uplink", &overview.gaps));
        out.push_str(&losses("missing, which the next start of the gateway will declare", &overview.missing));
        for damage in damages {
            let (file, part) = (damage.path.display(), damage.part);
            write_line(
                &mut out,
                &format!("{file}: at byte {}: {part} damaged; the gateway mends it by itself", damage.offset),
            );
        }
        overview.remarks.iter().for_each(|remark| write_line(&mut out, &plain(remark)));
        out
    }

    pub(super) fn json(&self) -> String {
        let Stats { path, overview, uplinks, set_aside, damages } = self;
        let uplink = |uplink: &Standing| {
            json!({
                "uplink": uplink.name,
                "low": uplink.low,
                "pending": uplink.pending,
                "oldest": uplink.oldest(),
                "oldest_age_s": uplink.age_s(),
            })
        };
        let damage = |damage: &Damage| json!({ "file": path_text(&damage.path), "offset": damage.offset, "part": damage.part.name() });
        let quarantine = |of: &SetAside| json!({ "uplink": of.uplink, "messages": of.messages, "bytes": of.bytes });
        let class = |of: &OfClass| {
            json!({
                "class": of.class.name(),
                "segments": of.segments,
                "disk_bytes": of.bytes,
                "first_seq": of.first_seq,
                "oldest": of.oldest_ns.and_then(time_text),
            })
        };
        let (from, to) = times(overview).unzip();
        let stats = json!({
            "path": path,
            "gateway": overview.identity.gateway_text(),
            "epoch": overview.identity.epoch,
            "first_seq": overview.first_seq,
            "next_seq": overview.next_seq,
            "from": from.and_then(time_text),
            "to": to.and_then(time_text),
            "segments": overview.segments.len(),
            "disk_bytes": overview.disk_bytes,
            "ballast_bytes": overview.ballast_bytes,
            "classes": classes(overview).iter().map(class).collect::<Vec<_>>(),
            "uplinks": uplinks.iter().map(uplink).collect::<Vec<_>>(),
            "quarantine": set_aside.iter().map(quarantine).collect::<Vec<_>>(),
            "gaps": overview.gaps.iter().map(gap_json).collect::<Vec<_>>(),
            "missing": overview.missing.iter().map(gap_json).collect::<Vec<_>>(),
            "damage": damages.iter().map(damage).collect::<Vec<_>>(),
            "remarks": overview.remarks,
        });
        format!("{stats:#}\n")
    }
}

fn head(path: &str, overview: &Overview) -> String {
    let mut out = String::new();
    let kept = match overview.first_seq < overview.next_seq {
        true => format!("seq {} to {}", overview.first_seq, overview.next_seq - 1),
        false => format!("none; the next seq is {}", overview.next_seq),
    };
    let segments = counted(overview.segments.len() as u64, "segment");
    write_line(&mut out, &format!("buffer    {path}"));
    write_line(&mut out, &format!("gateway   {}, epoch {}", overview.identity.gateway_text(), overview.identity.epoch));
    write_line(&mut out, &format!("readings  {kept}"));
    if let Some((from, to)) = times(overview) {
        let text = |ns| time_text(ns).unwrap_or_else(|| "a time before the clock was set".into());
        write_line(&mut out, &format!("taken     {} to {}", text(from), text(to)));
    }
    let reserve = match overview.ballast_bytes {
        0 => "nothing in reserve".into(),
        bytes => format!("{:.1} MiB in reserve", bytes as f64 / MIB),
    };
    write_line(&mut out, &format!("on disk   {segments}, {:.1} MiB; {reserve}", overview.disk_bytes as f64 / MIB));
    out.push_str(&classes_table(overview));
    out
}

fn classes_table(overview: &Overview) -> String {
    let row = |of: &OfClass| {
        let oldest = of.oldest_ns.and_then(time_text).unwrap_or_else(|| "-".into());
        let (segments, mib) = (of.segments.to_string(), format!("{:.1}", of.bytes as f64 / MIB));
        [of.class.name().into(), segments, mib, of.first_seq.to_string(), oldest]
    };
    let rows: Vec<[String; 5]> = classes(overview).iter().map(row).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("\n{}", table(["class", "segments", "MiB", "from seq", "oldest"], &rows)),
    }
}

fn quarantined(set_aside: &[SetAside]) -> String {
    if set_aside.is_empty() {
        return String::new();
    }
    let row = |of: &SetAside| [plain(&of.uplink), of.messages.to_string(), format!("{:.1}", of.bytes as f64 / MIB)];
    let rows: Vec<[String; 3]> = set_aside.iter().map(row).collect();
    let table = table(["uplink", "messages", "MiB"], &rows);
    format!("\nrefused for good, and in quarantine (`forebay buffer quarantine list` shows why):\n{table}")
}

/// The gaps by their reasons.
fn losses(heading: &str, gaps: &[Gap]) -> String {
    if gaps.is_empty() {
        return String::new();
    }
    let mut by_reason: BTreeMap<&str, Vec<&Gap>> = BTreeMap::new();
    gaps.iter().for_each(|gap| by_reason.entry(gap.reason.name()).or_default().push(gap));
    let rows: Vec<[String; 3]> = by_reason
        .into_iter()
        .map(|(reason, gaps)| {
            let count: u64 = gaps.iter().map(|gap| gap.count).fold(0, u64::saturating_add);
            [reason.into(), count.to_string(), ranges(&gaps)]
        })
        .collect();
    format!("\n{heading}:\n{}", table(["reason", "readings", "seqs"], &rows))
}

fn ranges(gaps: &[&Gap]) -> String {
    let shown = gaps.iter().take(RANGES_SHOWN_MAX).map(|gap| format!("{}-{}", gap.seqs.first, gap.seqs.last));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match gaps.len().saturating_sub(RANGES_SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn write_line(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use buffer::{Class, GapReason, SeqRange};

    use super::*;

    #[test]
    fn gaps_are_told_by_reason_with_their_counts_and_ranges() {
        let gap = |first: Seq, last: Seq, reason| {
            let seqs = SeqRange { first, last };
            Gap { class: Class::Normal, seqs, count: seqs.count(), time_ns: None, reason }
        };
        let mut gaps = vec![gap(1, 10, GapReason::DroppedOldest), gap(20, 29, GapReason::TooOld)];
        gaps.extend((4..12).map(|number| gap(number * 10, number * 10 + 1, GapReason::TooOld)));
        let text = losses("lost", &gaps);
        assert!(text.contains("dropped-oldest  10        1-10\n"), "{text}");
        assert!(text.contains("too-old         26        20-29, 40-41, ") && text.contains(" and 3 more"), "{text}");
    }
}
