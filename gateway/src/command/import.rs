//! `forebay import FILE`: what another program was told to read, as a configuration of ours.
//!
//! Each source has a file of its own and gives the same [`Found`]; `fit` drops what no driver understands, `render`
//! writes the YAML, and `report` says what is not in it and why. What is printed has passed the check of `forebay check`.

mod found;

mod characters;
mod delimited;
mod part;
mod workbook;

mod benthos;
mod csv;
mod kepware;
mod modbus;
mod neuron;
mod plc4x;
mod s7;
mod source;
mod telegraf;
mod tia;

mod fit;
mod render;
mod report;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Exit;
use super::stdout::print;
use crate::config::{Kinds, Source, check};
use found::Found;
use source::Kind;

/// The largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 128 << 20;

/// Turn the export or configuration of another program into a configuration.
#[derive(clap::Args)]
#[command(after_help = "\
Read are: csv (columns name, address and more, see below), tia (tag tables of TIA Portal: xlsx, xml, Openness xml, sdf,
csv), step7 (symbol tables of STEP 7: asc, sdf, csv), kepware-csv, kepware-json, neuron (JSON), telegraf (TOML: modbus,
s7comm, opcua), plc4x (properties of its Kafka connector), benthos-umh (YAML: modbus, s7comm, opcua).
Columns of a csv, or of the first sheet of an xlsx: name, address, table (coil, discrete, input, holding: then the address is
a number), type, order, registers, unit, device, url, station, scale or divisor, offset, every, comment; name and address
have to be there.
The configuration goes to standard output, what is not in it and why to standard error. Tags come read-only, whatever the
other program allowed, and secrets are never copied.
Exit codes: 0 something was found; 1 the file is of no known kind, or nothing in it could be used.")]
pub(super) struct Args {
    /// The file of the other program
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which program it is from, where its content does not tell
    #[arg(long, value_name = "KIND")]
    from: Option<Kind>,
    /// Where the device is, for files that do not say, such as modbus-tcp://10.0.0.11?unit=1
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The gateway's name in the configuration
    #[arg(long, default_value = "acme/berlin/line7")]
    gateway: String,
    /// Print JSON: the configuration as a text, and what is not in it
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    match import(args) {
        Ok(exit) => exit,
        Err(cause) => {
            eprintln!("{cause}");
            Exit::Configuration
        }
    }
}

fn import(args: &Args) -> Result<Exit, String> {
    let bytes = read(&args.file)?;
    let name = args.file.display().to_string();
    let Imported { kind, mut found, yaml } =
        imported(&bytes, Given { name: &name, from: args.from, url: args.url.as_deref(), gateway: &args.gateway })?;
    let tags = found.tags();
    found.notes.sort_by_key(|note| note.weight);
    if args.json {
        print(&format!("{:#}\n", report::json(&name, kind, &found, &yaml)));
    } else {
        print(&yaml);
        eprint!("{}", report::text(&name, kind, &found));
    }
    Ok(if tags > 0 { Exit::Success } else { Exit::Configuration })
}

/// What the command line says of a file.
struct Given<'a> {
    name: &'a str,
    from: Option<Kind>,
    url: Option<&'a str>,
    gateway: &'a str,
}

/// A file, understood.
#[derive(Debug)]
struct Imported {
    kind: Kind,
    found: Found,
    yaml: String,
}

fn imported(bytes: &[u8], given: Given<'_>) -> Result<Imported, String> {
    let Given { name, from, url, gateway } = given;
    let kind = from.or_else(|| Kind::of(bytes, name)).ok_or_else(|| {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("{name} is of no kind that is known here; name it with --from: {}", known.join(", "))
    })?;
    let mut found = kind.read(bytes, name).map_err(|cause| format!("{name}: {cause}"))?;
    if let Some(set) = characters::guessed(bytes).filter(|_| !bytes.starts_with(&workbook::ZIP)) {
        found.look(
            "the file",
            format!("it does not say in which characters it is written; {set} is taken: look at the comments"),
        );
    }
    fit::fit(&mut found, url);
    let yaml = render::render(&found, &format!("{} of {name}", kind.what()), gateway);
    match check(Source::new("the imported configuration", &yaml), Kinds::of_this_build()) {
        Ok(_) => Ok(Imported { kind, found, yaml }),
        Err(_) if found.devices.iter().all(|device| device.idle.is_some()) => Ok(Imported { kind, found, yaml }),
        Err(report) => {
            Err(format!("{name}: what came of it is no configuration; this is a fault of forebay\n{report}"))
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let failed = |cause: std::io::Error| format!("cannot read {shown}: {cause}");
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(format!("{shown} is longer than {} MiB", FILE_BYTES_MAX >> 20)),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
