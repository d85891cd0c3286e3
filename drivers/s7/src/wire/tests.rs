//! Messages byte by byte, cut anywhere, two at once, and garbage.

use proptest::prelude::*;

use super::mirror::{answer, message, packets, read_answer};
use super::*;

const TPDU: usize = 1024;

/// All messages of a stream that arrives in pieces of this length.
fn messages(stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Broken> {
    let mut deframer = Deframer::new(PDU_MAX);
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    for bytes in stream.chunks(piece.max(1)) {
        buffer.extend_from_slice(bytes);
        loop {
            match deframer.step(&buffer)? {
                Step::Wait => break,
                Step::Part { len } => drop(buffer.drain(..len)),
                Step::Message { at, len } => {
                    found.push(deframer.message(&buffer, at).to_vec());
                    buffer.drain(..len);
                }
            }
        }
    }
    Ok(found)
}

#[test]
fn a_connection_is_asked_for_byte_by_byte() {
    let expected = [3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 10, 0xC1, 2, 1, 0, 0xC2, 2, 3, 1];
    assert_eq!(cotp::connect(0x0100, 0x0301), expected);
    assert_eq!(cotp::leave(0x4431), [3, 0, 0, 11, 6, 0x80, 0x44, 0x31, 0, 1, 0]);
    let confirm = [17, 0xD0, 0, 1, 0x44, 0x31, 0, 0xC0, 1, 9, 0xC1, 2, 1, 0, 0xC2, 2, 3, 1];
    assert_eq!(Tpdu::decode(&confirm), Ok(Tpdu::Confirm { reference: 0x4431, size: 512 }));
    assert_eq!(Tpdu::decode(&[6, 0xD0, 0, 1, 0, 7, 0]), Ok(Tpdu::Confirm { reference: 7, size: 128 }));
    assert_eq!(Tpdu::decode(&[6, 0x80, 0, 1, 0, 0, 3]), Ok(Tpdu::Disconnect { reason: 3 }));
    assert_eq!(Tpdu::decode(&[4, 0x70, 0, 1, 2]), Ok(Tpdu::Error { cause: 2 }));
    for bytes in [&[][..], &[0], &[5, 0xF0, 0x80], &[2, 0xF1, 0x80], &[3, 0xD0, 0, 1]] {
        assert!(Tpdu::decode(bytes).is_err(), "{bytes:02x?}");
    }
}

#[test]
fn the_size_of_messages_is_agreed_on() {
    let mut out = Vec::new();
    Outgoing::job(&Setup { jobs: 8, pdu: 960 }.parameter()).put(1, &mut out);
    assert_eq!(out, [0x32, 1, 0, 0, 0, 1, 0, 8, 0, 0, 0xF0, 0, 0, 8, 0, 8, 3, 0xC0]);
    let bytes = answer(1, 0, &[0xF0, 0, 0, 3, 0, 3, 0, 0xF0], &[]);
    assert_eq!(Setup::decode(&message(&bytes)), Ok(Setup { jobs: 3, pdu: 240 }));
    assert!(Setup::decode(&message(&answer(1, 0, &[4, 1], &[]))).is_err());
}

#[test]
fn a_read_is_sent_and_answered_byte_by_byte() {
    let items = [
        Item { area: Area::Block(1), start: 4, len: 4 },
        Item { area: Area::Inputs, start: 0x1_0001, len: 1 },
        Item { area: Area::Timers, start: 10, len: 4 },
    ];
    let expected = [
        4, 3, 0x12, 10, 16, 2, 0, 4, 0, 1, 0x84, 0, 0, 32, 0x12, 10, 16, 2, 0, 1, 0, 0, 0x81, 8, 0, 8, 0x12, 10, 16,
        0x1D, 0, 2, 0, 0, 0x1D, 0, 0, 5,
    ];
    assert_eq!(read::parameter(items.into_iter()), expected);
    let lens = || items.iter().map(|item| item.len);
    let bytes = read_answer(9, &[Ok(&[1, 2, 3, 4]), Ok(&[5]), Err(ReturnCode(10))]);
    assert_eq!(
        bytes,
        [0x32, 3, 0, 0, 0, 9, 0, 2, 0, 18, 0, 0, 4, 3, 255, 4, 0, 32, 1, 2, 3, 4, 255, 4, 0, 8, 5, 0, 10, 0, 0, 0]
    );
    let found: Vec<_> = ReadAnswer::decode(&message(&bytes), lens()).expect("an answer").collect();
    assert_eq!(found, [Ok(&[1, 2, 3, 4][..]), Ok(&[5]), Err(ReturnCode(10))]);
    assert_eq!(read::answer_bytes([4, 1, 0].into_iter()), bytes.len());
}

#[test]
fn an_answer_with_items_that_were_not_asked_for_is_none() {
    let whole = read_answer(9, &[Ok(&[1, 2]), Ok(&[3])]);
    let decode = |bytes: &[u8], lens: &[u16]| ReadAnswer::decode(&message(bytes), lens.iter().copied()).err();
    assert_eq!(decode(&whole, &[2, 1]), None);
    for lens in [&[2][..], &[2, 2], &[1, 1], &[2, 1, 1], &[4, 1]] {
        assert!(decode(&whole, lens).is_some(), "{lens:?}");
    }
    let cut = answer(9, 0, &[4, 1], &[255, 4, 0, 16, 1]);
    assert!(decode(&cut, &[2]).is_some());
    let octets = answer(9, 0, &[4, 1], &[255, 9, 0, 2, 1, 2]);
    assert_eq!(decode(&octets, &[2]), None);
    let unknown_unit = answer(9, 0, &[4, 1], &[255, 8, 0, 2, 1, 2]);
    assert!(decode(&unknown_unit, &[2]).is_some());
}

#[test]
fn a_write_is_sent_and_answered_byte_by_byte() {
    let mut write = write::Write::default();
    assert_eq!(write.bytes_with(3), write::ONE_ITEM + 3);
    write.put(Area::Block(2), 6, &[1, 2, 3]);
    write.put_bit(Area::Flags, 3, 5, true);
    assert_eq!(
        write.parameter,
        [5, 2, 0x12, 10, 16, 2, 0, 3, 0, 2, 0x84, 0, 0, 48, 0x12, 10, 16, 1, 0, 1, 0, 0, 0x83, 0, 0, 29]
    );
    assert_eq!(write.data, [0, 4, 0, 24, 1, 2, 3, 0, 0, 3, 0, 1, 1]);
    assert_eq!(write.bytes_with(1), 10 + 26 + 14 + 12 + 4 + 1);
    let bytes = answer(1, 0, &[5, 2], &[255, 5]);
    let results: Vec<_> = write.decode(&message(&bytes)).expect("an answer").collect();
    assert_eq!(results, [Ok(()), Err(ReturnCode(5))]);
    assert!(write.decode(&message(&answer(1, 0, &[5, 1], &[255]))).is_err());
    assert!(write.decode(&message(&answer(1, 0, &[5, 2], &[255]))).is_err());
}

#[test]
fn a_list_is_asked_for_and_put_together() {
    let mut out = Vec::new();
    szl::Question::first(0x11, 0).outgoing().put(2, &mut out);
    let expected = [0x32, 7, 0, 0, 0, 2, 0, 8, 0, 8, 0, 1, 0x12, 4, 0x11, 0x44, 1, 0, 255, 9, 0, 4, 0, 0x11, 0, 0];
    assert_eq!(out, expected);
    let mut bytes = Vec::new();
    let parameter = [0, 1, 0x12, 8, 0x12, 0x84, 1, 3, 0, 1, 0, 0];
    Outgoing { kind: Kind::Userdata, parameter: &parameter, data: &[255, 9, 0, 2, 7, 8] }.put(2, &mut bytes);
    let part = szl::Part::decode(&message(&bytes));
    assert_eq!(part, Ok(szl::Part { sequence: 3, more: true, bytes: &[7, 8] }));
    assert_eq!(szl::Part::decode(&message(&answer(2, 0x8104, &[], &[]))), Err(szl::NoList::Refused));
    let list = [0, 0x11, 0, 0, 0, 2, 0, 2, 1, 2, 3, 4, 5];
    assert_eq!(szl::records(&list, 9).collect::<Vec<_>>(), [[1, 2], [3, 4]]);
    assert_eq!(szl::records(&[0; 12], 2).count(), 2);
    assert_eq!(szl::records(&[0; 3], 0).count(), 0);
}

#[test]
fn messages_in_parts_are_put_together_and_long_ones_refused() {
    let (one, other) = (read_answer(1, &[Ok(&[7; 100])]), read_answer(2, &[Ok(&[8; 3])]));
    for tpdu in [4, 5, 64, TPDU] {
        let stream = [packets(&one, tpdu), packets(&other, tpdu)].concat();
        assert_eq!(messages(&stream, stream.len()), Ok(vec![one.clone(), other.clone()]), "{tpdu}");
    }
    assert!(messages(&packets(&[0x32; PDU_MAX + 1], 64), 1000).is_err());
}

#[test]
fn what_is_no_packet_loses_the_stream_and_leave_ends_it() {
    for stream in
        [&[2][..], b"HTTP/1.1 400 Bad Request", &[3, 0, 0, 3], &[3, 0, 255, 255], &[3, 0, 0, 7, 9, 0xF0, 0x80]]
    {
        assert!(matches!(messages(stream, 1), Err(Broken::Malformed(_))), "{stream:02x?}");
    }
    assert_eq!(messages(&cotp::leave(1), 3), Err(Broken::Left(0)));
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_gives_the_same_messages(
        sizes in proptest::collection::vec(0_usize..300, 1..5),
        tpdu in 4_usize..400,
        piece in 1_usize..500,
    ) {
        let whole: Vec<Vec<u8>> =
            (1..).zip(&sizes).map(|(reference, size)| read_answer(reference, &[Ok(&vec![9; *size])])).collect();
        let stream: Vec<u8> = whole.iter().flat_map(|message| packets(message, tpdu)).collect();
        prop_assert_eq!(messages(&stream, piece), Ok(whole));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50) {
        if let Ok(found) = messages(&[&[3, 0, 0, 7][..], &bytes].concat(), piece) {
            prop_assert!(found.iter().all(|message| message.len() <= PDU_MAX));
        }
        if let Ok(message) = Message::decode(&[&[0x32, 3, 0, 0][..], &bytes].concat())
            && let Ok(answer) = ReadAnswer::decode(&message, [2, 3].into_iter())
        {
            prop_assert_eq!(answer.count(), 2);
        }
    }
}
