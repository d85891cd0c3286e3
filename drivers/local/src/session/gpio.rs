//! GPIO lines through the kernel's character device (GPIO uAPI v2).

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use gpiocdev::line::{Bias, EdgeDetection, EdgeEvent, EdgeKind, EventClock, Value};
use gpiocdev::request::{Config, Request};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

use crate::address::{LineName, Pull};
use crate::device::LineSetup;

/// Who holds the lines, as `gpioinfo` shows it.
const CONSUMER: &str = "forebay";

/// `sizeof(struct gpio_v2_line_event)`.
const EVENT_BYTES: usize = 48;

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

    /// The edges that the kernel holds, in their order.
    fn edges(&mut self, into: &mut Vec<Edge>) -> Result<(), String>;

    /// Waits until the kernel holds an edge. One that fails is not waited for: whoever asks it for edges is told why.
    fn poll_edge(&mut self, context: &mut Context<'_>) -> Poll<()>;
}

/// One edge of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    /// What the line is since.
    pub(crate) level: bool,
    /// When the kernel saw it, nanoseconds since 1970.
    pub(crate) at_ns: i64,
    /// Its number among all edges since the line was opened, from 1, modulo 2^32; those that overflowed the kernel's queue
    /// have numbers too.
    pub(crate) number: u32,
}

/// An edge that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) level: bool,
    pub(crate) at_ns: i64,
    /// How many before it were lost.
    pub(crate) missed: u32,
}

/// The lines in use. Each is opened when it is first asked for, so that one that another program holds stops no other.
pub(crate) struct Lines<C: Chip> {
    chip: C,
    open: BTreeMap<LineName, Watched<C::Line>>,
}

struct Watched<L> {
    line: L,
    /// Whether somebody waits for its edges.
    tells: bool,
    /// The number of the last edge that was taken from the kernel.
    last: u32,
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
        let before = watched.last;
        watched.take(&mut Vec::new())?;
        *total += u64::from(watched.last.wrapping_sub(before));
        Ok(())
    }

    /// The edges since the last call, of a line that was asked for its level before.
    pub(crate) fn told(&mut self, name: &LineName) -> Result<Vec<Told>, Trouble> {
        let Some(watched) = self.open.get_mut(name) else { return Ok(Vec::new()) };
        let (mut edges, mut last) = (Vec::new(), watched.last);
        watched.take(&mut edges)?;
        let told = edges.into_iter().map(|Edge { level, at_ns, number }| {
            let missed = number.wrapping_sub(last).wrapping_sub(1);
            last = number;
            Told { level, at_ns, missed }
        });
        Ok(told.collect())
    }

    /// Waits until a line has an edge to tell. May be cancelled at any time, and loses nothing.
    pub(crate) async fn news(&mut self) {
        poll_fn(|context| {
            // All are asked, so that each wakes the task.
            let mut telling = self.open.values_mut().filter(|watched| watched.tells);
            telling.by_ref().fold(Poll::Pending, |found, watched| match watched.line.poll_edge(context) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => found,
            })
        })
        .await;
    }

    fn watched(&mut self, name: &LineName, setup: &LineSetup) -> Result<&mut Watched<C::Line>, Trouble> {
        if !self.open.contains_key(name) {
            let line = self.chip.line(name, setup).map_err(Trouble::Refused)?;
            self.open.insert(name.clone(), Watched { line, tells: setup.tells, last: 0 });
        }
        self.open.get_mut(name).ok_or_else(|| Trouble::Lost("the line is gone".into()))
    }
}

