//! GPIO lines through the kernel's character device (GPIO uAPI v2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gpiocdev::line::{Bias, EdgeDetection, Value};
use gpiocdev::request::{Config, Request};

use crate::address::{LineName, Pull};
use crate::device::LineSetup;

/// Who holds the lines, as `gpioinfo` shows it.
const CONSUMER: &str = "forebay";

/// Where lines are opened.
pub(crate) trait Chip: Send {
    type Line: Line;

    /// Opens a line; the text says why not.
    fn line(&self, name: &LineName, setup: &LineSetup) -> Result<Self::Line, String>;
}

/// One open line.
pub(crate) trait Line: Send {
    fn level(&mut self) -> Result<bool, String>;

    /// Makes it an output of this level.
    fn set(&mut self, level: bool) -> Result<(), String>;

    /// How many edges the kernel has seen since the line was opened, modulo 2^32; those that overflowed its queue count.
    fn edges(&mut self) -> Result<u32, String>;
}

/// The lines in use. Each is opened when it is first asked for, so that one that another program holds stops no other.
pub(crate) struct Lines<C: Chip> {
    chip: C,
    open: BTreeMap<LineName, Watched<C::Line>>,
}

struct Watched<L> {
    line: L,
    /// Edges that have been added to the total.
    counted: u32,
}

/// Why a line gave nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It cannot be had: another program holds it, or it does not exist.
    Refused(String),
    /// It failed after it was opened.
    Lost(String),
}

impl<C: Chip> Lines<C> {
    pub(crate) fn new(chip: C) -> Lines<C> {
        Lines { chip, open: BTreeMap::new() }
    }

    /// Where they are opened.
    pub(crate) fn chip(&self) -> &C {
        &self.chip
    }

    pub(crate) fn level(&mut self, name: &LineName, setup: &LineSetup) -> Result<bool, Trouble> {
        self.watched(name, setup)?.line.level().map_err(Trouble::Lost)
    }

    pub(crate) fn set(&mut self, name: &LineName, setup: &LineSetup, level: bool) -> Result<bool, Trouble> {
        let line = &mut self.watched(name, setup)?.line;
        line.set(level).and_then(|()| line.level()).map_err(Trouble::Lost)
    }

    /// Adds the edges since the last call to `total`.
    pub(crate) fn count(&mut self, name: &LineName, setup: &LineSetup, total: &mut u64) -> Result<(), Trouble> {
        let watched = self.watched(name, setup)?;
        let edges = watched.line.edges().map_err(Trouble::Lost)?;
        *total += u64::from(edges.wrapping_sub(watched.counted));
        watched.counted = edges;
        Ok(())
    }

    fn watched(&mut self, name: &LineName, setup: &LineSetup) -> Result<&mut Watched<C::Line>, Trouble> {
        if !self.open.contains_key(name) {
            let line = self.chip.line(name, setup).map_err(Trouble::Refused)?;
            self.open.insert(name.clone(), Watched { line, counted: 0 });
        }
        self.open.get_mut(name).ok_or_else(|| Trouble::Lost("the line is gone".into()))
    }
}

/// A GPIO chip of the kernel.
pub(crate) struct Kernel {
    path: PathBuf,
}

impl Kernel {
    /// Sees that it is there and may be opened.
    pub(crate) fn open(path: &Path) -> Result<Kernel, String> {
        gpiocdev::Chip::from_path(path).map_err(|error| error.to_string())?;
        Ok(Kernel { path: path.into() })
    }

    /// What the chip says of itself: label and number of lines.
    pub(crate) fn info(&self) -> Option<(String, u32)> {
        let info = gpiocdev::Chip::from_path(&self.path).and_then(|chip| chip.info()).ok()?;
        Some((info.label, info.num_lines))
    }
}

impl Chip for Kernel {
    type Line = KernelLine;

