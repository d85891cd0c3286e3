//! One request at a time over Modbus TCP.

use super::*;
use crate::session::LinkError;
use crate::wire::{Exception, IdentificationLevel, Mismatch, TransactionIds};

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_not_taken_for_the_next_one() {
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let device = async {
        far.expects(1, 1, holding(0, 2)).await;
        far.expects(2, 1, holding(50, 2)).await;
        far.answers(1, 1, holding(0, 2)).await;
        far.answers(2, 1, holding(50, 2)).await;
    };
    let client = async {
        assert!(is_timeout(&read(&mut session, 1, holding(0, 2)).await));
        assert_eq!(read(&mut session, 1, holding(50, 2)).await.expect("values"), mirror::registers(50, 2));
        assert_eq!((session.stats().timeouts, session.stats().dropped.late), (1, 1));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn false_answers_are_dropped_and_counted_and_the_true_one_behind_them_is_taken() {
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let wanted = holding(7, 2);
    let device = async {
        far.expects(1, 1, wanted).await;
        let reply = mirror::reply(&wanted);
        let mut foreign = far.frame(1, 1, &reply);
        foreign[3] = 5;
        for bytes in [
            far.frame(9, 1, &reply),
            far.frame(1, 2, &reply),
            far.frame(1, 1, &[4, 4, 1, 2, 3, 4]),
            far.frame(1, 1, &[3, 5, 1, 2, 3, 4]),
            far.frame(1, 1, &[3, 2, 1, 2]),
            foreign,
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ] {
            far.sends(&bytes).await;
        }
        far.answers(1, 1, wanted).await;
    };
    let client = async {
        assert_eq!(read(&mut session, 1, wanted).await.expect("values"), mirror::registers(7, 2));
        let dropped = session.stats().dropped;
        assert_eq!((dropped.late, dropped.unit, dropped.function, dropped.length), (1, 1, 1, 2));
        assert!(dropped.noise >= 1, "{dropped:?}");
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_byte_by_byte_is_taken_and_one_too_slow_is_dropped_whole() {
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let device = async {
        for (tid, start, count) in [(1, 0, 0), (2, 100, 10)] {
            let wanted = holding(start, count.max(1));
            far.expects(tid, 1, wanted).await;
            for byte in far.frame(tid, 1, &mirror::reply(&wanted)) {
                tokio::time::sleep(Duration::from_millis(50)).await;
                far.sends(&[byte]).await;
            }
        }
        far.expects(3, 1, holding(200, 10)).await;
        far.answers(3, 1, holding(200, 10)).await;
    };
    let client = async {
        let slow = session.transact(1, &holding(0, 1), Instant::now() + Duration::from_secs(5)).await;
        assert!(slow.is_ok());
        let cut = read(&mut session, 1, holding(100, 10)).await;
        assert!(matches!(cut, Err(TransactError::Timeout { dropped: Some(Mismatch::Cut) })), "{cut:?}");
        let next = session.transact(1, &holding(200, 10), Instant::now() + Duration::from_secs(5)).await;
        assert_eq!(next.expect("values"), Response::Registers(&mirror::registers(200, 10)));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_broke_off_costs_no_second_request() {
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let device = async {
        far.expects(1, 1, holding(0, 10)).await;
        let whole = far.frame(1, 1, &mirror::reply(&holding(0, 10)));
        far.sends(&whole[..12]).await;
        far.expects(2, 1, holding(30, 3)).await;
        far.answers(2, 1, holding(30, 3)).await;
    };
    let client = async {
        assert!(is_timeout(&read(&mut session, 1, holding(0, 10)).await));
        assert_eq!(read(&mut session, 1, holding(30, 3)).await.expect("values"), mirror::registers(30, 3));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn every_exception_reaches_the_caller_and_the_session_goes_on() {
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let codes = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11];
    let device = async {
        for (tid, code) in (1..).zip(codes) {
            far.expects(tid, 1, holding(0, 1)).await;
            far.refuses(tid, 1, holding(0, 1), code).await;
        }
    };
    let client = async {
        for code in codes {
            match read(&mut session, 1, holding(0, 1)).await {
                Err(TransactError::Exception(exception)) => assert_eq!(exception, Exception::from_code(code)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(session.stats().exceptions, 10);
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_ends_the_session_for_good() {
    let (mut session, far) = talk(SessionConfig::mbap());
    drop(far);
    assert!(matches!(read(&mut session, 1, holding(0, 1)).await, Err(TransactError::Link(_))));
    assert!(matches!(read(&mut session, 1, holding(0, 1)).await, Err(TransactError::Link(LinkError::Spent))));
}

#[tokio::test(start_paused = true)]
async fn with_ids_ignored_any_id_is_taken_and_a_timeout_ends_the_session() {
    let config = SessionConfig { transaction_ids: TransactionIds::Ignore, ..SessionConfig::mbap() };
    let (mut session, mut far) = talk(config);
    let device = async {
        far.expects(1, 1, holding(0, 1)).await;
        far.answers(0, 1, holding(0, 1)).await;
        far.expects(2, 1, holding(0, 1)).await;
    };
    let client = async {
        assert_eq!(read(&mut session, 1, holding(0, 1)).await.expect("values"), mirror::registers(0, 1));
        let over = read(&mut session, 1, holding(0, 1)).await;
        assert!(matches!(over, Err(TransactError::Link(LinkError::LateAnswerPossible))), "{over:?}");
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn with_ids_ignored_a_doubled_answer_is_dropped_and_an_abandoned_call_ends_the_session() {
    let config = SessionConfig { transaction_ids: TransactionIds::Ignore, ..SessionConfig::mbap() };
    let (mut session, mut far) = talk(config);
    let device = async {
        far.expects(1, 1, holding(0, 1)).await;
        far.answers(0, 1, holding(0, 1)).await;
        far.answers(0, 1, holding(0, 1)).await;
        far.expects(2, 1, holding(9, 1)).await;
        far.answers(0, 1, holding(9, 1)).await;
        far.expects(3, 1, holding(20, 1)).await;
        far.answers(0, 1, holding(20, 1)).await;
    };
    let client = async {
        assert_eq!(read(&mut session, 1, holding(0, 1)).await.expect("values"), mirror::registers(0, 1));
        tokio::time::sleep(TIMEOUT).await;
        assert_eq!(read(&mut session, 1, holding(9, 1)).await.expect("values"), mirror::registers(9, 1));
        let abandoned = tokio::select! {
            biased;
            _ = read(&mut session, 1, holding(20, 1)) => false,
            () = std::future::ready(()) => true,
        };
        assert!(abandoned);
        let over = read(&mut session, 1, holding(30, 1)).await;
        assert!(matches!(over, Err(TransactError::Link(LinkError::Spent))), "{over:?}");
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_the_protocol_is_not_sent() {
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let refused = read(&mut session, 1, holding(0, 126)).await;
    assert!(matches!(refused, Err(TransactError::Invalid(_))));
    drop(session);
    let mut sent = Vec::new();
    far.pipe.read_to_end(&mut sent).await.expect("the end");
    assert!(sent.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_device_that_takes_no_bytes_ends_the_session() {
    let (near, _far) = duplex(4);
    let mut session = Session::new(near, SessionConfig::mbap());
    let stuck = session.transact(1, &holding(0, 1), Instant::now() + TIMEOUT).await;
    assert!(matches!(stuck, Err(TransactError::Link(LinkError::Stuck))), "{stuck:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_abandoned_leaves_nothing_behind_for_the_next() {
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let device = async {
        far.expects(1, 1, holding(0, 2)).await;
        far.expects(2, 1, holding(50, 2)).await;
        far.answers(1, 1, holding(0, 2)).await;
        far.answers(2, 1, holding(50, 2)).await;
    };
    let client = async {
        let abandoned = tokio::time::timeout(TIMEOUT / 2, read(&mut session, 1, holding(0, 2))).await;
        assert!(abandoned.is_err());
        assert_eq!(read(&mut session, 1, holding(50, 2)).await.expect("values"), mirror::registers(50, 2));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn an_identification_in_parts_is_put_together_and_one_in_circles_is_given_up() {
    let part = |more: u8, next: u8, id: u8, text: &[u8]| {
        [&[0x2B, 0x0E, 1, 1, more, next, 1, id, text.len() as u8], text].concat()
    };
    let ask = |object| Request::ReadDeviceIdentification { level: IdentificationLevel::Basic, object };
    let (mut session, mut far) = talk(SessionConfig::mbap());
    let device = async {
        let parts = [
            (0, part(0xFF, 1, 0, b"Acme")),
            (1, part(0, 0, 1, b"P-1")),
            (0, part(0xFF, 1, 0, b"Acme")),
            (1, part(0xFF, 1, 1, b"P-1")),
        ];
        for (tid, (object, pdu)) in (1..).zip(parts) {
            far.expects(tid, 1, ask(object)).await;
            let bytes = far.frame(tid, 1, &pdu);
            far.sends(&bytes).await;
        }
    };
    let client = async {
        let deadline = Instant::now() + TIMEOUT;
        let identity = session.identify(1, IdentificationLevel::Basic, deadline).await.expect("an identity");
        assert_eq!(identity.objects, [(0, "Acme".to_owned()), (1, "P-1".to_owned())]);
        assert!(session.identify(1, IdentificationLevel::Basic, deadline).await.is_err());
    };
    tokio::join!(device, client);
}
