//! What must hold for any bytes from the far side of a WebSocket. Run by the fuzz target, and by the tests over the corpus.

use super::frame::{BINARY, Frame, Frames, write_frame};

/// The largest frame that is accepted, bytes.
const PAYLOAD_BYTES_MAX: usize = 128 * 1024;

/// However the bytes are cut, they give the same frames and end in the same way.
pub(crate) fn check(input: &[u8]) {
    let (frames, end) = frames(input.chunks(input.len().max(1)));
    for step in [1, 7] {
        assert_eq!(self::frames(input.chunks(step)), (frames.clone(), end.clone()), "in pieces of {step}");
    }
    let payload: usize = frames.iter().map(|(_, length)| length).sum();
    assert!(payload + 2 * frames.len() <= input.len(), "{payload} bytes of {}", input.len());
    assert!(frames.iter().all(|(_, length)| *length <= PAYLOAD_BYTES_MAX));
    is_refused_when_masked(input);
}

/// Kinds and lengths of all frames, and what ended them.
fn frames<'i>(pieces: impl Iterator<Item = &'i [u8]>) -> (Vec<(u8, usize)>, Option<String>) {
    let (mut frames, mut found) = (Frames::default(), Vec::new());
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.next_frame() {
                Ok(Some(Frame::Data(payload))) => found.push((0, payload.len())),
                Ok(Some(Frame::Ping(payload))) => found.push((1, payload.len())),
                Ok(Some(Frame::Pong)) => found.push((2, 0)),
                Ok(Some(Frame::Close)) => found.push((3, 0)),
                Ok(None) => break,
                Err(cause) => return (found, Some(cause.to_string())),
            }
        }
    }
    (found, None)
}

/// What a client sends is never taken for what a server sends.
fn is_refused_when_masked(payload: &[u8]) {
    let (mut bytes, mut frames) = (Vec::new(), Frames::default());
    write_frame(BINARY, payload, [1, 2, 3, 4], &mut bytes);
    frames.push(&bytes);
    assert!(frames.next_frame().is_err());
}
