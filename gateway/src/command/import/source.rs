//! Which programs' files are read, and how a file tells which it is.

use serde_json::Value;

use super::found::Found;
use super::part::Part;
use super::workbook::{self, ZIP};
use super::{benthos, characters, csv, delimited, kepware, neuron, plc4x, telegraf, tia};
use crate::config::{Source, tree_as_json};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Any table with the columns name and address
    Csv,
    /// A tag table of TIA Portal
    Tia,
    /// A symbol table of STEP 7
    Step7,
    /// The tags of a device of KEPServerEX or Kepware Edge
    KepwareCsv,
    /// A project of KEPServerEX or Kepware Edge
    KepwareJson,
    /// EMQX Neuron or NeuronEX
    Neuron,
    /// Telegraf
    Telegraf,
    /// Apache PLC4X's connector for Kafka
    Plc4x,
    /// UMH's benthos
    BenthosUmh,
}

impl Kind {
    pub(super) const ALL: [Kind; 9] = [
        Kind::Csv,
        Kind::Tia,
        Kind::Step7,
        Kind::KepwareCsv,
        Kind::KepwareJson,
        Kind::Neuron,
        Kind::Telegraf,
        Kind::Plc4x,
        Kind::BenthosUmh,
    ];

    /// As it is written on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Csv => "csv",
            Kind::Tia => "tia",
            Kind::Step7 => "step7",
            Kind::KepwareCsv => "kepware-csv",
            Kind::KepwareJson => "kepware-json",
            Kind::Neuron => "neuron",
            Kind::Telegraf => "telegraf",
            Kind::Plc4x => "plc4x",
            Kind::BenthosUmh => "benthos-umh",
        }
    }

    /// What such a file is, for people.
    pub(super) fn what(self) -> &'static str {
        match self {
            Kind::Csv => "the table",
            Kind::Tia => "the TIA Portal tag table",
            Kind::Step7 => "the STEP 7 symbol table",
            Kind::KepwareCsv => "the Kepware tag list",
            Kind::KepwareJson => "the Kepware project",
            Kind::Neuron => "the Neuron configuration",
            Kind::Telegraf => "the Telegraf configuration",
            Kind::Plc4x => "the PLC4X connector's properties",
            Kind::BenthosUmh => "the benthos-umh configuration",
        }
    }

    /// What a file is, by its content; its name only decides between those that look alike.
    pub(super) fn of(bytes: &[u8], name: &str) -> Option<Kind> {
        if bytes.starts_with(&ZIP) {
            let table = delimited::Table::of(workbook::rows(bytes).unwrap_or_default());
            return Some(of_table(&table).unwrap_or(Kind::Tia));
        }
        let text = characters::text(bytes);
        let ends_with = |ends: &[&str]| ends.iter().any(|end| name.to_lowercase().ends_with(end));
        let line_begins = |start: &str| text.lines().any(|line| line.trim_start().starts_with(start));
        if text.trim_start().starts_with('<') && (text.contains("<Tagtable") || text.contains("SW.Tags.PlcTag")) {
            return Some(Kind::Tia);
        }
        if let Ok(json) = serde_json::from_str::<Value>(&text) {
            return of_json(&json);
        }
        if line_begins("[[inputs.") || line_begins("[inputs.") {
            return Some(Kind::Telegraf);
        }
        if line_begins("connector.class=org.apache.plc4x") || line_begins("sources.") && line_begins("jobs.") {
            return Some(Kind::Plc4x);
        }
        if line_begins("input:") || line_begins("modbus:") || line_begins("s7comm:") || line_begins("opcua:") {
            return Some(Kind::BenthosUmh);
        }
        if text.starts_with("126,") {
            return Some(Kind::Step7);
        }
        if let Some(kind) = of_table(&delimited::Table::of(delimited::rows(&text))) {
            return Some(kind);
        }
        let is_tia = delimited::rows(&text).first().is_some_and(|row| row.field(1).starts_with('%'));
        ends_with(&[".sdf"]).then_some(if is_tia { Kind::Tia } else { Kind::Step7 })
    }

    /// What a file of this kind says.
    pub(super) fn read(self, bytes: &[u8], name: &str) -> Result<Found, String> {
        let text = || characters::text(bytes);
        match self {
            Kind::Csv if bytes.starts_with(&ZIP) => csv::read(workbook::rows(bytes)?),
            Kind::Csv => csv::read(delimited::rows(&text())),
            Kind::Tia => tia::read(bytes),
            Kind::Step7 => tia::read_step7(&text()),
            Kind::KepwareCsv => kepware::csv::read(&text()),
            Kind::KepwareJson => kepware::read(&Part::root(&json(&text())?)),
            Kind::Neuron => neuron::read(&Part::root(&json(&text())?)),
            Kind::Telegraf => {
                let value: Value = toml::from_str(&text()).map_err(|cause| format!("this is no TOML: {cause}"))?;
                telegraf::read(&Part::root(&value))
            }
            Kind::Plc4x => plc4x::read(&text()),
            Kind::BenthosUmh => {
                let value = tree_as_json(&Source::new(name, &text())).map_err(|report| report.to_string())?;
                benthos::read(&Part::root(&value))
            }
        }
    }
}

/// By the names of its columns.
fn of_table(table: &delimited::Table) -> Option<Kind> {
    let has = |names| table.column(names).is_some();
    match () {
        () if has(&["respect data type"]) => Some(Kind::KepwareCsv),
        () if has(&["logical address", "logische adresse"]) => Some(Kind::Tia),
        () if has(csv::NAME) && has(csv::ADDRESS) => Some(Kind::Csv),
        () => None,
    }
}

fn of_json(json: &Value) -> Option<Kind> {
    let has = |key: &str| json.get(key).is_some();
    match () {
        () if has("project") || has("channels") || has("common.ALLTYPES_NAME") => Some(Kind::KepwareJson),
        () if has("nodes") => Some(Kind::Neuron),
        () => None,
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|cause| format!("this is no JSON: {cause}"))
}
