use proptest::prelude::*;

use super::*;
use crate::uplink::kafka::wire::Aborted;

/// Time, key and value.
type Written = (i64, Option<Vec<u8>>, Vec<u8>);

fn built(compression: Compression, records: &[Written]) -> Bytes {
    let mut builder = Builder::default();
    for (time_ms, key, value) in records {
        let headers = Headers::new(&[("größe", b"7")]);
        builder.push(&NewRecord { time_ms: *time_ms, key: key.as_deref(), value: Some(value), headers: &headers });
    }
    builder.finish(Stamp { producer: 5, epoch: 1, sequence: 9 }, compression).expect("memory")
}

#[test]
fn what_is_written_reads_back_in_every_compression() {
    let records: Vec<_> =
        (0..3_000).map(|n| (1_000 - n, (n % 2 == 0).then(|| vec![7; 3]), vec![n as u8; 40])).collect();
    for compression in Compression::ALL {
        let bytes = built(compression, &records);
        let batches = read(bytes).unwrap_or_else(|cause| panic!("{compression:?}: {cause}"));
        let [batch] = &batches[..] else { panic!("one batch") };
        assert_eq!(batch.stamp, Stamp { producer: 5, epoch: 1, sequence: 9 });
        assert_eq!((batch.offset, batch.next_offset, batch.records.len()), (0, 3_000, 3_000));
        for (record, (time_ms, key, value)) in batch.records.iter().zip(&records) {
            assert_eq!((record.time_ms, record.key.as_deref()), (*time_ms, key.as_deref()));
            assert_eq!((record.value.as_deref(), record.header("größe")), (Some(&value[..]), Some(&b"7"[..])));
        }
    }
}

#[test]
fn two_batches_follow_one_another_and_the_third_is_cut_short() {
    let one = built(Compression::None, &[(1, None, b"one".to_vec())]);
    let bytes = [&one[..], &one[..], &one[..one.len() - 1]].concat();
    assert_eq!(read(bytes.into()).expect("two batches").len(), 2);
}

#[test]
fn a_batch_that_was_changed_on_its_way_is_refused() {
    let one = built(Compression::Lz4, &[(1, None, b"one".to_vec())]);
    for at in CRC_AT..one.len() {
        let mut changed = one.to_vec();
        changed[at] ^= 0x10;
        assert!(read(changed.into()).is_err(), "byte {at}");
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut packed = Vec::new();
        Packer::default().pack(compression, &vec![0; (64 << 20) + 1], &mut packed).expect("memory");
        assert!(compression.unpack(&packed).is_err(), "{compression:?}");
    }
}

#[test]
fn what_was_aborted_is_passed_over_and_what_its_producer_wrote_later_is_not() {
    let batch = |offset: i64, producer: i64, kind: Kind| {
        let record = Record { offset, time_ms: 0, key: None, value: None, headers: Vec::new() };
        let records = if kind == Kind::Abort { Vec::new() } else { vec![record] };
        Batch { offset, next_offset: offset + 1, stamp: Stamp { producer, epoch: 0, sequence: 0 }, kind, records }
    };
    use Kind::{Abort, Plain, Transactional};
    let mut batches = [
        batch(0, 7, Transactional),
        batch(1, 7, Abort),
        batch(2, 7, Transactional),
        batch(3, 8, Transactional),
        batch(4, 9, Plain),
        batch(5, 8, Abort),
        batch(6, 8, Transactional),
    ];
    committed(&mut batches, &[Aborted { producer: 8, first: 3 }, Aborted { producer: 7, first: 0 }]);
    let left: Vec<i64> = batches.iter().flat_map(|batch| &batch.records).map(|record| record.offset).collect();
    assert_eq!(left, [2, 4, 6]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..80) {
        let mut whole = built(Compression::None, &[(1, None, b"one".to_vec())]).to_vec();
        let at = at.min(whole.len());
        whole.splice(at.., bytes);
        // A length that fits and a checksum that is right, so that what lies behind them is read.
        if whole.len() > HEAD_BYTES {
            let length = (whole.len() - LENGTH_FROM) as i32;
            whole[8..12].copy_from_slice(&length.to_be_bytes());
            whole[16] = 2;
            let crc = crc32c::crc32c(&whole[ATTRIBUTES_AT..]);
            whole[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
        }
        if let Ok(batches) = read(whole.into()) {
            prop_assert!(batches.len() <= 1);
        }
    }
}
