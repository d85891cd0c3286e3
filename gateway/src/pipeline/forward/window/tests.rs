use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn message(seq: Seq, part: u32) -> Message {
    Message {
        token: Token { lane: Lane::Live, seq, part },
        topic: "t".into(),
        key: None,
        payload: Bytes::from(vec![b'x'; 99]),
        time: None,
        content_type: "application/json",
        epoch: 1,
        seqs: SeqRange { first: seq, last: seq },
    }
}

fn token(seq: Seq) -> Token {
    Token { lane: Lane::Live, seq, part: 0 }
}

/// A window with items of one seq and one message each.
fn window(seqs: std::ops::RangeInclusive<Seq>) -> Window {
    let mut window = Window::default();
    for seq in seqs {
        window.begin(Lane::Live, SeqRange { first: seq, last: seq });
        window.add(message(seq, 0));
        window.end(Lane::Live);
    }
    window
}

fn send_all(window: &mut Window) -> Vec<Seq> {
    std::iter::from_fn(|| window.next_to_send(usize::MAX / 2, Instant::now()).map(|message| message.token.seq))
        .collect()
}

fn ranges(window: &mut Window) -> Vec<(Seq, Seq)> {
    window.take_done(Lane::Live).iter().map(|range| (range.first, range.last)).collect()
}

#[test]
fn items_are_told_once_all_their_messages_are_acknowledged() {
    let mut window = Window::default();
    window.begin(Lane::Live, SeqRange { first: 10, last: 19 });
    window.add(message(10, 0));
    window.add(message(10, 1));
    assert_eq!(send_all(&mut window), [10, 10]);
    window.acknowledged(Token { lane: Lane::Live, seq: 10, part: 0 }, Instant::now());
    window.acknowledged(Token { lane: Lane::Live, seq: 10, part: 1 }, Instant::now());
    assert_eq!(ranges(&mut window), []);
    window.end(Lane::Live);
    assert_eq!(ranges(&mut window), [(10, 19)]);
}

#[test]
fn acknowledgements_out_of_order_become_ranges_and_join() {
    let mut window = window(1..=6);
    send_all(&mut window);
    for seq in [5, 3, 2] {
        assert!(matches!(window.acknowledged(token(seq), Instant::now()), Returned::Delivered(..)));
    }
    assert_eq!(ranges(&mut window), [(2, 3), (5, 5)]);
    assert_eq!(ranges(&mut window), []);
    window.acknowledged(token(1), Instant::now());
    assert_eq!(ranges(&mut window), [(1, 3)]);
    window.acknowledged(token(4), Instant::now());
    window.acknowledged(token(6), Instant::now());
    assert_eq!(ranges(&mut window), [(4, 6)]);
    assert!(window.is_empty());
}

#[test]
fn no_more_ranges_are_told_than_a_cursor_keeps() {
    let mut window = window(1..=400);
    send_all(&mut window);
    for seq in (2..=400).step_by(2) {
        window.acknowledged(token(seq), Instant::now());
    }
    assert_eq!(window.take_done(Lane::Live).len(), RANGES_MAX);
    assert_eq!(window.take_done(Lane::Live).len(), 0);
    for seq in (1..=400).step_by(2) {
        window.acknowledged(token(seq), Instant::now());
    }
    assert_eq!(ranges(&mut window), [(1, 400)]);
}

#[test]
fn a_token_that_nobody_waits_for_changes_nothing() {
    let mut window = window(1..=2);
    assert_eq!(window.acknowledged(token(1), Instant::now()), Returned::Unknown);
    window.next_to_send(usize::MAX / 2, Instant::now());
    assert_eq!(window.acknowledged(token(7), Instant::now()), Returned::Unknown);
    assert!(matches!(window.acknowledged(token(1), Instant::now()), Returned::Delivered(..)));
    assert_eq!(window.acknowledged(token(1), Instant::now()), Returned::Unknown);
    assert_eq!((window.len(), window.sent()), (1, 0));
}

#[test]
fn after_a_loss_everything_that_did_not_come_back_is_sent_again_in_order() {
    let mut window = window(1..=5);
    send_all(&mut window);
    window.acknowledged(token(2), Instant::now());
    assert_eq!(window.lost(EndedBy::Network, Instant::now()), None);
    assert_eq!(window.acknowledged(token(3), Instant::now()), Returned::Unknown);
    assert_eq!(send_all(&mut window), [1, 3, 4, 5]);
}

