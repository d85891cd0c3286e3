//! The bytes of one connection, without the network: what comes is cut into packets, requests wait for their time. Pure
//! but for the PLC's own memory: the time is passed in.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::Plc;
use super::answer::latency;
use super::session::{Session, Step};
use crate::frame::{Extent, tpkt};

/// Requests that wait for their answers; nothing more is taken while there are so many.
const WAITING_MAX: usize = 256;

/// One client's conversation with a PLC.
#[derive(Debug)]
pub struct Conversation {
    plc: Plc,
    session: Session,
    received: Vec<u8>,
    waiting: VecDeque<(Instant, Vec<u8>)>,
}

/// Whether a conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// More may be said.
    Open,
    /// The PLC hangs up once its last answer is out.
    Ended,
}

impl Conversation {
    /// Begins one.
    pub fn new(plc: &Plc) -> Self {
        Self { plc: plc.clone(), session: Session::new(), received: Vec::new(), waiting: VecDeque::new() }
    }

    /// Takes what was received, and appends what goes back now.
    pub fn turn(&mut self, received: &[u8], now: Instant, replies: &mut Vec<u8>) -> Talk {
        self.received.extend_from_slice(received);
        let end = self.take(now, replies);
        // What was asked before the end is answered before it.
        let talk = self.answer(now, replies);
        match end {
            Some(last) => {
                replies.extend(last);
                Talk::Ended
            }
            None => talk,
        }
    }

    /// When there will be something to say without having received more.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }

    /// Whether more can be taken.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    /// Takes the packets that have come whole; gives the last words where one of them ends it.
    fn take(&mut self, now: Instant, replies: &mut Vec<u8>) -> Option<Vec<u8>> {
        while self.has_room() {
            let len = match tpkt(&self.received) {
                Extent::Frame(len) if len <= self.received.len() => len,
                Extent::Frame(_) | Extent::Unclear => return None,
                Extent::Foreign => return Some(Vec::new()),
            };
            let packet: Vec<u8> = self.received.drain(..len).collect();
            match self.session.take(&self.plc, &packet) {
                Step::Wait => {}
                Step::Reply(reply) => replies.extend(reply),
                Step::Request(request) => self.enqueue(request, now),
                Step::End(last) => return Some(last),
            }
        }
        None
    }

    /// In order: a request that needs less time does not overtake.
    fn enqueue(&mut self, request: Vec<u8>, now: Instant) {
        if self.waiting.len() >= self.session.jobs_max() {
            self.plc.with(|state| state.counts.breaches += 1);
        }
        let due = now + latency(&self.plc, &request);
        let due = self.waiting.back().map_or(due, |(before, _)| due.max(*before));
        self.waiting.push_back((due, request));
    }

    /// Answers the requests whose time has come.
    fn answer(&mut self, now: Instant, replies: &mut Vec<u8>) -> Talk {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some((_, request)) = self.waiting.pop_front() else { break };
            match self.session.answer(&self.plc, &request) {
                Some(reply) => replies.extend(reply),
                None => return Talk::Ended,
            }
        }
        Talk::Open
    }
}
