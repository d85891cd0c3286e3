//! Counters that tell afterwards what was lost, doubled or made up: each answered read carries the next number.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The most answers that are remembered; older ones are forgotten and counted.
const ANSWERS_MAX: usize = 1_000_000;

/// An answer that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The number it carried; the first answer carries 1.
    pub counter: u64,
    /// When the answer was made; it leaves for the network just afterwards.
    pub at: SystemTime,
}

/// What one counting point answered so far. Clones show the same point.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Log {
    answers: VecDeque<Answered>,
    counter: u64,
}

impl Oracle {
    /// The number that the last answer carried, 0 before the first.
    pub fn last(&self) -> u64 {
        self.with(|log| log.counter)
    }

    /// What was answered, oldest first.
    pub fn answered(&self) -> Vec<Answered> {
        self.with(|log| log.answers.iter().copied().collect())
    }

    /// How many answers are no longer remembered.
    pub fn forgotten(&self) -> u64 {
        self.with(|log| log.counter - log.answers.len() as u64)
    }

    /// The number for the answer that is being made.
    pub(crate) fn next(&self) -> u64 {
        self.with(|log| {
            log.counter += 1;
            if log.answers.len() == ANSWERS_MAX {
                log.answers.pop_front();
            }
            log.answers.push_back(Answered { counter: log.counter, at: SystemTime::now() });
            log.counter
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Log) -> T) -> T {
        act(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes the low 32 bits as four bytes, the highest first.
pub fn bytes_u32(counter: u64, bytes: &mut [u8]) {
    bytes.iter_mut().zip(&counter.to_be_bytes()[4..]).for_each(|(to, from)| *to = *from);
}

/// Writes the low 32 bits as two words, the high word first (order ABCD).
pub fn words_u32(counter: u64, words: &mut [u16]) {
    words_of(&counter.to_be_bytes()[4..], words);
}

/// Writes 64 bits as four words, the highest word first (order ABCDEFGH).
pub fn words_u64(counter: u64, words: &mut [u16]) {
    words_of(&counter.to_be_bytes(), words);
}

fn words_of(bytes: &[u8], words: &mut [u16]) {
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::from_be_bytes([bytes[0], bytes[1]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_one_and_remembers() {
        let oracle = Oracle::default();
        assert_eq!(oracle.last(), 0);
        assert_eq!([oracle.next(), oracle.next(), oracle.next()], [1, 2, 3]);
        assert_eq!(oracle.answered().iter().map(|a| a.counter).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((oracle.last(), oracle.forgotten()), (3, 0));
    }

    #[test]
    fn words_go_high_first() {
        let mut words = [0; 4];
        words_u64(0x0001_0002_0003_0004, &mut words);
        assert_eq!(words, [1, 2, 3, 4]);
        let mut words = [0; 2];
        words_u32(0x0009_0001_0002, &mut words);
        assert_eq!(words, [1, 2]);
        let mut bytes = [0; 4];
        bytes_u32(0x0009_0102_0304, &mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4]);
    }
}
