//! `forebay buffer verify`: reads every block, and says what is damaged, where, and how much is lost with it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use buffer::{Block, Damage, DamagedPart, Inspector, SegmentFile, Sight};
use driver_core::Reading;
use serde_json::json;

use super::place::{Place, counted, path_text, plain, refused};
use super::progress::Progress;
use crate::command::Exit;
use crate::command::stdout::print;
use crate::pipeline::encode::Decoder;
use crate::pipeline::schema::{Schema, Schemas, path_of};

/// Findings that are printed one by one; more are counted.
const FINDINGS_MAX: usize = 10_000;

/// Schema files that are looked for, one for each configuration whose readings are still there.
const SCHEMAS_MAX: usize = 65_536;

/// Read every block of the buffer and report what is damaged, and where.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing is damaged, 1 damage was found or the configuration is wrong, 2 the command line is wrong,
3 the buffer is not there or the disk refuses.
A write that a kill cut short at the end of a file is no damage: it was never accepted.")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Exit> {
    let (folder, inspector) = args.place.open()?;
    let decoder = Decoder::new().map_err(|cause| {
        eprintln!("cannot decode: {cause}. Free memory");
        Exit::Failure
    })?;
    let mut verify = Verify::new(&folder, decoder);
    verify.all(&inspector).map_err(|cause| refused(&cause))?;
    print(&if args.json { verify.json() } else { verify.text(&inspector) });
    Ok(if verify.damaged == 0 { Exit::Success } else { Exit::Incomplete })
}

/// Something that is not as it should be.
struct Finding {
    file: PathBuf,
    offset: u64,
    bytes: u64,
    readings: u64,
    what: String,
}

/// What was read and found so far.
pub(super) struct Verify {
    schemas: PathBuf,
    decoder: Decoder,
    readings: Vec<Reading>,
    blocks: u64,
    pub(super) records: u64,
    findings: Vec<Finding>,
    /// All findings, also those beyond [`FINDINGS_MAX`].
    pub(super) damaged: u64,
    pub(super) lost: u64,
    /// Readings that blocks stand for and no longer hold, which every uplink is told.
    left_out: u64,
    /// Readings by the schema that names them.
    named_by: BTreeMap<u32, u64>,
}

impl Verify {
    pub(super) fn new(folder: &Path, decoder: Decoder) -> Verify {
        Verify {
            schemas: Schemas::folder_in(folder),
            decoder,
            readings: Vec::new(),
            blocks: 0,
            records: 0,
            findings: Vec::new(),
            damaged: 0,
            lost: 0,
            left_out: 0,
            named_by: BTreeMap::new(),
        }
    }

    pub(super) fn all(&mut self, inspector: &Inspector) -> buffer::Result<()> {
        inspector.damaged_books()?.into_iter().for_each(|damage| self.damage(damage));
        let segments = &inspector.overview().segments;
        let mut progress = Progress::of("verifying", segments);
        for segment in segments {
            inspector.walk(segment, &mut |sight| {
                match sight {
                    Sight::Block(block, offset) => self.block(segment, &block, offset),
                    Sight::Damage(damage) => self.damage(damage),
                }
                ControlFlow::Continue(())
            })?;
            progress.passed(segment.bytes);
        }
        progress.end();
        self.look_for_schemas();
        for gap in inspector.vanished() {
            let what = format!("seqs {} are in no file, and no uplink was told so: {}", gap.seqs, gap.reason);
            let file = segments.last().map(|segment| segment.path.clone()).unwrap_or_default();
            let file = file.parent().map(Path::to_owned).unwrap_or_default();
            self.find(Finding { file, offset: 0, bytes: 0, readings: gap.count, what });
        }
        Ok(())
    }

