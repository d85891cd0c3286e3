//! `forebay buffer dump`: the readings in the log, decoded, in the order of their seqs.

mod bound;
mod csv;
mod names;
mod once;
mod wanted;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use buffer::{Block, Inspector, SegmentFile, Seq, Sight};
use driver_core::Reading;

use self::bound::Bound;
use self::names::{DEVICE_UNKNOWN, Names};
use self::once::Once;
use self::wanted::Wanted;
use super::place::{Place, counted, refused};
use super::progress::Progress;
use crate::command::Exit;
use crate::command::stdout::stream;
use crate::pipeline::encode::{Decoder, Places};
use crate::pipeline::redate::Redate;
use crate::pipeline::schema::Schemas;
use crate::uplink::Lane;
use crate::uplink::format::json::Json;
use crate::uplink::format::{Format as _, Records};
use crate::uplink::topic::{Rules, Template};

/// Print the readings of the buffer, decoded, oldest seq first.
#[derive(clap::Args)]
#[command(after_help = "\
TIME is such as 2026-11-23, 2026-11-23T02:28:33Z or 2026-11-23T03:28:33+01:00; without a zone it is UTC.
json-lines prints each reading as the uplinks get it. A pattern for tags is such as 'press.*' or '*.temperature'.
Readings that were stamped before the clock was set are printed with the right time, if it is known by now.")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Readings from this seq or time on
    #[arg(long, value_name = "TIME|SEQ", value_parser = bound::parse)]
    from: Option<Bound>,
    /// Readings up to this seq or time, itself included
    #[arg(long, value_name = "TIME|SEQ", value_parser = bound::parse)]
    to: Option<Bound>,
    /// Only tags whose device.tag is such; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    tag: Vec<String>,
    /// How to print them
    #[arg(long, value_enum, default_value = "json-lines")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One JSON object a line
    JsonLines,
    /// Comma-separated values with a heading
    Csv,
}

pub(super) fn run(args: &Args) -> Result<Exit, Exit> {
    let (folder, inspector) = args.place.open()?;
    let mut dump = Dump::new(args, &folder, &inspector).map_err(|cause| {
        eprintln!("cannot decode: {cause}. Free memory");
        Exit::Failure
    })?;
    let mut failed = None;
    stream(|out| {
        dump.head(out)?;
        dump.all(&inspector, out).unwrap_or_else(|cause| {
            failed = Some(cause);
            Ok(())
        })
    })?;
    dump.remark(&folder);
    failed.map_or(Ok(Exit::Success), |cause| Err(refused(&cause)))
}

/// A dump under way.
pub(super) struct Dump<'a> {
    wanted: Wanted,
    format: Format,
    names: Names<'a>,
    decoder: Decoder,
    redate: Redate,
    json: Json,
    once: Once,
    readings: Vec<Reading>,
    damaged: u64,
    undecodable: u64,
}

