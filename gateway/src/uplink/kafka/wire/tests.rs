use proptest::prelude::*;

use super::*;

fn bytes_of<R: Request>(request: &R) -> Vec<u8> {
    let mut out = VecDeque::new();
    write_request(request, 7, "me", &mut out);
    out.iter().flatten().copied().collect()
}

#[test]
fn a_request_is_written_as_the_protocol_says() {
    let head = [0, 0, 0, 12, 0, 18, 0, 0, 0, 0, 0, 7, 0, 2, b'm', b'e'];
    assert_eq!(bytes_of(&ApiVersions), head);
    let metadata = bytes_of(&Metadata { topics: vec!["t"] });
    assert_eq!(metadata[4..17], [0, 3, 0, 10, 0, 0, 0, 7, 0, 2, b'm', b'e', 0]);
    assert_eq!(metadata[17], 2);
    assert_eq!(metadata[34..], [2, b't', 0, 0, 0, 0, 0]);
}

#[test]
fn partitions_of_one_topic_stand_under_one_name() {
    let batch = Bytes::from_static(b"xy");
    let part = |topic, partition| ProducePart { topic, partition, batch: &batch };
    let written = bytes_of(&Produce { timeout_ms: 9, parts: vec![part("a", 0), part("a", 1), part("b", 0)] });
    let body = &written[16..];
    assert_eq!(body[..12], [255, 255, 255, 255, 0, 0, 0, 9, 0, 0, 0, 2]);
    assert_eq!(body[12..19], [0, 1, b'a', 0, 0, 0, 2]);
}

#[test]
fn large_batches_leave_behind_their_heads_without_a_copy() {
    let batches = [vec![7; 64 << 10], vec![8; 3], vec![9; 32 << 10]].map(Bytes::from);
    let parts = (0..).zip(&batches).map(|(partition, batch)| ProducePart { topic: "a", partition, batch });
    let mut out = VecDeque::new();
    write_request(&Produce { timeout_ms: 9, parts: parts.collect() }, 7, "me", &mut out);
    let is_shared = |batch: &&Bytes| out.iter().any(|piece| piece.as_ptr() == batch.as_ptr());
    assert_eq!(batches.iter().map(|batch| is_shared(&batch)).collect::<Vec<_>>(), [true, false, true]);
    let whole: Vec<u8> = out.iter().flatten().copied().collect();
    assert_eq!(frame_size(&whole), Ok(Some(whole.len())));
    let mut body = Reader::new(Bytes::from(whole).slice(16 + 19..));
    for (partition, batch) in (0..).zip(&batches) {
        assert_eq!((body.i32(), body.bytes()), (Ok(partition), Ok(Some(batch.clone()))));
    }
    assert_eq!(body.left(), 0);
}

#[test]
fn a_frame_is_whole_or_not_yet_or_never() {
    assert_eq!(frame_size(&[0, 0, 0]), Ok(None));
    assert_eq!(frame_size(&[0, 0, 0, 5, 1, 2, 3, 4]), Ok(None));
    assert_eq!(frame_size(&[0, 0, 0, 5, 1, 2, 3, 4, 5, 6]), Ok(Some(9)));
    for size in [-1_i32, 0, 3, ANSWER_BYTES_MAX as i32 + 1] {
        assert!(frame_size(&size.to_be_bytes()).is_err(), "{size}");
    }
}

#[test]
fn a_count_that_the_bytes_do_not_fill_is_refused() {
    let many = Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 1]);
    assert!(read_answer::<ApiVersions>(many).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_an_answer_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        drop(read_answer::<ApiVersions>(bytes.clone()));
        drop(read_answer::<Metadata<'_>>(bytes.clone()));
        drop(read_answer::<Produce<'_>>(bytes.clone()));
        prop_assert_eq!(read_answer::<InitProducerId>(bytes.clone()).is_ok(), bytes.len() >= 16);
        drop(read_answer::<ListOffsets<'_>>(bytes.clone()));
        drop(read_answer::<Fetch<'_>>(bytes.clone()));
        drop(read_answer::<DescribeProducers<'_>>(bytes.clone()));
        drop(read_answer::<CreateTopics<'_>>(bytes.clone()));
        drop(read_answer::<SaslHandshake<'_>>(bytes.clone()));
        drop(read_answer::<SaslAuthenticate<'_>>(bytes));
    }
}

#[test]
fn a_varint_takes_as_many_bytes_as_it_was_said_to() {
    let numbers = (0..63).flat_map(|bit| [(1_i64 << bit) - 1, 1 << bit]).chain([i64::MAX]);
    for number in numbers.flat_map(|number| [number, -number]).chain([i64::MIN]) {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).varint(number);
        assert_eq!(bytes.len(), super::writer::size_of_varint(number), "{number}");
    }
}
