//! `forebay record DEVICE`: the flight recorder of a running gateway, in a file or in its log.

use super::Exit;
use super::buffer::place::Place;
use super::stdout::print;
use crate::pipeline::recorder::{Request, Wanted, folder_in};

/// Save the last frames of a device's line, or let the gateway's log tell them.
#[derive(clap::Args)]
#[command(after_help = "\
The gateway keeps the last bytes of each line (`recorder: { size: 32KiB }`) and saves them itself when a connection is lost.
The file is pcapng: open it with Wireshark, or `tshark -r FILE`; of a serial line with -d tcp.port==5020,mbrtu. It stands in
the buffer's folder, below recorder/. Whoever may write there may ask.
Exit codes: 0 done; 1 there is no such device, or nothing was recorded; 2 the command line is wrong; 3 no gateway answers.")]
pub(super) struct Args {
    /// The device, or the line that it is on
    device: String,
    #[command(flatten)]
    place: Place,
    /// Tell each frame of its line in the gateway's log from now on, or no more
    #[arg(long, value_name = "STATE")]
    decode: Option<Decode>,
}

/// Whether frames are told.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Decode {
    On,
    Off,
}

pub(super) fn run(args: &Args) -> Exit {
    let folder = match args.place.folder() {
        Ok(folder) => folder_in(&folder),
        Err(exit) => return exit,
    };
    let wanted = match args.decode {
        None => Wanted::Save,
        Some(Decode::On) => Wanted::Decode,
        Some(Decode::Off) => Wanted::Quiet,
    };
    match (Request { device: args.device.clone(), wanted }).ask(&folder) {
        Ok(Ok(Some(file))) => {
            print(&format!("{}\n", file.display()));
            Exit::Success
        }
        Ok(Ok(None)) => Exit::Success,
        Ok(Err(cause)) => {
            eprintln!("{cause}");
            Exit::Incomplete
        }
        Err(cause) => {
            eprintln!("{}: {cause}", folder.display());
            Exit::Failure
        }
    }
}