impl<'a> Dump<'a> {
    pub(super) fn new(args: &'a Args, folder: &Path, inspector: &Inspector) -> io::Result<Dump<'a>> {
        let topic = Template::parse("{device}/{tag}", "", Rules::Mqtt).expect("a template with known names");
        Ok(Dump {
            wanted: Wanted::between(args.from, args.to),
            format: args.format,
            names: Names::new(Schemas::folder_in(folder), &args.tag),
            decoder: Decoder::new()?,
            redate: Redate::within(folder),
            json: Json::new("", topic, Rules::Mqtt),
            once: Once::starting_at(inspector.overview().first_seq),
            readings: Vec::new(),
            damaged: 0,
            undecodable: 0,
        })
    }

    /// What stands before the first reading.
    pub(super) fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::JsonLines => Ok(()),
            Format::Csv => out.write_all(csv::HEADING.as_bytes()),
        }
    }

    /// Writes what is wanted. The outer error is the log's, the inner one that of standard output.
    pub(super) fn all(&mut self, inspector: &Inspector, out: &mut dyn Write) -> buffer::Result<io::Result<()>> {
        let segments = &inspector.overview().segments;
        let mut progress = Progress::beside_output("dumping", segments);
        for segment in segments {
            progress.passed(segment.bytes);
            if !self.may_hold(segment) {
                continue;
            }
            let mut written = Ok(());
            inspector.walk(segment, &mut |sight| {
                match sight {
                    Sight::Block(block, _) => written = self.block(&block, out),
                    Sight::Damage(_) => self.damaged += 1,
                }
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if written.is_err() {
                progress.end();
                return Ok(written);
            }
        }
        progress.end();
        Ok(Ok(()))
    }

    fn may_hold(&self, segment: &SegmentFile) -> bool {
        let seqs = segment.seqs.is_none_or(|seqs| self.wanted.meets_seqs(seqs.first, seqs.last));
        let times = segment.time_ns.is_none_or(|(from, to)| self.may_have_times(from, to));
        seqs && times
    }

    /// What is re-dated may lie anywhere.
    fn may_have_times(&self, from_ns: i64, to_ns: i64) -> bool {
        !self.redate.is_empty() || self.wanted.meets_times(from_ns, to_ns)
    }

    fn block(&mut self, block: &Block, out: &mut dyn Write) -> io::Result<()> {
        let wanted = self.wanted.meets_seqs(block.seqs.first, block.seqs.last)
            && self.may_have_times(block.meta.t_min_ns, block.meta.t_max_ns);
        if !wanted || !self.once.is_new(block.seqs) {
            return Ok(());
        }
        self.readings.clear();
        let Ok(places) = self.decoder.decode_block(block, &mut self.readings) else {
            self.undecodable += 1;
            return Ok(());
        };
        let seqs: Vec<Seq> = match &places {
            None => (block.seqs.first..=block.seqs.last).collect(),
            Some(places) => places.iter().map(|place| block.seqs.first + Seq::from(*place)).collect(),
        };
        self.redate.apply(block.epoch, &mut self.readings);
        self.names.load(block.meta.schema);
        let numbered = seqs.iter().zip(&self.readings);
        let chosen = numbered.filter(|(seq, reading)| self.chosen(**seq, reading));
        let chosen: BTreeSet<Seq> = chosen.map(|(seq, _)| *seq).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        match self.format {
            Format::JsonLines => self.write_json(block, places, &chosen, out),
            Format::Csv => self.write_csv(block, &seqs, &chosen, out),
        }
    }

    fn chosen(&self, seq: Seq, reading: &Reading) -> bool {
        self.wanted.has(seq, reading.timestamp.0) && self.names.choose(reading.tag)
    }

    /// The messages of a block come device by device; they are put in the order of their seqs.
    fn write_json(
        &mut self,
        block: &Block,
        offsets: Option<Places>,
        chosen: &BTreeSet<Seq>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let first = block.seqs.first;
        let (readings, schema) = (std::mem::take(&mut self.readings), self.names.schema().cloned());
        self.json.begin(Records { lane: Lane::Live, epoch: block.epoch, first, readings, offsets, schema });
        let mut lines = Vec::new();
        while let Some(message) = self.json.next() {
            if chosen.contains(&message.seqs.first) {
                lines.push((message.seqs.first, message.payload));
            }
        }
        lines.sort_unstable_by_key(|(seq, _)| *seq);
        lines.iter().try_for_each(|(_, line)| out.write_all(line).and_then(|()| out.write_all(b"\n")))
    }

    fn write_csv(&self, block: &Block, seqs: &[Seq], chosen: &BTreeSet<Seq>, out: &mut dyn Write) -> io::Result<()> {
        for (&seq, reading) in seqs.iter().zip(&self.readings).filter(|(seq, _)| chosen.contains(seq)) {
            let lost = format!("tag-{}", reading.tag.0);
            let names = self.names.schema().and_then(|schema| schema.tag(reading.tag));
            let (device, tag, unit) =
                names.map_or((DEVICE_UNKNOWN, lost.as_str(), ""), |names| (names.device, names.tag, names.unit));
            csv::write_row(out, reading, &csv::Row { device, tag, unit, epoch: block.epoch, seq })?;
        }
        Ok(())
    }

    /// Says what is missing in what was printed.
    fn remark(&self, folder: &Path) {
        if self.damaged + self.undecodable > 0 {
            let (stretches, blocks) =
                (counted(self.damaged, "damaged place"), counted(self.undecodable, "undecodable block"));
            eprintln!(
                "left out: {stretches}, {blocks}; `forebay buffer verify --path {}` says where",
                folder.display()
            );
        }
    }
}
