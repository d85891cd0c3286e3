//! Standard output, which may end before we do: `forebay check gateway.yaml | head`.

use std::io::{self, BufWriter, ErrorKind, Write};

use super::Exit;

const BUFFER_BYTES: usize = 64 * 1024;

/// Prints a text; that nobody reads on is no failure.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Some(cause) = failure(out.write_all(text.as_bytes()).and_then(|()| out.flush())) {
        eprintln!("cannot write to standard output: {cause}");
    }
}

/// Lets `write` print much, piece by piece. That nobody reads on ends it, and is no failure.
pub(super) fn stream(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Exit> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    // What could not be written is not tried again when the writer goes.
    drop(out.into_parts());
    match failure(written) {
        None => Ok(()),
        Some(cause) => {
            eprintln!("cannot write to standard output: {cause}");
            Err(Exit::Failure)
        }
    }
}

fn failure(written: io::Result<()>) -> Option<io::Error> {
    written.err().filter(|cause| cause.kind() != ErrorKind::BrokenPipe)
}
