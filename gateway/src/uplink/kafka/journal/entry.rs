//! The entries of the journal.

use std::sync::Arc;

use bytes::Bytes;

use crate::uplink::kafka::wire::{Malformed, Reader, TopicId, Writer};
use crate::uplink::{Lane, Message};

/// Which records a message holds: the same before and after a restart, in whatever lane they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The replay job that sends them once more, if one does.
    pub job: Option<u32>,
    /// The epoch of the records.
    pub epoch: u32,
    /// The lowest seq.
    pub first: u64,
    /// The highest seq.
    pub last: u64,
}

impl Mark {
    /// The records of a message.
    pub fn of(message: &Message) -> Mark {
        Mark { job: message.lane().job(), epoch: message.epoch, first: message.seqs.first, last: message.seqs.last }
    }
}

/// A partition as one lane sees it; lanes have producer ids of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// 0 for the live lane, 1 for history, 2 for replays.
    pub lane: u8,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

impl StreamKey {
    /// The number of a lane.
    pub fn lane_of(lane: Lane) -> u8 {
        match lane {
            Lane::Live => 0,
            Lane::History => 1,
            Lane::Replay(_) => 2,
        }
    }
}

/// One thing to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A process began under this boot.
    Boot(Box<str>),
    /// What follows is about this cluster.
    Cluster(Box<str>),
    /// A partition is produced to from here on.
    Opened {
        /// The stream's number from here on.
        stream: u32,
        /// Which.
        key: StreamKey,
        /// The topic's id.
        topic: TopicId,
        /// The producer id.
        producer: i64,
        /// Its epoch.
        epoch: i16,
        /// The next sequence.
        next: i32,
        /// Nothing of ours that is in doubt lies below this offset.
        base: i64,
    },
    /// A batch is about to leave.
    Intent {
        /// Which stream.
        stream: u32,
        /// The sequence of its first record.
        sequence: i32,
        /// Its records.
        marks: Vec<Mark>,
    },
    /// The partition has the batch.
    Appended {
        /// Which stream.
        stream: u32,
        /// The sequence of its first record.
        sequence: i32,
        /// The offset from which on something may be in doubt.
        base: i64,
    },
    /// The batches from this sequence on did not get in and never will.
    Withdrawn {
        /// Which stream.
        stream: u32,
        /// The sequence from which on.
        sequence: i32,
    },
    /// Sequences begin anew under this id and epoch; the open intents stay in doubt.
    Raised {
        /// Which stream.
        stream: u32,
        /// The producer id.
        producer: i64,
        /// Its epoch.
        epoch: i16,
    },
    /// The partition was read: nothing is in doubt any more.
    Settled {
        /// Which stream.
        stream: u32,
        /// The next sequence.
        next: i32,
        /// The offset from which on something may be in doubt.
        base: i64,
        /// What the partition has.
        found: Vec<Mark>,
    },
    /// The topic was deleted and made anew.
    Renewed {
        /// Which stream.
        stream: u32,
        /// The new topic's id.
        topic: TopicId,
    },
    /// These are delivered, and the log may hand them out again.
    Done(Vec<Mark>),
}

impl Entry {
    /// Whether a power cut must not take it.
    pub fn must_be_durable(&self) -> bool {
        matches!(self, Entry::Opened { .. } | Entry::Raised { .. } | Entry::Settled { .. } | Entry::Cluster(_))
    }

