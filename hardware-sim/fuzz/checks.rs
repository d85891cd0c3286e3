//! What must hold for any bytes from a client and any text from the operator. Run by the fuzz targets, and by the tests
//! over the corpus.

use std::time::Duration;

use tokio::time::Instant;

use super::tested::s7::{Area, Conversation, Plc, Talk, bytes_u32};
use super::tested::signal::{Recording, Signal};

/// No answer is longer than this for each byte that was asked: twenty items of a PDU of 960 bytes in TPDUs of 128.
const ANSWER_FOR_A_BYTE_MAX: usize = 200;

/// Runs `input` through the parser that the fuzz target of that name tests.
pub(crate) fn check(target: &str, input: &[u8]) {
    match target {
        "s7" => s7(input),
        "signal" => on_text(input, signal),
        "recording" => on_text(input, recording),
        other => panic!("there is no fuzz target {other}"),
    }
}

fn on_text(input: &[u8], check: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(input) {
        check(text);
    }
}

/// A whole connection. However its bytes are cut, they get the same answers and end in the same way.
fn s7(input: &[u8]) {
    let whole = conversation(input.chunks(input.len().max(1)));
    assert_eq!(conversation(input.chunks(1)), whole, "byte by byte");
    assert!(whole.0.len() <= input.len() * ANSWER_FOR_A_BYTE_MAX, "{} bytes for {}", whole.0.len(), input.len());
}

fn conversation<'i>(pieces: impl Iterator<Item = &'i [u8]>) -> (Vec<u8>, Talk) {
    let plc = Plc::new();
    plc.write(Area::Block(1), 0, &[7; 300]);
    plc.oracle(Area::Flags, 0, 4, bytes_u32);
    let (mut conversation, mut replies, now) = (Conversation::new(&plc), Vec::new(), Instant::now());
    for piece in pieces {
        if conversation.turn(piece, now, &mut replies) == Talk::Ended {
            return (replies, Talk::Ended);
        }
    }
    assert!(conversation.next_due().is_none(), "every request is answered at once");
    (replies, Talk::Open)
}

/// What is a signal has a value at any time, the same one when it is asked again.
fn signal(text: &str) {
    let read = |_: &str| Ok("0,1\n1,2".to_owned());
    match Signal::parse(text, read) {
        Ok(mut signal) => {
            for seconds in [0, 1, 86_400, u64::MAX] {
                let at = Duration::from_secs(seconds);
                let (first, again) = (signal.at(at), signal.at(at));
                assert!(
                    first == again || first.is_nan() && again.is_nan(),
                    "{text} at {seconds} s: {first} and {again}"
                );
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is a recording has a value at any time.
fn recording(text: &str) {
    let lines = text.lines().count();
    match text.parse::<Recording>() {
        Ok(recording) => {
            let mut signal = Signal::Recording(recording);
            for seconds in [0, 1, u64::MAX] {
                signal.at(Duration::from_secs(seconds));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty() && lines < 10_000_000),
    }
}
