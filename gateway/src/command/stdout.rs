//! Standard output, which may end before we do: `forebay check gateway.yaml | head`.

use std::io::{self, ErrorKind, Write};

/// Prints a text; that nobody reads on is no failure.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => eprintln!("cannot write to standard output: {cause}"),
        _ => {}
    }
}
