use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::frame::{BINARY, PONG};
use super::*;

/// What the fuzz target tests.
#[path = "../../../../fuzz/websocket.rs"]
mod checks;

/// A frame as a server writes it.
fn from_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ ..126 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

#[test]
fn the_handshake_of_the_standard_is_accepted() {
    let answered = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x82";
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(answer(answered, key), Ok(Some(answered.len() - 1)));
    for cut in 0..answered.len() - 1 {
        assert_eq!(answer(&answered[..cut], key), Ok(None));
    }
    assert!(answer(answered, "another").is_err());
    let refused = answer(b"HTTP/1.1 404 Not Found\r\n\r\n", key).expect_err("refused");
    assert!(refused.contains("404 Not Found"));
    assert!(answer(&[b'x'; ANSWER_BYTES_MAX + 1], key).is_err());
}

#[tokio::test]
async fn bytes_travel_in_frames_both_ways_and_pings_are_answered() {
    let (near, mut far) = duplex(1 << 16);
    let mut socket = WebSocket::new(near, &from_server(BINARY, b"early"));
    let mut read = [0; 5];
    socket.read_exact(&mut read).await.expect("data");
    assert_eq!(&read, b"early");

    far.write_all(&from_server(0x9, b"hello?")).await.expect("a ping");
    far.write_all(&from_server(BINARY, &[7; 300])).await.expect("data");
    let mut read = [0; 300];
    socket.read_exact(&mut read).await.expect("data");
    assert_eq!(read, [7; 300]);
    let mut pong = [0; 12];
    far.read_exact(&mut pong).await.expect("a pong");
    assert_eq!((pong[0], pong[1]), (0x80 | PONG, 0x80 | 6));
    let unmasked: Vec<u8> = pong[6..].iter().zip(pong[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    assert_eq!(unmasked, b"hello?");

    socket.write_all(b"abc").await.expect("written");
    socket.flush().await.expect("flushed");
    let mut frame = [0; 9];
    far.read_exact(&mut frame).await.expect("a frame");
    assert_eq!((frame[0], frame[1]), (0x82, 0x83));

    far.write_all(&from_server(0x8, b"")).await.expect("a close");
    assert_eq!(socket.read(&mut read).await.expect("the end"), 0);
}

#[tokio::test]
async fn pings_of_a_far_side_that_does_not_read_fill_no_memory() {
    let (near, _far) = duplex(16);
    let pings: Vec<u8> = (0..1_000).flat_map(|_| from_server(0x9, &[7; 100])).collect();
    let mut socket = WebSocket::new(near, &[pings, from_server(BINARY, b"x")].concat());
    assert_eq!(socket.read_u8().await.expect("data"), b'x');
    assert!(socket.outgoing.len() < 2 * UNSENT_BYTES_MAX, "{} bytes", socket.outgoing.len());
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    for wrong in [&[0xc2, 1, 0][..], &[0x82, 0x81, 0, 0, 0, 0, 0], &[0x83, 0], &[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]] {
        let (near, _far) = duplex(64);
        let mut socket = WebSocket::new(near, wrong);
        assert!(socket.read(&mut [0; 8]).await.is_err(), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn frames_cut_anywhere_are_put_together(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6), size in 1_usize..40) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| from_server(BINARY, payload)).collect();
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for chunk in bytes.chunks(size) {
            frames.push(chunk);
            while let Some(frame) = frames.next_frame().expect("frames") {
                let Frame::Data(payload) = frame else { panic!("{frame:?}") };
                found.push(payload);
            }
        }
        prop_assert_eq!(found, payloads);
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut frames = Frames::default();
        frames.push(&bytes);
        while let Ok(Some(_)) = frames.next_frame() {}
    }
}

#[test]
fn the_corpus_of_the_fuzz_target_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/websocket");
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
        checks::check(&std::fs::read(entry.expect("an entry").path()).expect("an input"));
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", folder.display());
}

proptest! {
    #[test]
    fn no_bytes_make_the_frames_panic(bytes in proptest::collection::vec(prop_oneof![Just(0x82_u8), Just(0x7e), Just(0), any::<u8>()], 0..300)) {
        checks::check(&bytes);
    }
}
