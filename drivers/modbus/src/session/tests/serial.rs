//! RTU and ASCII: silence, flush, late answers without ids, echo, broadcast.

use super::*;
use crate::session::Pace;
use crate::wire::{Echo, Mismatch};

const BAUD: u32 = 9_600;

fn rtu() -> SessionConfig {
    SessionConfig::serial(Framing::Rtu, Pace::of_line(BAUD, 11))
}

#[tokio::test(start_paused = true)]
async fn after_a_timeout_a_marker_shows_that_the_late_answer_is_through() {
    let (mut session, mut far) = talk(rtu());
    let device = async {
        far.expects(0, 1, holding(0, 4)).await;
        far.expects(0, 1, holding(50, 3)).await;
        far.answers(0, 1, holding(0, 4)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        far.answers(0, 1, holding(50, 3)).await;
        far.expects(0, 1, holding(50, 4)).await;
        far.answers(0, 1, holding(50, 4)).await;
        far.expects(0, 1, holding(60, 4)).await;
        far.answers(0, 1, holding(60, 4)).await;
    };
    let client = async {
        assert!(is_timeout(&read(&mut session, 1, holding(0, 4)).await));
        assert_eq!(read(&mut session, 1, holding(50, 4)).await.expect("values"), mirror::registers(50, 4));
        assert_eq!(read(&mut session, 1, holding(60, 4)).await.expect("values"), mirror::registers(60, 4));
        assert_eq!((session.stats().markers, session.stats().dropped.length), (1, 1));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_that_comes_before_the_next_request_is_thrown_away() {
    let (mut session, mut far) = talk(rtu());
    let device = async {
        far.expects(0, 1, holding(0, 4)).await;
        tokio::time::sleep(TIMEOUT * 2).await;
        far.answers(0, 1, holding(0, 4)).await;
        far.expects(0, 2, holding(50, 4)).await;
        far.answers(0, 2, holding(50, 4)).await;
    };
    let client = async {
        assert!(is_timeout(&read(&mut session, 1, holding(0, 4)).await));
        tokio::time::sleep(TIMEOUT * 2).await;
        assert_eq!(read(&mut session, 2, holding(50, 4)).await.expect("values"), mirror::registers(50, 4));
        assert_eq!((session.stats().markers, session.stats().dropped.late), (0, 1));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_refused_marker_lets_the_request_through() {
    let (mut session, mut far) = talk(rtu());
    let device = async {
        far.expects(0, 1, holding(7, 1)).await;
        far.expects(0, 1, holding(7, 2)).await;
        far.refuses(0, 1, holding(7, 2), 2).await;
        far.expects(0, 1, holding(7, 1)).await;
        far.answers(0, 1, holding(7, 1)).await;
    };
    let client = async {
        assert!(is_timeout(&read(&mut session, 1, holding(7, 1)).await));
        assert_eq!(read(&mut session, 1, holding(7, 1)).await.expect("values"), mirror::registers(7, 1));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn the_silent_interval_is_kept_before_each_request() {
    let config = rtu();
    let silence = config.pace.silence;
    let (mut session, mut far) = talk(config);
    let device = async {
        far.expects(0, 1, holding(0, 1)).await;
        far.answers(0, 1, holding(0, 1)).await;
        let answered = Instant::now();
        far.expects(0, 1, holding(0, 1)).await;
        assert!(answered.elapsed() >= silence, "{:?}", answered.elapsed());
        far.answers(0, 1, holding(0, 1)).await;
    };
    let client = async {
        for _ in 0..2 {
            assert!(read(&mut session, 1, holding(0, 1)).await.is_ok());
        }
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_never_silent_is_told_as_noise() {
    let (mut session, mut far) = talk(rtu());
    let babble = async {
        for _ in 0..1000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            far.sends(&[0x55]).await;
        }
    };
    let client = async {
        let result = read(&mut session, 1, holding(0, 1)).await;
        assert!(matches!(result, Err(TransactError::Timeout { dropped: Some(Mismatch::Noise) })), "{result:?}");
    };
    tokio::join!(babble, client);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_awaits_no_answer_but_keeps_the_turnaround() {
    let (mut session, mut far) = talk(rtu());
    let write = Request::WriteRegister { address: 3, value: 4 };
    let device = async {
        far.expects(0, 0, write).await;
        let heard = Instant::now();
        far.expects(0, 1, holding(0, 1)).await;
        assert!(heard.elapsed() >= Duration::from_millis(100), "{:?}", heard.elapsed());
        far.answers(0, 1, holding(0, 1)).await;
    };
    let client = async {
        let sent = session.transact(0, &write, Instant::now() + TIMEOUT).await;
        assert_eq!(sent.expect("sent"), Response::Written);
        assert!(read(&mut session, 1, holding(0, 1)).await.is_ok());
        assert!(matches!(read(&mut session, 0, holding(0, 1)).await, Err(TransactError::Invalid(_))));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn an_announced_echo_is_taken_out_and_an_unannounced_one_is_told() {
    let mut frame = Vec::new();
    let write = Request::WriteRegister { address: 3, value: 4 };
    Awaited { tid: 0, unit: 1, request: write }.encode(Framing::Rtu, &mut frame).expect("a valid request");

    let (mut session, mut far) = talk(SessionConfig { echo: Echo::Expected, ..rtu() });
    let device = async {
        far.expects(0, 1, write).await;
        far.sends(&frame).await;
    };
    let client = async {
        let echoed = session.transact(1, &write, Instant::now() + TIMEOUT).await;
        assert!(matches!(echoed, Err(TransactError::Timeout { .. })), "the echo passed for a confirmation");
    };
    tokio::join!(device, client);

    let (mut session, mut far) = talk(rtu());
    let mut frame = Vec::new();
    Awaited { tid: 0, unit: 1, request: holding(0, 1) }.encode(Framing::Rtu, &mut frame).expect("a valid request");
    let device = async {
        far.expects(0, 1, holding(0, 1)).await;
        far.sends(&frame).await;
    };
    let client = async {
        let echoed = read(&mut session, 1, holding(0, 1)).await;
        assert!(matches!(echoed, Err(TransactError::Timeout { dropped: Some(Mismatch::Echo) })), "{echoed:?}");
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_answer_is_told_by_its_checksum_and_another_unit_by_its_number() {
    let (mut session, mut far) = talk(rtu());
    let device = async {
        far.expects(0, 1, holding(0, 2)).await;
        let mut damaged = far.frame(0, 1, &mirror::reply(&holding(0, 2)));
        damaged[5] ^= 0x10;
        far.sends(&damaged).await;
        far.expects(0, 3, holding(0, 2)).await;
        far.answers(0, 4, holding(0, 2)).await;
    };
    let client = async {
        let damaged = read(&mut session, 1, holding(0, 2)).await;
        assert!(matches!(damaged, Err(TransactError::Timeout { dropped: Some(Mismatch::Checksum) })), "{damaged:?}");
        let other = read(&mut session, 3, holding(0, 2)).await;
        assert!(matches!(other, Err(TransactError::Timeout { dropped: Some(Mismatch::Unit(4)) })), "{other:?}");
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_call_is_followed_by_a_marker() {
    let (mut session, mut far) = talk(rtu());
    let device = async {
        far.expects(0, 1, holding(0, 4)).await;
        far.expects(0, 1, holding(9, 3)).await;
        far.answers(0, 1, holding(0, 4)).await;
        far.answers(0, 1, holding(9, 3)).await;
        far.expects(0, 1, holding(9, 4)).await;
        far.answers(0, 1, holding(9, 4)).await;
    };
    let client = async {
        let abandoned = tokio::time::timeout(TIMEOUT / 2, read(&mut session, 1, holding(0, 4))).await;
        assert!(abandoned.is_err());
        assert_eq!(read(&mut session, 1, holding(9, 4)).await.expect("values"), mirror::registers(9, 4));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn ascii_speaks_the_same_dialogue() {
    let (mut session, mut far) = talk(SessionConfig::serial(Framing::Ascii, Pace::UNPACED));
    let device = async {
        far.expects(0, 1, holding(0, 125)).await;
        far.sends(b"noise\r\n:01").await;
        far.answers(0, 1, holding(0, 125)).await;
        far.expects(0, 1, holding(0, 1)).await;
        far.refuses(0, 1, holding(0, 1), 4).await;
    };
    let client = async {
        assert_eq!(read(&mut session, 1, holding(0, 125)).await.expect("values"), mirror::registers(0, 125));
        let refused = read(&mut session, 1, holding(0, 1)).await;
        assert!(matches!(refused, Err(TransactError::Exception(_))), "{refused:?}");
    };
    tokio::join!(device, client);
}