    fn line(&self, name: &LineName, setup: &LineSetup) -> Result<KernelLine, String> {
        let offset = match name {
            LineName::Offset(offset) => *offset,
            LineName::Name(name) => {
                let chip = gpiocdev::Chip::from_path(&self.path).map_err(|error| error.to_string())?;
                chip.find_line_info(name)
                    .ok_or_else(|| {
                        format!("no line of {} is called {name}; `gpioinfo` lists them", self.path.display())
                    })?
                    .offset
            }
        };
        let mut request = Request::builder();
        request.on_chip(&self.path).with_consumer(CONSUMER).with_line(offset);
        // An output keeps the level that it has until it is written: a restart of the gateway switches nothing.
        if !setup.is_output {
            request.as_input();
            match setup.pull {
                Pull::AsIs => {}
                Pull::Up => drop(request.with_bias(Bias::PullUp)),
                Pull::Down => drop(request.with_bias(Bias::PullDown)),
                Pull::Off => drop(request.with_bias(Bias::Disabled)),
            }
            if setup.counts {
                request.with_edge_detection(EdgeDetection::RisingEdge);
            }
            if !setup.debounce.is_zero() {
                request.with_debounce_period(setup.debounce);
            }
        }
        if setup.is_active_low {
            request.as_active_low();
        }
        let request = request.request().map_err(|error| error.to_string())?;
        Ok(KernelLine { request, offset, is_active_low: setup.is_active_low, is_driven: false, edges: 0 })
    }
}

/// A line that is held through the kernel.
pub(crate) struct KernelLine {
    request: Request,
    offset: u32,
    is_active_low: bool,
    /// Whether it has been made an output.
    is_driven: bool,
    edges: u32,
}

impl Line for KernelLine {
    fn level(&mut self) -> Result<bool, String> {
        self.request.value(self.offset).map(bool::from).map_err(|error| error.to_string())
    }

    fn set(&mut self, level: bool) -> Result<(), String> {
        let value = if level { Value::Active } else { Value::Inactive };
        let done = if self.is_driven {
            self.request.set_value(self.offset, value)
        } else {
            let mut config = Config::default();
            config.with_line(self.offset).as_output(value);
            if self.is_active_low {
                config.as_active_low();
            }
            self.request.reconfigure(&config)
        };
        done.map_err(|error| error.to_string())?;
        self.is_driven = true;
        Ok(())
    }

    fn edges(&mut self) -> Result<u32, String> {
        while self.request.has_edge_event().map_err(|error| error.to_string())? {
            self.edges = self.request.read_edge_event().map_err(|error| error.to_string())?.line_seqno;
        }
        Ok(self.edges)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Lines in memory: level and edges of each, and those that another program holds.
    #[derive(Clone, Default)]
    struct Board(Arc<Mutex<BTreeMap<LineName, (bool, u32)>>>);

    struct BoardLine(Board, LineName);

    impl Chip for Board {
        type Line = BoardLine;

        fn line(&self, name: &LineName, _: &LineSetup) -> Result<BoardLine, String> {
            let is_there = self.0.lock().expect("a test").contains_key(name);
            is_there.then(|| BoardLine(self.clone(), name.clone())).ok_or_else(|| "busy".into())
        }
    }

    impl BoardLine {
        fn with<R>(&self, of: impl FnOnce(&mut (bool, u32)) -> R) -> Result<R, String> {
            self.0.0.lock().expect("a test").get_mut(&self.1).map(of).ok_or_else(|| "gone".into())
        }
    }

    impl Line for BoardLine {
        fn level(&mut self) -> Result<bool, String> {
            self.with(|line| line.0)
        }

        fn set(&mut self, level: bool) -> Result<(), String> {
            self.with(|line| line.0 = level)
        }

        fn edges(&mut self) -> Result<u32, String> {
            self.with(|line| line.1)
        }
    }

    const SETUP: LineSetup =
        LineSetup { is_output: false, counts: true, pull: Pull::AsIs, is_active_low: false, debounce: Duration::ZERO };

    #[test]
    fn edges_add_up_across_the_kernels_wrap_and_a_line_that_is_held_stops_no_other() {
        let board = Board::default();
        let (seventeen, held) = (LineName::Offset(17), LineName::Name("RELAY".into()));
        board.0.lock().expect("a test").insert(seventeen.clone(), (false, u32::MAX - 1));
        let mut lines = Lines::new(board.clone());
        let mut total = 0;
        lines.count(&seventeen, &SETUP, &mut total).expect("a count");
        assert_eq!(total, u64::from(u32::MAX) - 1);
        board.0.lock().expect("a test").insert(seventeen.clone(), (true, 3));
        lines.count(&seventeen, &SETUP, &mut total).expect("a count");
        assert_eq!(total, u64::from(u32::MAX) - 1 + 5);
        assert_eq!(lines.level(&held, &SETUP), Err(Trouble::Refused("busy".into())));
        assert_eq!(lines.level(&seventeen, &SETUP), Ok(true));
        assert_eq!(lines.set(&seventeen, &SETUP, false), Ok(false));
        board.0.lock().expect("a test").clear();
        assert_eq!(lines.level(&seventeen, &SETUP), Err(Trouble::Lost("gone".into())));
    }
}
