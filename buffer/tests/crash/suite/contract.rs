//! What every user of a store may rely on while nothing goes wrong.

use buffer::disk::FaultDisk;
use buffer::{Class, Error, Log, NewBlock, Options, Store};

use super::{DIR, append, blocks, gaps, meta, open, payload, range, read_all, roomy, segment_files, small};

#[test]
fn what_is_appended_is_read_as_it_was_by_every_uplink() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &roomy(&["a", "b"]));
    for number in 0..300 {
        append(&mut log, number, 1 + number as u32 % 5, 100 + number as usize).expect("an append");
    }
    log.sync().expect("a sync");
    for number in 300..310 {
        append(&mut log, number, 1, 0).expect("an append");
    }
    let items = read_all(&mut log, 1);
    assert_eq!(items.len(), 310);
    for (number, block) in blocks(&items).into_iter().enumerate() {
        let (count, bytes) = if number < 300 { (1 + number as u32 % 5, 100 + number) } else { (1, 0) };
        assert_eq!(block.meta, meta(count, number as i64 * 10));
        assert_eq!(block.payload, payload(number as u64, bytes));
        assert_eq!((block.epoch, block.class), (log.identity().epoch, Class::Normal));
    }
}

#[test]
fn seqs_start_at_one_and_go_on_across_restarts_in_a_higher_epoch() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    let first = log.identity();
    assert_eq!(append(&mut log, 0, 5, 10).expect("an append"), range(1, 5));
    drop(log);
    let mut log = open(&disk, &small(&["a"]));
    assert_eq!((log.identity().gateway, log.identity().epoch), (first.gateway, first.epoch + 1));
    assert_eq!(append(&mut log, 1, 2, 10).expect("an append"), range(6, 7));
    let epochs: Vec<u32> = blocks(&read_all(&mut log, 1)).iter().map(|block| block.epoch).collect();
    assert_eq!(epochs, [first.epoch, first.epoch + 1], "a block keeps the epoch in which it was appended");
    assert_eq!(log.stats().segments, 1, "a whole segment is written on");
}

#[test]
fn starts_and_acknowledgements_do_not_fill_the_directory() {
    let disk = FaultDisk::new(1);
    for start in 1..=10 {
        let mut log = open(&disk, &small(&["a"]));
        let low = log.cursor("a").map_or(1, |cursor| cursor.low());
        append(&mut log, start, 5_000, 10).expect("an append");
        for seq in low..low + 5_000 {
            log.acknowledge("a", &[range(seq, seq)]).expect("an acknowledgement");
        }
        log.sync().expect("a sync");
    }
    let names = disk.files();
    assert!(names.len() <= 3, "identity, one ledger, one segment: {names:?}");
    let bytes: usize = names.iter().map(|path| disk.content(path).len()).sum();
    assert!(bytes < 400_000, "{bytes} bytes");
}

#[test]
fn many_blocks_in_one_append_get_consecutive_seqs() {
    let mut log = open(&FaultDisk::new(1), &small(&["a"]));
    let payloads = [payload(1, 10), payload(2, 0), payload(3, 999)];
    let new: Vec<NewBlock<'_>> =
        payloads.iter().zip([3, 1, 6]).map(|(payload, count)| NewBlock { meta: meta(count, 0), payload }).collect();
    assert_eq!(log.append(Class::Normal, &new).expect("an append").seqs, range(1, 10));
    let items = read_all(&mut log, 1);
    assert_eq!(items.iter().map(|item| item.seqs()).collect::<Vec<_>>(), [range(1, 3), range(4, 4), range(5, 10)]);
}

#[test]
fn a_read_in_the_middle_of_a_block_yields_the_block() {
    let mut log = open(&FaultDisk::new(1), &small(&["a"]));
    append(&mut log, 0, 10, 10).expect("an append");
    assert_eq!(read_all(&mut log, 7)[0].seqs(), range(1, 10));
    assert!(read_all(&mut log, 11).is_empty());
}

#[test]
fn a_segment_goes_when_every_uplink_has_it_durably_and_not_before() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a", "b"]));
    for number in 0..20 {
        append(&mut log, number, 1, 30_000).expect("an append");
    }
    let before = segment_files(&disk).len();
    assert!(before >= 4);
    log.acknowledge("a", &[range(1, 20)]).expect("an acknowledgement");
    log.sync().expect("a sync");
    assert_eq!(log.trim(None).expect("a trim"), []);
    assert_eq!(segment_files(&disk).len(), before, "b still wants them");
    log.acknowledge("b", &[range(1, 20)]).expect("an acknowledgement");
    log.trim(None).expect("a trim");
    assert_eq!(segment_files(&disk).len(), before, "b's cursor is not durable");
    log.sync().expect("a sync");
    log.trim(None).expect("a trim");
    assert_eq!(segment_files(&disk).len(), 1, "only the one that is written to is left");
}

