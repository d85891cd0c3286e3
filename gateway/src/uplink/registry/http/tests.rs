use proptest::prelude::*;
use serde_json::json;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":7}";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4;x=y\r\n{\"id\r\n4\r\n\":7}\r\n0\r\n\r\n";

fn id(text: &str, end: End) -> Result<Option<u64>, &'static str> {
    answer(text.as_bytes(), end).map(|answer| answer.map(|answer| answer.json["id"].as_u64().unwrap_or_default()))
}

#[test]
fn bodies_end_by_length_by_chunks_or_with_the_connection() {
    for text in [OK, CHUNKED] {
        assert_eq!(id(text, End::Open), Ok(Some(7)), "{text}");
    }
    let to_the_end = "HTTP/1.0 200 OK\r\n\r\n{\"id\":7}";
    assert_eq!(id(to_the_end, End::Open), Ok(None));
    assert_eq!(id(to_the_end, End::Reached), Ok(Some(7)));
    let interim = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{OK}");
    assert_eq!(id(&interim, End::Open), Ok(Some(7)));
    let no_json = answer(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", End::Open);
    assert_eq!(no_json, Ok(Some(Answer { status: 502, json: json!(null) })));
}

#[test]
fn what_is_no_answer_is_told() {
    assert!(id("SSH-2.0-OpenSSH", End::Open).is_err_and(|error| error.contains("HTTP")));
    assert!(id("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", End::Open).is_err());
    assert!(id("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", End::Open).is_err());
}

proptest! {
    #[test]
    fn an_answer_cut_anywhere_is_awaited_and_then_reported(cut in 0..OK.len()) {
        prop_assert_eq!(id(&OK[..cut], End::Open), Ok(None));
        prop_assert!(id(&OK[..cut], End::Reached).is_err());
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0..CHUNKED.len()) {
        let mut text = CHUNKED.as_bytes()[..cut].to_vec();
        text.extend(bytes);
        // Whatever it is taken for, it ends.
        prop_assert!(answer(&text, End::Reached).is_ok() || answer(&text, End::Reached).is_err());
    }
}
