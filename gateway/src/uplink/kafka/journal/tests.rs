use proptest::prelude::*;

use super::*;

fn mark(first: u64, last: u64) -> Mark {
    Mark { job: None, epoch: 7, first, last }
}

fn opened(partition: i32) -> Entry {
    let key = StreamKey { lane: 1, topic: "größe".into(), partition };
    Entry::Opened { stream: partition as u32, key, topic: [3; 16], producer: 5, epoch: 2, next: 9, base: 100 }
}

fn all() -> Vec<Entry> {
    let replayed = Mark { job: Some(3), epoch: 1, first: u64::MAX - 1, last: u64::MAX };
    vec![
        Entry::Boot("boot".into()),
        Entry::Cluster("cluster".into()),
        opened(0),
        Entry::Intent { stream: 0, sequence: 9, marks: vec![mark(5, 5), mark(6, 6), replayed, mark(1, 4)] },
        Entry::Intent { stream: 0, sequence: 13, marks: vec![mark(7, 7)] },
        Entry::Intent { stream: 0, sequence: 14, marks: vec![mark(8, 8)] },
        Entry::Withdrawn { stream: 0, sequence: 14 },
        Entry::Appended { stream: 0, sequence: 9, base: 104 },
        opened(1),
        Entry::Intent { stream: 1, sequence: i32::MAX, marks: vec![mark(9, 9), mark(10, 10)] },
        Entry::Raised { stream: 1, producer: 6, epoch: 3 },
    ]
}

fn whole(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    entries.iter().for_each(|entry| frame(entry, &mut bytes));
    bytes
}

#[test]
fn entries_add_up_and_the_sum_adds_up_to_the_same() {
    let memory = remembered(&whole(&all()));
    assert!(memory.is_whole);
    assert_eq!(memory.done.len(), 4);
    let (one, two) = (&memory.streams[&0], &memory.streams[&1]);
    assert_eq!((one.next, one.base, one.open.len(), one.open[0].sequence), (14, 104, 1, 13));
    assert_eq!((two.producer, two.epoch, two.next, two.is_unsettled, two.open.len()), (6, 3, 0, true, 1));
    assert_eq!(remembered(&whole(&memory.entries())), memory);
    let settled = Entry::Settled { stream: 1, next: 1, base: 200, found: vec![mark(9, 9)] };
    let memory = remembered(&whole(&[all(), vec![settled]].concat()));
    assert_eq!((memory.streams[&1].open.len(), memory.streams[&1].is_unsettled), (0, false));
    assert!(memory.done.contains(&mark(9, 9)) && !memory.done.contains(&mark(10, 10)));
}

#[test]
fn sequences_go_from_the_largest_to_zero() {
    assert_eq!((advance(5, 3), advance(i32::MAX, 1), advance(i32::MAX - 1, 4)), (8, 0, 2));
}

#[test]
fn a_file_that_was_cut_anywhere_is_never_called_whole_and_never_says_more_than_it_did() {
    let bytes = whole(&all());
    let boundaries: Vec<usize> = (0..=all().len()).map(|count| whole(&all()[..count]).len()).collect();
    for end in 1..bytes.len() {
        let memory = remembered(&bytes[..end]);
        assert_eq!(memory.is_whole, boundaries.contains(&end), "cut at {end}");
        assert!(memory.streams.len() <= 2);
    }
}

#[test]
fn another_boot_is_noticed_and_a_kill_is_not_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut journal, memory) = Journal::open(folder.path(), "la/ke", "one").expect("a file");
    assert!(!memory.is_whole && memory.streams.is_empty(), "nothing is known at first");
    journal.append(&all()[1..]).expect("written");
    drop(journal);
    let (_, memory) = Journal::open(folder.path(), "la/ke", "one").expect("a file");
    assert!(memory.is_whole);
    assert_eq!(memory.streams.len(), 2);
    let (mut journal, memory) = Journal::open(folder.path(), "la/ke", "two").expect("a file");
    assert!(!memory.is_whole && memory.streams.values().all(|stream| stream.is_unsettled));
    journal.shorten(|mark| mark.last < 6).expect("written");
    let (_, memory) = Journal::open(folder.path(), "la/ke", "two").expect("a file");
    assert_eq!(memory.done.len(), 2);
    assert!(memory.streams.values().all(|stream| stream.is_unsettled), "nobody has read the partitions yet");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(remembered(&[&MAGIC[..], &bytes].concat()));
        drop(Entry::read(&bytes));
    }
}