impl<L: Line> Watched<L> {
    fn take(&mut self, edges: &mut Vec<Edge>) -> Result<(), Trouble> {
        self.line.edges(edges).map_err(Trouble::Lost)?;
        self.last = edges.last().map_or(self.last, |edge| edge.number);
        Ok(())
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
            if setup.tells {
                request.with_edge_detection(EdgeDetection::BothEdges).with_event_clock(EventClock::Realtime);
            } else if setup.counts {
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
        let waiting = if setup.tells { Some(waiting(&request).map_err(|error| error.to_string())?) } else { None };
        let is_active_low = setup.is_active_low;
        Ok(KernelLine { request, offset, is_active_low, is_driven: false, waiting, early: Vec::new() })
    }
}

/// A line that is held through the kernel.
pub(crate) struct KernelLine {
    request: Request,
    offset: u32,
    is_active_low: bool,
    /// Whether it has been made an output.
    is_driven: bool,
    /// A second way to the same queue of events, for the runtime to wait at.
    waiting: Option<pipe::Receiver>,
    /// Edges that came out of the queue while it was waited for.
    early: Vec<Edge>,
}

/// Events are read as from a pipe: one whole event or more at a time, and none is an answer too.
fn waiting(request: &Request) -> io::Result<pipe::Receiver> {
    let events = request.as_fd().try_clone_to_owned()?;
    fcntl_setfl(&events, fcntl_getfl(&events)? | OFlags::NONBLOCK)?;
    pipe::Receiver::from_owned_fd_unchecked(events)
}

impl KernelLine {
    /// One event as the kernel writes it (`struct gpio_v2_line_event`).
    fn event(&self, bytes: &[u8]) -> Option<Edge> {
        let words: Vec<u64> =
            bytes.chunks_exact(8).filter_map(|word| word.try_into().ok()).map(u64::from_ne_bytes).collect();
        self.request.edge_event_from_slice(&words).ok().map(|event| edge(&event))
    }
}

fn edge(event: &EdgeEvent) -> Edge {
    let level = event.kind == EdgeKind::Rising;
    Edge { level, at_ns: i64::try_from(event.timestamp_ns).unwrap_or(i64::MAX), number: event.line_seqno }
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

    fn edges(&mut self, into: &mut Vec<Edge>) -> Result<(), String> {
        into.append(&mut self.early);
        while self.request.has_edge_event().map_err(|error| error.to_string())? {
            into.push(edge(&self.request.read_edge_event().map_err(|error| error.to_string())?));
        }
        Ok(())
    }

    fn poll_edge(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.early.is_empty() {
            return Poll::Ready(());
        }
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        let mut bytes = [0; EVENT_BYTES];
        let mut read = ReadBuf::new(&mut bytes);
        let Poll::Ready(Ok(())) = Pin::new(waiting).poll_read(context, &mut read) else { return Poll::Pending };
        let event = self.event(read.filled());
        self.early.extend(event);
        if self.early.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, MutexGuard};
    use std::task::Waker;
    use std::time::Duration;

    /// Lines in memory, and who waits for their edges. One that is not there is held by another program.
    #[derive(Clone, Default)]
    struct Board(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        lines: BTreeMap<LineName, Wire>,
        waker: Option<Waker>,
    }

    /// The level of a line, and the edges in the kernel's queue.
    #[derive(Clone, Default)]
    struct Wire {
        level: bool,
        number: u32,
        queue: Vec<Edge>,
    }

    struct BoardLine(Board, LineName);

    impl Board {
        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().expect("a test")
        }

        /// The line changes at this time; edges before it may have found no room in the queue.
        fn edge(&self, name: &LineName, level: bool, at_ns: i64, without_room: u32) {
            let mut state = self.state();
            let wire = state.lines.get_mut(name).expect("a line of the test");
            wire.level = level;
            wire.number = wire.number.wrapping_add(without_room + 1);
            wire.queue.push(Edge { level, at_ns, number: wire.number });
            state.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    impl Chip for Board {
        type Line = BoardLine;

        fn line(&self, name: &LineName, _: &LineSetup) -> Result<BoardLine, String> {
            let is_there = self.state().lines.contains_key(name);
            is_there.then(|| BoardLine(self.clone(), name.clone())).ok_or_else(|| "busy".into())
        }
    }

    impl BoardLine {
        fn with<R>(&self, of: impl FnOnce(&mut Wire) -> R) -> Result<R, String> {
            self.0.state().lines.get_mut(&self.1).map(of).ok_or_else(|| "gone".into())
        }
    }

    impl Line for BoardLine {
        fn level(&mut self) -> Result<bool, String> {
            self.with(|line| line.level)
        }

        fn set(&mut self, level: bool) -> Result<(), String> {
            self.with(|line| line.level = level)
        }

        fn edges(&mut self, into: &mut Vec<Edge>) -> Result<(), String> {
            self.with(|line| into.append(&mut line.queue))
        }

        fn poll_edge(&mut self, context: &mut Context<'_>) -> Poll<()> {
            self.0.state().waker = Some(context.waker().clone());
            match self.with(|line| line.queue.is_empty()) {
                Ok(false) => Poll::Ready(()),
                Ok(true) | Err(_) => Poll::Pending,
            }
        }
    }

    const COUNTED: LineSetup = LineSetup {
        is_output: false,
        counts: true,
        tells: false,
        pull: Pull::AsIs,
        is_active_low: false,
        debounce: Duration::ZERO,
    };

    const TELLING: LineSetup = LineSetup { counts: false, tells: true, ..COUNTED };

    fn board(names: &[&LineName]) -> (Board, Lines<Board>) {
        let board = Board::default();
        board.state().lines = names.iter().map(|name| ((*name).clone(), Wire::default())).collect();
        let lines = Lines::new(board.clone());
        (board, lines)
    }

    #[test]
    fn edges_add_up_across_the_kernels_wrap_and_a_line_that_is_held_stops_no_other() {
        let (seventeen, held) = (LineName::Offset(17), LineName::Name("RELAY".into()));
        let (board, mut lines) = board(&[&seventeen]);
        let mut total = 0;
        board.edge(&seventeen, true, 1, u32::MAX - 2);
        lines.count(&seventeen, &COUNTED, &mut total).expect("a count");
        assert_eq!(total, u64::from(u32::MAX) - 1);
        board.edge(&seventeen, true, 2, 4);
        lines.count(&seventeen, &COUNTED, &mut total).expect("a count");
        assert_eq!(total, u64::from(u32::MAX) - 1 + 5);
        assert_eq!(lines.level(&held, &COUNTED), Err(Trouble::Refused("busy".into())));
        assert_eq!(lines.level(&seventeen, &COUNTED), Ok(true));
        assert_eq!(lines.set(&seventeen, &COUNTED, false), Ok(false));
        board.state().lines.clear();
        assert_eq!(lines.level(&seventeen, &COUNTED), Err(Trouble::Lost("gone".into())));
    }

    #[test]
    fn each_edge_is_told_with_its_time_and_those_that_the_kernel_lost_are_counted() {
        let five = LineName::Offset(5);
        let (board, mut lines) = board(&[&five]);
        assert_eq!(lines.told(&five), Ok(Vec::new()), "nothing is told of a line that was not opened");
        assert_eq!(lines.level(&five, &TELLING), Ok(false));
        board.edge(&five, true, 1_700_000_000_000_000_123, 0);
        board.edge(&five, false, 1_700_000_000_000_050_000, 0);
        board.edge(&five, true, 1_700_000_000_900_000_000, 16);
        let told = |level, at_ns, missed| Told { level, at_ns, missed };
        let expected = [
            told(true, 1_700_000_000_000_000_123, 0),
            told(false, 1_700_000_000_000_050_000, 0),
            told(true, 1_700_000_000_900_000_000, 16),
        ];
        assert_eq!(lines.told(&five), Ok(expected.to_vec()));
        assert_eq!(lines.told(&five), Ok(Vec::new()), "each is told once");
        board.state().lines.clear();
        assert_eq!(lines.told(&five), Err(Trouble::Lost("gone".into())));
    }

    #[tokio::test]
    async fn an_edge_of_any_telling_line_wakes_whoever_waits_and_no_other_does() {
        let (counted, telling) = (LineName::Offset(1), LineName::Offset(2));
        let (board, mut lines) = board(&[&counted, &telling]);
        lines.level(&counted, &COUNTED).expect("a level");
        lines.level(&telling, &TELLING).expect("a level");
        board.edge(&counted, true, 1, 0);
        let mut waiting = is_pending(&mut lines);
        assert!(waiting(), "an edge that is counted tells nothing");
        drop(waiting);
        board.edge(&telling, true, 2, 0);
        tokio::time::timeout(Duration::from_secs(20), lines.news()).await.expect("an edge wakes");
        tokio::time::timeout(Duration::from_secs(20), lines.news()).await.expect("until it is taken");
        assert_eq!(lines.told(&telling).map(|told| told.len()), Ok(1));
        let waker = {
            let mut waits = is_pending(&mut lines);
            assert!(waits());
            board.state().waker.clone()
        };
        assert!(waker.is_some(), "the line knows whom to wake");
    }

    /// Whether a wait still waits.
    fn is_pending(lines: &mut Lines<Board>) -> impl FnMut() -> bool {
        let mut news = Box::pin(lines.news());
        move || news.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}