#[test]
fn the_window_is_bounded_in_messages_and_in_bytes() {
    let mut window = Window::default();
    let mut seq = 0;
    while window.has_room(Lane::Live) {
        seq += 1;
        window.begin(Lane::Live, SeqRange { first: seq, last: seq });
        window.add(message(seq, 0));
        window.end(Lane::Live);
    }
    assert_eq!(window.len(), MESSAGES_MAX);
    let mut window = Window::default();
    window.begin(Lane::Live, SeqRange { first: 1, last: 1 });
    window.add(Message { payload: Bytes::from(vec![0; 2 * BYTES_MAX]), ..message(1, 0) });
    assert!(!window.has_room(Lane::Live));
    window.next_to_send(usize::MAX / 2, Instant::now());
    window.acknowledged(token(1), Instant::now());
    assert!(window.has_room(Lane::Live));
}

#[test]
fn a_message_refused_again_and_again_is_poison_and_the_rest_flows() {
    let mut now = Instant::now();
    let mut window = window(1..=3);
    assert_eq!(send_all(&mut window), [1, 2, 3]);
    for _ in 1..TRIES_MAX {
        assert_eq!(window.refused(token(2), Lasting::ForThisMessage, now), Returned::Again);
        assert!(send_all(&mut window).is_empty());
        now = window.wake_at().expect("it waits");
        window.wake(now);
        assert_eq!(send_all(&mut window), [2]);
    }
    assert_eq!(window.refused(token(2), Lasting::ForThisMessage, now), Returned::Poison(token(2)));
    window.acknowledged(token(1), Instant::now());
    window.acknowledged(token(3), Instant::now());
    assert_eq!(ranges(&mut window), [(1, 1), (3, 3)]);
    window.give_up(token(2));
    assert_eq!(ranges(&mut window), [(2, 3)]);
    assert_eq!((window.len(), window.wake_at()), (0, None));
}

#[test]
fn a_refusal_for_now_never_becomes_poison() {
    let mut now = Instant::now();
    let mut window = window(1..=1);
    for _ in 0..10 * TRIES_MAX {
        send_all(&mut window);
        assert_eq!(window.refused(token(1), Lasting::ForNow, now), Returned::Again);
        now = window.wake_at().expect("it waits");
        window.wake(now);
    }
}

/// A far side that closes the connection when it is sent `poison`, and acknowledges everything before it.
fn with_a_far_side_that_chokes(window: &mut Window, poison: Option<Seq>, connections: u32) -> Option<Token> {
    let mut now = Instant::now();
    for _ in 0..connections {
        now += TRY_AGAIN_AFTER;
        window.wake(now);
        'connected: loop {
            let sent = send_all(window);
            if sent.is_empty() {
                break 'connected;
            }
            for seq in sent {
                if poison == Some(seq) || poison.is_none() {
                    break 'connected;
                }
                window.acknowledged(token(seq), Instant::now());
            }
        }
        let culprit = window.lost(EndedBy::FarSide, now);
        if culprit.is_some() {
            return culprit;
        }
    }
    None
}

#[test]
fn a_message_at_which_the_far_side_closes_each_time_is_found_and_the_rest_flows() {
    let mut window = window(1..=9);
    assert_eq!(with_a_far_side_that_chokes(&mut window, Some(4), 40), Some(token(4)));
    assert_eq!(window.len(), 1, "all others are delivered meanwhile");
}

#[test]
fn a_far_side_that_closes_at_everything_makes_nothing_poison() {
    let mut window = window(1..=9);
    assert_eq!(with_a_far_side_that_chokes(&mut window, None, 500), None);
    assert_eq!(window.len(), 9);
}

proptest! {
    #[test]
    fn everything_is_told_exactly_when_it_is_done(acts in proptest::collection::vec((0..5_u8, 1..30_u64), 0..300)) {
        let mut window = window(1..=30);
        let (mut acknowledged, mut told) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        let now = Instant::now();
        for (act, seq) in acts {
            match act {
                0 | 1 => {
                    window.next_to_send(usize::MAX / 2, Instant::now());
                }
                2 => {
                    if matches!(window.acknowledged(token(seq), Instant::now()), Returned::Delivered(..)) {
                        prop_assert!(acknowledged.insert(seq));
                    }
                }
                3 => {
                    window.lost(EndedBy::Network, now);
                }
                _ => {
                    for range in window.take_done(Lane::Live) {
                        told.extend(range.first..=range.last);
                    }
                    prop_assert_eq!(&told, &acknowledged);
                }
            }
            prop_assert_eq!(window.len(), 30 - acknowledged.len());
            prop_assert!(window.sent() <= window.len());
        }
    }
}