#[test]
fn an_uplink_that_is_no_longer_declared_pins_nothing_and_a_new_one_starts_at_the_oldest_block() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a", "gone"]));
    for number in 0..20 {
        append(&mut log, number, 1, 30_000).expect("an append");
    }
    log.acknowledge("a", &[range(1, 20)]).expect("an acknowledgement");
    drop(log);
    let mut log = open(&disk, &small(&["a"]));
    assert_eq!(log.cursor("gone"), None);
    log.sync().expect("a sync");
    log.trim(None).expect("a trim");
    let oldest = log.stats().first_seq;
    assert!(oldest > 10);
    log.declare(&["a".into(), "new".into()]).expect("a declaration");
    assert_eq!(log.cursor("new").map(|cursor| cursor.low()), Some(oldest));
    assert_eq!(log.cursor("a").map(|cursor| cursor.low()), Some(21), "the others stay where they are");
    assert!(gaps(&read_all(&mut log, 1)).is_empty(), "what all had acknowledged is no loss");
}

#[test]
fn acknowledgements_out_of_order_survive_a_kill() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &small(&["a"]));
    append(&mut log, 0, 100, 10).expect("an append");
    let acknowledged = log.acknowledge("a", &[range(1, 3), range(50, 60), range(5, 6)]).expect("an acknowledgement");
    assert_eq!((acknowledged.low, acknowledged.forgotten.as_slice()), (4, &[][..]));
    let cursor = log.cursor("a").cloned();
    drop(log);
    disk.kill();
    let log = open(&disk, &small(&["a"]));
    assert_eq!(log.cursor("a").cloned(), cursor);
    assert_eq!(log.stats().uplinks[0].pending_records, 100 - 3 - 11 - 2);
}

#[test]
fn finds_the_place_of_a_time() {
    let disk = FaultDisk::new(1);
    let mut log = open(&disk, &roomy(&["a"]));
    for number in 0..500 {
        append(&mut log, number, 2, 5_000).expect("an append");
        if number % 50 == 0 {
            log.sync().expect("a sync");
        }
    }
    assert!(log.stats().segments > 2);
    for (t_ns, number) in [(-5, 0), (0, 0), (9, 0), (10, 1), (2345, 234), (4999, 499)] {
        assert_eq!(log.seek(t_ns).expect("a seek"), 1 + 2 * number, "time {t_ns}");
    }
    assert_eq!(log.seek(5000).expect("a seek"), 1001, "nothing is that late");
}

#[test]
fn refuses_what_breaks_the_contract_and_stays_usable() {
    let mut log = open(&FaultDisk::new(1), &small(&["a"]));
    let large = vec![0; buffer::BLOCK_PAYLOAD_BYTES_MAX + 1];
    for (count, payload) in [(1, &large[..]), (0, b"x")] {
        let refused = log.append(Class::Normal, &[NewBlock { meta: meta(count, 0), payload }]);
        assert!(matches!(refused, Err(Error::Bug(_))));
    }
    assert!(matches!(log.append(Class::Normal, &[]), Err(Error::Bug(_))));
    assert!(matches!(log.acknowledge("nobody", &[]), Err(Error::Bug(_))));
    assert!(matches!(log.acknowledge("a", &[range(1, 1)]), Err(Error::Bug(_))), "seq 1 was never given out");
    assert_eq!(append(&mut log, 0, 1, 1).expect("an append"), range(1, 1));
}

#[test]
fn a_second_gateway_is_refused_until_the_first_is_gone() {
    let disk = FaultDisk::new(1);
    let log = open(&disk, &small(&[]));
    let second = Log::open_on(std::sync::Arc::new(disk.clone()), DIR.as_ref(), &small(&[]));
    assert!(second.err().is_some_and(|error| error.to_string().contains("another gateway")));
    drop(log);
    open(&disk, &small(&[]));
}

#[test]
fn works_on_the_machine_s_file_system() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("buffer");
    for round in 0..3 {
        let mut log = Log::open(&path, &Options::new(["a"])).expect("the log opens");
        assert_eq!(log.recovery().gaps, []);
        append(&mut log, round, 2, 1000).expect("an append");
        log.sync().expect("a sync");
        let items = read_all(&mut log, 1);
        let read: Vec<&[u8]> = blocks(&items).iter().map(|block| &block.payload[..]).collect();
        assert_eq!(read, (0..=round).map(|number| payload(number, 1000)).collect::<Vec<_>>());
        assert!(Log::open(&path, &Options::new(["a"])).is_err(), "it is locked");
    }
}
