//! One direction of one connection: bytes in, bytes out at their times. Pure: the time is passed in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::distort::{Distorted, Frame, Piece, distort};
use super::{Faults, Framing, Link};
use crate::frame::{Extent, Way, mbap, rtu, tpkt};

/// When more bytes than this are under way, nothing more is read.
const UNDER_WAY_MAX: usize = 1 << 20;

/// An RTU frame that does not go on for so long is passed on as it is.
const RTU_SILENCE: Duration = Duration::from_millis(30);

/// The bytes that pass together on a slow network link.
const SEGMENT: usize = 1460;

/// How fast a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) latency: Duration,
    pub(super) per_byte: Duration,
    /// So many bytes arrive together.
    pub(super) chunk: usize,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// One side has nothing more to say.
    Finished,
    /// It is closed.
    Closed,
    /// It is reset.
    Reset,
}

/// The last request of a connection, which its replies want to know.
pub(super) type LastRequest = Arc<Mutex<Vec<u8>>>;

/// Bytes of a frame that arrive together.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    frame: u64,
    is_last: bool,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Lane {
    framing: Framing,
    way: Way,
    faults: Faults,
    last_request: LastRequest,
    own_pace: Option<Pace>,
    partial: Vec<u8>,
    partial_until: Option<Instant>,
    previous: Vec<u8>,
    queue: BTreeMap<(Instant, u64), Chunk>,
    /// The frame of which some bytes have arrived and others have not.
    begun: Option<u64>,
    frames: u64,
    under_way: usize,
    queued: u64,
    ordered_until: Instant,
    line_free: Instant,
    passed: u64,
}

impl Lane {
    /// A lane with its own pace, or with that of the link.
    pub(super) fn new(
        framing: Framing,
        way: Way,
        faults: &Faults,
        last_request: &LastRequest,
        own_pace: Option<Pace>,
    ) -> Self {
        let now = Instant::now();
        Self {
            framing,
            way,
            faults: faults.clone(),
            last_request: Arc::clone(last_request),
            own_pace,
            partial: Vec::new(),
            partial_until: None,
            previous: Vec::new(),
            queue: BTreeMap::new(),
            begun: None,
            frames: 0,
            under_way: 0,
            queued: 0,
            ordered_until: now,
            line_free: now,
            passed: 0,
        }
    }

