//! `forebay schema`: what may stand in a configuration file, for editors; what stands in the records of a topic, for their
//! readers.

mod ksql;

use std::path::PathBuf;

use super::Exit;
use super::stdout::print;
use crate::config::{self, Config, Kinds, UplinkConfig, schema};
use crate::uplink::format::keyed::{self, Shape};
use crate::uplink::format::{FORMAT_DEFAULT, avro, json_schema, protobuf};

/// Print the JSON Schema of the configuration file, for an editor that completes and checks while you write; or the schema
/// of the records that go to Kafka.
#[derive(clap::Args)]
#[command(after_help = "\
With -c the records are those of the file's uplink to Kafka; without it, those of the defaults.
The Avro, Protobuf and JSON schemas are the same for all gateways and tags.")]
pub(super) struct Args {
    #[command(flatten)]
    of: Of,
    /// The configuration whose uplink to Kafka is meant
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
    /// The uplink, where the file has more than one to Kafka
    #[arg(long, value_name = "NAME", requires = "file")]
    uplink: Option<String>,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Of {
    /// The Avro schema of the records
    #[arg(long)]
    avro: bool,
    /// The Protobuf file of the records
    #[arg(long)]
    protobuf: bool,
    /// The JSON Schema of the records
    #[arg(long)]
    json_schema: bool,
    /// The CREATE STREAM with which ksqlDB reads the topic
    #[arg(long)]
    ksql: bool,
}

/// The records of one topic.
struct Records {
    topic: String,
    format: Box<str>,
    shape: Shape,
    registry: Option<Box<str>>,
}

pub(super) fn run(args: &Args) -> Exit {
    let Of { avro, protobuf, json_schema, ksql } = args.of;
    if !(avro || protobuf || json_schema || ksql) {
        print(&format!("{:#}\n", schema(Kinds::of_this_build())));
        return Exit::Success;
    }
    let records = match records(args) {
        Ok(records) => records,
        Err(exit) => return exit,
    };
    let text = match () {
        () if avro => avro::schema(records.shape).to_owned(),
        () if protobuf => protobuf::SCHEMA.to_owned(),
        () if json_schema => json_schema::schema(records.shape).to_owned(),
        () => ksql::create_stream(&records),
    };
    print(&text);
    Exit::Success
}

/// What is meant. What is wrong is printed.
fn records(args: &Args) -> Result<Records, Exit> {
    let Some(file) = &args.file else {
        let topic = keyed::TOPIC.to_owned();
        return Ok(Records { topic, format: FORMAT_DEFAULT.into(), shape: Shape::default(), registry: None });
    };
    let checked = config::read(file).map_err(|unusable| {
        eprint!("{unusable}");
        Exit::Configuration
    })?;
    find(&checked.config, args.uplink.as_deref()).map_err(|cause| {
        eprintln!("{}: {cause}", file.display());
        Exit::Configuration
    })
}

fn find(config: &Config, name: Option<&str>) -> Result<Records, String> {
    let to_kafka = |uplink: &&UplinkConfig| uplink.url.scheme().starts_with("kafka");
    let all: Vec<&UplinkConfig> = config.uplinks.iter().filter(to_kafka).collect();
    let names = || all.iter().map(|uplink| &*uplink.name).collect::<Vec<_>>().join(", ");
    let found = match name {
        Some(name) => all.iter().find(|uplink| *uplink.name == *name),
        None => all.first().filter(|_| all.len() == 1),
    };
    let uplink = found.ok_or_else(|| match (all.len(), name) {
        (0, _) => "no uplink leads to Kafka".to_owned(),
        (_, Some(name)) => format!("no uplink `{name}` leads to Kafka; there are {}", names()),
        (_, None) => format!("more than one uplink leads to Kafka; choose with --uplink: {}", names()),
    })?;
    let spec = uplink.spec(&config.gateway, "");
    let topic = keyed::topic(&spec).map_err(|error| error.to_string())?;
    Ok(Records {
        topic: topic.render("DEVICE", "TAG"),
        format: uplink.format.clone().unwrap_or(FORMAT_DEFAULT.into()),
        shape: keyed::shape(&spec),
        registry: uplink.registry.as_ref().map(|registry| registry.url.as_str().into()),
    })
}