    /// Appends the entry's body.
    pub fn write(&self, out: &mut Vec<u8>) {
        let out = &mut Writer::new(out);
        match self {
            Entry::Boot(id) => {
                out.i8(0);
                out.compact_string(id);
            }
            Entry::Cluster(id) => {
                out.i8(1);
                out.compact_string(id);
            }
            Entry::Opened { stream, key, topic, producer, epoch, next, base } => {
                out.i8(2);
                out.uvarint(u64::from(*stream));
                out.i8(key.lane as i8);
                out.compact_string(&key.topic);
                out.i32(key.partition);
                out.raw(topic);
                out.i64(*producer);
                out.i16(*epoch);
                out.i32(*next);
                out.i64(*base);
            }
            Entry::Intent { stream, sequence, marks } => {
                out.i8(3);
                out.uvarint(u64::from(*stream));
                out.i32(*sequence);
                write_marks(marks, out);
            }
            Entry::Appended { stream, sequence, base } => {
                out.i8(4);
                out.uvarint(u64::from(*stream));
                out.i32(*sequence);
                out.i64(*base);
            }
            Entry::Withdrawn { stream, sequence } => {
                out.i8(5);
                out.uvarint(u64::from(*stream));
                out.i32(*sequence);
            }
            Entry::Raised { stream, producer, epoch } => {
                out.i8(6);
                out.uvarint(u64::from(*stream));
                out.i64(*producer);
                out.i16(*epoch);
            }
            Entry::Settled { stream, next, base, found } => {
                out.i8(7);
                out.uvarint(u64::from(*stream));
                out.i32(*next);
                out.i64(*base);
                write_marks(found, out);
            }
            Entry::Renewed { stream, topic } => {
                out.i8(8);
                out.uvarint(u64::from(*stream));
                out.raw(topic);
            }
            Entry::Done(marks) => {
                out.i8(9);
                write_marks(marks, out);
            }
        }
    }

    /// The entry in a body; `None` where there is none.
    pub fn read(body: &[u8]) -> Option<Entry> {
        read(&mut Reader::new(Bytes::copy_from_slice(body))).ok()
    }
}

fn read(body: &mut Reader) -> Result<Entry, Malformed> {
    let text = |body: &mut Reader| Ok(body.compact_string()?.unwrap_or_default().into_boxed_str());
    Ok(match body.i8()? {
        0 => Entry::Boot(text(body)?),
        1 => Entry::Cluster(text(body)?),
        2 => {
            let stream = body.uvarint()?;
            let lane = body.i8()? as u8;
            let key = StreamKey { lane, topic: text(body)?.into(), partition: body.i32()? };
            let (topic, producer, epoch) = (body.topic_id()?, body.i64()?, body.i16()?);
            Entry::Opened { stream, key, topic, producer, epoch, next: body.i32()?, base: body.i64()? }
        }
        3 => Entry::Intent { stream: body.uvarint()?, sequence: body.i32()?, marks: read_marks(body)? },
        4 => Entry::Appended { stream: body.uvarint()?, sequence: body.i32()?, base: body.i64()? },
        5 => Entry::Withdrawn { stream: body.uvarint()?, sequence: body.i32()? },
        6 => Entry::Raised { stream: body.uvarint()?, producer: body.i64()?, epoch: body.i16()? },
        7 => Entry::Settled { stream: body.uvarint()?, next: body.i32()?, base: body.i64()?, found: read_marks(body)? },
        8 => Entry::Renewed { stream: body.uvarint()?, topic: body.topic_id()? },
        9 => Entry::Done(read_marks(body)?),
        _ => return Err(Malformed { what: "an entry's kind" }),
    })
}

/// Marks mostly follow one another in one epoch: each as its distance from the one before.
fn write_marks(marks: &[Mark], out: &mut Writer<'_>) {
    out.uvarint(marks.len() as u64);
    let (mut at, mut epoch) = (0_u64, 0_u32);
    for mark in marks {
        out.varint(mark.first.wrapping_sub(at) as i64);
        out.uvarint(mark.last.wrapping_sub(mark.first));
        out.varint(i64::from(mark.epoch) - i64::from(epoch));
        out.uvarint(mark.job.map_or(0, |job| u64::from(job) + 1));
        (at, epoch) = (mark.last.wrapping_add(1), mark.epoch);
    }
}

fn read_marks(body: &mut Reader) -> Result<Vec<Mark>, Malformed> {
    let count = body.uvarint()? as usize;
    if count > body.left() {
        return Err(Malformed { what: "how many marks there are" });
    }
    let (mut at, mut epoch, mut marks) = (0_u64, 0_i64, Vec::new());
    for _ in 0..count {
        let first = at.wrapping_add(body.varlong()? as u64);
        let last = first.wrapping_add(body.uvarlong()?);
        epoch = epoch.wrapping_add(body.varlong()?);
        let job = body.uvarlong()?.checked_sub(1);
        let number = |number: i64| u32::try_from(number).map_err(|_| Malformed { what: "a mark" });
        let job = job.map(|job| u32::try_from(job).map_err(|_| Malformed { what: "a mark's job" })).transpose()?;
        marks.push(Mark { job, epoch: number(epoch)?, first, last });
        at = last.wrapping_add(1);
    }
    Ok(marks)
}