    /// Takes what was sent. Says how the connection ends, if this ends it.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant, link: Link) -> Option<End> {
        self.partial.extend_from_slice(bytes);
        self.partial_until = None;
        while let Some(len) = self.whole_frame() {
            let frame: Vec<u8> = self.partial.drain(..len).collect();
            let end = self.pass(frame, now, link);
            if end.is_some() {
                return end;
            }
        }
        if !self.partial.is_empty() && self.framing == Framing::ModbusRtu {
            self.partial_until = Some(now + RTU_SILENCE);
        }
        None
    }

    /// Nothing more will be sent: what is there of a frame passes as it is.
    pub(super) fn finish(&mut self, now: Instant, link: Link) {
        let rest = std::mem::take(&mut self.partial);
        self.partial_until = None;
        self.enqueue(&[Piece { after: Duration::ZERO, bytes: rest }], now, link, Order::Kept);
    }

    /// When [`due`](Self::due) will have something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let queued = self.queue.first_key_value().map(|((due, _), _)| *due);
        queued.into_iter().chain(self.partial_until).min()
    }

    /// What arrives now.
    pub(super) fn due(&mut self, now: Instant, link: Link) -> Vec<u8> {
        if self.partial_until.is_some_and(|until| until <= now) {
            self.finish(now, link);
        }
        let mut arrived = Vec::new();
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= now
        {
            let chunk = entry.remove();
            // No far side writes one frame into another: what overtakes waits for the end of the frame that has begun.
            if let Some(due) = self.end_of_another(chunk.frame) {
                self.queued += 1;
                self.queue.insert((due, self.queued), chunk);
            } else {
                self.begun = (!chunk.is_last).then_some(chunk.frame);
                arrived.extend(chunk.bytes);
            }
        }
        self.under_way -= arrived.len();
        if let Link::CutAfter(bytes) = link {
            arrived.truncate(usize::try_from(bytes.saturating_sub(self.passed)).unwrap_or(usize::MAX));
        }
        self.passed += arrived.len() as u64;
        arrived
    }

    /// When the last bytes of the frame that has begun arrive, if it is another one.
    fn end_of_another(&self, frame: u64) -> Option<Instant> {
        let begun = self.begun.filter(|begun| *begun != frame)?;
        let last = self.queue.iter().rev().find(|(_, queued)| queued.frame == begun);
        last.map(|((due, _), _)| *due)
    }

    /// Everything under way is lost.
    pub(super) fn lose(&mut self) {
        self.queue.clear();
        self.begun = None;
        self.partial.clear();
        self.partial_until = None;
        self.under_way = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.under_way < UNDER_WAY_MAX
    }

    /// How many bytes arrived so far.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// How long the frame at the start is, if it is there whole. What is no frame counts as one.
    fn whole_frame(&self) -> Option<usize> {
        let all = self.partial.len();
        let extent = match self.framing {
            _ if all == 0 => return None,
            Framing::Stream => Extent::Frame(all),
            Framing::ModbusTcp => mbap(&self.partial),
            Framing::ModbusRtu => rtu(&self.partial, self.way),
            Framing::S7 => tpkt(&self.partial),
        };
        match extent {
            Extent::Frame(len) => (len <= all).then_some(len),
            Extent::Unclear => None,
            Extent::Foreign => Some(all),
        }
    }

    fn pass(&mut self, bytes: Vec<u8>, now: Instant, link: Link) -> Option<End> {
        let request = self.request_before(&bytes);
        let frame =
            Frame { framing: self.framing, way: self.way, bytes: &bytes, request: &request, previous: &self.previous };
        let fault = self.faults.next(bytes.len(), frame.unit());
        let distorted = distort(fault, frame, |len| self.faults.random_bytes(len));
        match &distorted {
            Distorted::Inapplicable => self.faults.inapplicable(),
            _ => self.faults.done(fault),
        }
        match distorted {
            Distorted::Pieces(pieces) => self.enqueue(&pieces, now, link, Order::Kept),
            Distorted::Overtaken(piece) => self.enqueue(&[piece], now, link, Order::Any),
            Distorted::Inapplicable => {
                self.enqueue(&[Piece { after: Duration::ZERO, bytes: bytes.clone() }], now, link, Order::Kept);
            }
            Distorted::Reset => return Some(End::Reset),
            Distorted::Close => return Some(End::Closed),
        }
        self.previous = bytes;
        None
    }

    fn request_before(&self, bytes: &[u8]) -> Vec<u8> {
        let mut last = self.last_request.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.clone();
        if self.way == Way::Request {
            last.clear();
            last.extend_from_slice(bytes);
        }
        before
    }

    /// The pieces of one frame.
    fn enqueue(&mut self, pieces: &[Piece], now: Instant, link: Link, order: Order) {
        self.frames += 1;
        let pace = self.own_pace.unwrap_or_else(|| Pace::of(link));
        let chunks: Vec<(Instant, &[u8])> = pieces
            .iter()
            .flat_map(|piece| piece.bytes.chunks(pace.chunk).map(move |chunk| (now + piece.after, chunk)))
            .collect();
        let mut free = now;
        for (index, (from, chunk)) in chunks.iter().enumerate() {
            free = match order {
                Order::Kept => (*from).max(self.line_free),
                Order::Any => free.max(*from),
            };
            free += pace.per_byte * chunk.len() as u32;
            let mut due = free + pace.latency;
            if order == Order::Kept {
                due = due.max(self.ordered_until);
                self.ordered_until = due;
                self.line_free = free;
            }
            self.queued += 1;
            self.under_way += chunk.len();
            let is_last = index + 1 == chunks.len();
            let chunk = Chunk { bytes: chunk.to_vec(), frame: self.frames, is_last };
            self.queue.insert((due, self.queued), chunk);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Kept,
    Any,
}

impl Pace {
    fn of(link: Link) -> Self {
        let Link::Slow { latency, bytes_per_second } = link else {
            return Self { latency: Duration::ZERO, per_byte: Duration::ZERO, chunk: usize::MAX };
        };
        let per_byte = bytes_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get());
        Self { latency, per_byte, chunk: SEGMENT }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::faults::Fault;
    use crate::frame::with_crc;

    const MS: Duration = Duration::from_millis(1);
    const REPLY: &[u8] = &[0, 9, 0, 0, 0, 5, 1, 3, 2, 0xAA, 0xBB];

    fn lane(framing: Framing, way: Way, pace: Option<Pace>) -> (Lane, Faults, Instant) {
        let faults = Faults::none();
        let lane = Lane::new(framing, way, &faults, &LastRequest::default(), pace);
        let start = lane.line_free;
        (lane, faults, start)
    }

    /// What arrives, and when after the start.
    fn drain(lane: &mut Lane, start: Instant, link: Link) -> Vec<(Duration, Vec<u8>)> {
        let mut arrived = Vec::new();
        while let Some(due) = lane.next_due() {
            arrived.push((due - start, lane.due(due, link)));
        }
        arrived
    }

    #[test]
    fn frames_are_found_however_their_bytes_come() {
        let (mut lane, faults, start) = lane(Framing::ModbusTcp, Way::Reply, None);
        for byte in [REPLY, REPLY].concat() {
            assert_eq!(lane.take(&[byte], start, Link::Up), None);
        }
        assert_eq!(lane.take(&[REPLY, REPLY, REPLY].concat(), start, Link::Up), None);
        assert_eq!(faults.counts().frames, 5);
        let arrived: Vec<u8> = drain(&mut lane, start, Link::Up).into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(arrived, REPLY.repeat(5));
        assert_eq!(lane.passed(), 55);
    }

    #[test]
    fn what_is_no_frame_passes_as_it_is() {
        let (mut lane, _, start) = lane(Framing::ModbusTcp, Way::Reply, None);
        lane.take(b"GET / HTTP/1.1", start, Link::Up);
        assert_eq!(lane.due(start, Link::Up), b"GET / HTTP/1.1");
    }

    #[test]
    fn what_overtakes_does_not_arrive_within_another_frame() {
        let (mut lane, faults, start) = lane(Framing::ModbusTcp, Way::Reply, None);
        faults.script([Fault::Late(45 * MS), Fault::Drip(10 * MS)]);
        let second = [&[0, 10], &REPLY[2..]].concat();
        lane.take(REPLY, start, Link::Up);
        lane.take(&second, start, Link::Up);
        let arrived: Vec<u8> = drain(&mut lane, start, Link::Up).into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(arrived, [&second, REPLY].concat());
    }

    #[test]
    fn a_late_reply_is_overtaken_and_a_delayed_one_is_not() {
        let (mut lane, faults, start) = lane(Framing::Stream, Way::Reply, None);
        faults.script([Fault::Late(50 * MS), Fault::Pass, Fault::Delay(20 * MS), Fault::Pass]);
        for bytes in [b"a", b"b", b"c", b"d"] {
            lane.take(bytes, start, Link::Up);
        }
        let expected = [
            (Duration::ZERO, b"b".to_vec()),
            (20 * MS, b"c".to_vec()),
            (20 * MS, b"d".to_vec()),
            (50 * MS, b"a".to_vec()),
        ];
        let mut found = Vec::new();
        for (after, bytes) in drain(&mut lane, start, Link::Up) {
            found.extend(bytes.into_iter().map(|byte| (after, vec![byte])));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_slow_link_takes_its_time_for_each_byte_and_for_the_way() {
        let (mut lane, _, start) = lane(Framing::Stream, Way::Reply, None);
        let link = Link::Slow { latency: 100 * MS, bytes_per_second: NonZeroU32::new(1000) };
        lane.take(&[1; 10], start, link);
        lane.take(&[2; 20], start, link);
        let lengths: Vec<_> =
            drain(&mut lane, start, link).into_iter().map(|(after, bytes)| (after, bytes.len())).collect();
        assert_eq!(lengths, [(110 * MS, 10), (130 * MS, 20)]);
    }

    #[test]
    fn a_serial_line_delivers_a_few_characters_at_a_time() {
        let pace = Pace { latency: Duration::ZERO, per_byte: MS, chunk: 4 };
        let (mut lane, _, start) = lane(Framing::Stream, Way::Reply, Some(pace));
        lane.take(&[7; 10], start, Link::Up);
        let lengths: Vec<_> =
            drain(&mut lane, start, Link::Up).into_iter().map(|(after, bytes)| (after, bytes.len())).collect();
        assert_eq!(lengths, [(4 * MS, 4), (8 * MS, 4), (10 * MS, 2)]);
    }

    #[test]
    fn a_cut_rtu_frame_passes_after_a_silence() {
        let (mut lane, faults, start) = lane(Framing::ModbusRtu, Way::Request, None);
        let request = with_crc(vec![1, 3, 0, 0, 0, 1]);
        lane.take(&request[..5], start, Link::Up);
        assert_eq!(drain(&mut lane, start, Link::Up), [(RTU_SILENCE, request[..5].to_vec())]);
        assert_eq!(faults.counts().frames, 0);
    }

    #[test]
    fn a_cut_is_made_in_the_middle_of_a_frame() {
        let (mut lane, _, start) = lane(Framing::ModbusTcp, Way::Reply, None);
        let link = Link::CutAfter(15);
        lane.take(REPLY, start, link);
        assert_eq!(lane.due(start, link), REPLY);
        lane.take(REPLY, start, link);
        assert_eq!((lane.due(start, link).as_slice(), lane.passed()), (&REPLY[..4], 15));
    }

    #[test]
    fn a_reset_ends_the_connection_and_counts() {
        let (mut lane, faults, start) = lane(Framing::Stream, Way::Reply, None);
        faults.script([Fault::Reset]);
        assert_eq!(lane.take(b"x", start, Link::Up), Some(End::Reset));
        assert_eq!(faults.counts().injected["reset"], 1);
    }
}
