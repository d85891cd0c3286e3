//! `forebay sim FILE`: every device of a configuration as a simulator on loopback.

use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use super::one_shot::block_on;
use super::simulation::Simulation;
use super::stdout::print;
use crate::config::{self, Config};

/// Serve every device of a configuration as a simulator, and print the configuration that leads to them.
#[derive(clap::Args)]
#[command(after_help = "\
Events, and what `browse:` would find, are not made up: a server is there, and such tags stay without a value.
What only this board has (gpio, i2c, spi, w1) is not simulated: it keeps its URL, and is named.
Exit codes: 0 ended; 1 the configuration is wrong; 2 the command line is wrong; 3 nothing could be simulated.")]
pub(super) struct Args {
    /// The gateway's file
    #[arg(default_value = "gateway.yaml")]
    file: PathBuf,
    /// Write the new configuration there instead of printing it
    #[arg(short, long)]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Exit {
    let checked = match config::read(&args.file) {
        Ok(checked) => checked,
        Err(unusable) => {
            eprint!("{unusable}");
            return Exit::Configuration;
        }
    };
    match block_on(serve(args, &checked.config)) {
        Ok(Ok(())) => Exit::Success,
        Ok(Err(cause)) => {
            eprintln!("cannot simulate: {cause}");
            Exit::Failure
        }
        Err(exit) => exit,
    }
}

async fn serve(args: &Args, config: &Config) -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let simulation = Simulation::of(config).await?;
    let text = simulation.rewritten(&std::fs::read_to_string(&args.file)?);
    if simulation.places().next().is_none() {
        return Err(std::io::Error::other(
            "no device of this file can be simulated: all of them are on the board itself",
        ));
    }
    simulation.places().for_each(|place| eprintln!("{place}"));
    for url in simulation.left_out() {
        eprintln!("{url} is left out: there is no simulator for it, and the new configuration leads to the real one");
    }
    simulation.silent().iter().for_each(|words| eprintln!("{words}"));
    let run_with = match &args.output {
        Some(path) => {
            std::fs::write(path, text)?;
            path.as_path()
        }
        None => {
            print(&text);
            Path::new("FILE, which holds the text above (-o FILE writes it)")
        }
    };
    eprintln!("simulating until Ctrl-C; in another terminal: forebay run -c {}", run_with.display());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
