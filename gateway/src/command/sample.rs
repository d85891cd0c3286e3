//! `forebay sample [NAME]`: a commented configuration to begin with.

use super::Exit;
use super::stdout::print;
use crate::config::{Kinds, SAMPLE};

/// Print a commented configuration: of a whole gateway, or of one driver or uplink.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A driver or an uplink, such as modbus or mqtt
    name: Option<String>,
    /// Print the names of all samples
    #[arg(long)]
    list: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let samples = samples(Kinds::of_this_build());
    if args.list {
        samples.iter().for_each(|(name, _)| print(&format!("{name}\n")));
        return Exit::Success;
    }
    let name = args.name.as_deref().unwrap_or(GATEWAY);
    match samples.iter().find(|(known, _)| *known == name) {
        Some((_, sample)) => {
            print(sample);
            Exit::Success
        }
        None => {
            let known: Vec<&str> = samples.iter().map(|(name, _)| *name).collect();
            eprintln!("there is no sample `{name}`; there are {}", known.join(", "));
            Exit::Configuration
        }
    }
}

const GATEWAY: &str = "gateway";

/// All samples of a build by name.
fn samples(kinds: Kinds) -> Vec<(&'static str, &'static str)> {
    let drivers = kinds.drivers.iter().map(|driver| (driver.info().name, driver.info().sample));
    let uplinks = kinds.uplinks.iter().map(|uplink| (uplink.info().name, uplink.info().sample));
    std::iter::once((GATEWAY, SAMPLE)).chain(drivers).chain(uplinks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, check};

    #[test]
    fn every_sample_is_a_configuration_without_faults() {
        let kinds = Kinds::of_this_build();
        let samples = samples(kinds);
        assert_eq!(samples.len(), 1 + kinds.drivers.len() + kinds.uplinks.len());
        for (name, sample) in samples {
            match check(Source::new(name, sample), kinds) {
                Ok(checked) => assert!(!checked.config.tags.is_empty(), "{name}"),
                Err(report) => panic!("{report}"),
            }
        }
    }
}