    fn damage(&mut self, damage: Damage) {
        let what = match damage.part {
            DamagedPart::Head => "the head of the segment is damaged; it is known from elsewhere".into(),
            DamagedPart::Blocks => "blocks are damaged".into(),
            DamagedPart::End => "the end of the segment is damaged or missing".into(),
            DamagedPart::Index => "the index of the segment is damaged; it is made anew when it is needed".into(),
            DamagedPart::Ledger => "a record of the ledger is damaged; an uplink may get some readings twice".into(),
            DamagedPart::Identity => "the identity is damaged or missing; the next start restores it".into(),
            part => format!("{part} is damaged"),
        };
        let Damage { path, offset, bytes, records, .. } = damage;
        self.find(Finding { file: path, offset, bytes, readings: records, what });
    }

    fn block(&mut self, segment: &SegmentFile, block: &Block, offset: u64) {
        self.blocks += 1;
        self.records += block.seqs.count();
        if self.named_by.len() < SCHEMAS_MAX || self.named_by.contains_key(&block.meta.schema) {
            *self.named_by.entry(block.meta.schema).or_default() += block.seqs.count();
        }
        self.readings.clear();
        let wrong = match self.decoder.decode_block(block, &mut self.readings) {
            Ok(_) => {
                self.left_out += block.seqs.count() - self.readings.len() as u64;
                return;
            }
            Err(cause) => cause.to_string(),
        };
        let bytes = (buffer::BLOCK_ENVELOPE_BYTES + block.payload.len()) as u64;
        let readings = block.seqs.count();
        self.find(Finding { file: segment.path.clone(), offset, bytes, readings, what: wrong });
    }

    /// Readings whose names are lost go out with numbers for names: they are not lost themselves.
    fn look_for_schemas(&mut self) {
        for (id, readings) in std::mem::take(&mut self.named_by) {
            if Schema::load(&self.schemas, id).is_none() {
                let what = format!("the names of the tags of {} are missing or damaged", counted(readings, "reading"));
                self.find(Finding { file: path_of(&self.schemas, id), offset: 0, bytes: 0, readings: 0, what });
            }
        }
    }

    fn find(&mut self, finding: Finding) {
        self.damaged += 1;
        self.lost = self.lost.saturating_add(finding.readings);
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    pub(super) fn text(&self, inspector: &Inspector) -> String {
        let mut lines: Vec<String> = self.findings.iter().map(Finding::text).collect();
        let more = self.damaged.saturating_sub(self.findings.len() as u64);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.extend(inspector.overview().remarks.iter().map(|remark| plain(remark)));
        let segments = counted(inspector.overview().segments.len() as u64, "segment");
        let (blocks, readings) = (counted(self.blocks, "block"), counted(self.records, "reading"));
        let found = match self.damaged {
            0 => "nothing is damaged".into(),
            damaged => {
                format!("{} damaged, {} lost", counted(damaged, "place"), counted(self.lost, "reading"))
            }
        };
        lines.push(format!("{segments}, {blocks}, {readings} are whole; {found}"));
        if self.left_out > 0 {
            lines.push(format!("{} of them were left out for want of room, as uplinks are told", self.left_out));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    pub(super) fn json(&self) -> String {
        let finding = |finding: &Finding| {
            json!({
                "file": path_text(&finding.file),
                "offset": finding.offset,
                "bytes": finding.bytes,
                "readings_lost": finding.readings,
                "what": finding.what,
            })
        };
        let report = json!({
            "blocks": self.blocks,
            "readings": self.records,
            "damaged": self.damaged,
            "readings_lost": self.lost,
            "readings_left_out": self.left_out,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

impl Finding {
    fn text(&self) -> String {
        let place = match (self.offset, self.bytes) {
            (0, 0) => String::new(),
            (offset, 0) => format!("at byte {offset}: "),
            (offset, bytes) => format!("at byte {offset}, {}: ", counted(bytes, "byte")),
        };
        let lost =
            if self.readings > 0 { format!("; {} lost", counted(self.readings, "reading")) } else { String::new() };
        format!("{}: {place}{}{lost}", self.file.display(), self.what)
    }
}
