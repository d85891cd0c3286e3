//! How far a command is that reads the whole log.

use std::io::{self, IsTerminal, Write};

use buffer::SegmentFile;

/// A share on the terminal's last line, where there is one.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    shown: bool,
}

impl Progress {
    /// Of what is done to these segments.
    pub(super) fn of(what: &'static str, segments: &[SegmentFile]) -> Progress {
        let total = segments.iter().map(|segment| segment.bytes).sum();
        Progress { what, total, done: 0, shown: io::stderr().is_terminal() }
    }

    /// As [`Progress::of`], where what is read goes to the standard output: a terminal shows that alone.
    pub(super) fn beside_output(what: &'static str, segments: &[SegmentFile]) -> Progress {
        let progress = Progress::of(what, segments);
        Progress { shown: progress.shown && !io::stdout().is_terminal(), ..progress }
    }

    /// So many bytes of the segments are done with.
    pub(super) fn passed(&mut self, bytes: u64) {
        self.done += bytes;
        let percent = self.done.saturating_mul(100).checked_div(self.total).unwrap_or(100);
        self.show(&format!("\r{}: {percent} %", self.what));
    }

    /// Leaves the line to others.
    pub(super) fn end(&mut self) {
        self.show("\r\x1b[K");
    }

    /// A terminal that goes away gets no more of it.
    fn show(&mut self, text: &str) {
        let mut out = io::stderr().lock();
        if self.shown && out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.shown = false;
        }
    }
}
