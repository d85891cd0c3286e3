use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::content::Lane;
use super::*;

/// A reading of `plc/n` whose value is its seq.
pub(in super::super) fn reading(epoch: u32, seq: Seq) -> Reading<'static> {
    Reading {
        epoch,
        seq,
        device: "plc",
        tag: "n",
        lane: Lane::Live,
        time_ns: seq as i64,
        clock: Clock::Synchronized,
        quality: "good",
        reason: "",
        fingerprint: seq as u32,
    }
}

/// Epoch and seq.
type Number = (u32, Seq);

/// First and last of a range.
type Hole = (Seq, Seq);

fn account(seqs: &[Number]) -> Account {
    let mut account = Account::new("line7".into(), Start::default());
    seqs.iter().for_each(|(epoch, seq)| account.take(&[reading(*epoch, *seq)], Some(0)));
    account
}

fn gap(first: Seq, last: Seq) -> Gap {
    Gap { seqs: SeqRange { first, last }, count: last - first + 1, reason: "dropped-oldest".into() }
}

fn ranges(account: &Account) -> Vec<Hole> {
    account.holes().iter().map(|hole| (hole.first, hole.last)).collect()
}

#[test]
fn a_hole_is_a_loss_wherever_the_epoch_changes() {
    let cases: [(&[Number], &[Hole], u64); 6] = [
        (&[], &[], 0),
        (&[(1, 5), (1, 6), (2, 7), (2, 8)], &[], 0),
        (&[(1, 5), (1, 6), (2, 9)], &[(7, 8)], 0),
        (&[(1, 5), (1, 7), (1, 6)], &[], 0),
        (&[(1, 100), (1, 101), (1, 5), (1, 103)], &[(102, 102)], 0),
        (&[(1, 5), (1, 6), (1, 5), (1, 6), (1, 7)], &[], 2),
    ];
    for (seqs, holes, same) in cases {
        let account = account(seqs);
        assert_eq!((ranges(&account).as_slice(), account.doubled.same), (holes, same), "{seqs:?}");
        assert_eq!(account.is_complete(), holes.is_empty());
    }
}

#[test]
fn a_gap_among_readings_declares_as_many_as_it_says_and_no_more() {
    let thinned = |count| Gap { count, reason: "downsampled".into(), ..gap(2, 9) };
    let (early, late) = ([(1, 1), (1, 2), (1, 5)], [(1, 9), (1, 10)]);
    for (count, lost) in [(5, 0), (6, 0), (4, 5)] {
        let mut before = account(&early);
        before.declare(thinned(count));
        late.iter().for_each(|(epoch, seq)| before.take(&[reading(*epoch, *seq)], Some(0)));
        let mut after = account(&[early.as_slice(), &late].concat());
        after.declare(thinned(count));
        after.declare(thinned(count));
        assert_eq!((before.lost(), after.lost()), (lost, lost), "{count}");
    }
}

#[test]
fn a_declared_gap_is_no_loss_and_counts_once() {
    let mut account = account(&[(1, 1), (1, 2), (1, 10), (1, 20)]);
    (0..2).for_each(|_| account.declare(gap(3, 8)));
    account.declare(gap(21, 30));
    assert_eq!((ranges(&account), account.gaps.len()), (vec![(9, 9), (11, 19)], 2));
    assert_eq!(account.lost(), 10);
}

#[test]
fn a_number_given_twice_is_an_error_and_a_repeat_is_none() {
    let mut account = account(&[(3, 7), (3, 7), (4, 7)]);
    assert!(account.is_complete(), "another epoch is another number");
    account.take(&[Reading { fingerprint: 99, ..reading(3, 8) }, reading(3, 8)], Some(0));
    assert_eq!((account.doubled.same, account.doubled.different), (1, 1));
    assert_eq!(account.doubled.reused, [(3, 8)]);
    assert!(!account.is_complete());
}

#[test]
fn what_was_on_its_way_at_the_end_still_counts_and_what_is_new_does_not() {
    let mut account = account(&[(1, 1), (1, 4)]);
    account.freeze();
    assert_eq!(account.lost(), 2);
    [2, 3, 9].iter().for_each(|seq| account.take(&[reading(1, *seq)], Some(0)));
    assert_eq!((account.lost(), account.readings, account.span), (0, 4, Some([(1, 1), (1, 4)])));
}

#[test]
fn a_storm_of_holes_takes_bounded_memory_and_every_hole_counts() {
    let mut account = Account::new("line7".into(), Start::default());
    let readings = RANGES_MAX as u64 + 50;
    (0..readings).for_each(|number| account.take(&[reading(1, number * 2)], Some(0)));
    assert_eq!(account.lost(), readings - 1);
    assert!(account.seen.len() <= RANGES_MAX && account.epochs[&1].len() <= RANGES_MAX);
}

#[test]
fn readings_without_a_clock_have_no_latency() {
    let mut account = Account::new("line7".into(), Start::default());
    account
        .take(&[Reading { clock: Clock::Unsynchronized, quality: "bad", reason: "timeout", ..reading(1, 1) }], Some(0));
    assert_eq!((account.unsynchronized, account.latency.percentiles()), (1, None));
    assert_eq!((account.quality.bad, account.quality.reasons["timeout"]), (1, 1));
}

/// What comes: readings and gaps in any order, some readings with another value.
#[derive(Debug, Clone)]
enum Came {
    Reading { epoch: u32, seq: Seq, value: u32 },
    Gap { first: Seq, more: Seq },
}

fn came() -> impl Strategy<Value = Came> {
    prop_oneof![
        8 => (1..4_u32, 0..80_u64, 0..2_u32).prop_map(|(epoch, seq, value)| Came::Reading { epoch, seq, value }),
        1 => (0..80_u64, 0..5_u64).prop_map(|(first, more)| Came::Gap { first, more }),
    ]
}

proptest! {
    #[test]
    fn plain_sets_come_to_the_same_account(all in proptest::collection::vec(came(), 0..200)) {
        let mut account = Account::new("line7".into(), Start::default());
        let (mut values, mut declared, mut first) = (BTreeMap::new(), BTreeSet::new(), None);
        let (mut same, mut different) = (0, 0);
        for came in all {
            match came {
                Came::Gap { first, more } => {
                    account.declare(gap(first, first + more));
                    declared.extend(first..=first + more);
                }
                Came::Reading { epoch, seq, value } => {
                    account.take(&[Reading { fingerprint: value, ..reading(epoch, seq) }], Some(0));
                    first.get_or_insert(seq);
                    match values.get(&(epoch, seq)) {
                        None => drop(values.insert((epoch, seq), value)),
                        Some(before) if *before == value => same += 1,
                        Some(_) => different += 1,
                    }
                }
            }
        }
        let seen: BTreeSet<Seq> = values.keys().map(|(_, seq)| *seq).collect();
        let within = first.unwrap_or(1)..=seen.last().copied().unwrap_or(0);
        let missing: Vec<Seq> = within.filter(|seq| !seen.contains(seq) && !declared.contains(seq)).collect();
        let holes: Vec<Seq> = account.holes().iter().flat_map(|hole| hole.first..=hole.last).collect();
        prop_assert_eq!((account.lost(), holes), (missing.len() as u64, missing));
        // Another epoch's reading may have taken the place of the one to compare with.
        prop_assert!(account.doubled.same <= same && account.doubled.different <= different);
        let Doubled { same: found_same, different: found_different, forgotten, .. } = account.doubled;
        prop_assert_eq!(found_same + found_different + forgotten, same + different);
        prop_assert_eq!(account.readings, values.len() as u64 + same + different);
    }
}
