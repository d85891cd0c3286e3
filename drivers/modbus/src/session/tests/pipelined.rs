//! Several requests under way at once.

use super::*;
use crate::wire::TransactionIds;

fn deep(max_in_flight: usize) -> SessionConfig {
    SessionConfig { max_in_flight, ..SessionConfig::mbap() }
}

fn reads(number: u16) -> Vec<(u8, Request<'static>)> {
    (0..number).map(|index| (1, holding(index * 10, 1 + index % 7))).collect()
}

/// Results by index: the registers, or `None` for a timeout.
async fn run(session: &mut Session<DuplexStream>, requests: &[(u8, Request<'static>)]) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut results = vec![Vec::new(); requests.len()];
    let ran = session.run(requests.iter().copied(), TIMEOUT, |index, result| {
        results[index].push(match result {
            Ok(Response::Registers(bytes)) => Some(bytes.to_vec()),
            _ => None,
        });
    });
    ran.await.expect("the session to hold");
    results
}

fn true_values(requests: &[(u8, Request<'static>)]) -> Vec<Vec<Option<Vec<u8>>>> {
    requests.iter().map(|(_, request)| vec![Some(mirror::reply(request)[2..].to_vec())]).collect()
}

/// Takes the frames that stand in the pipe and tells their ids and requests.
async fn heard(far: &mut Far) -> Vec<(u16, Request<'static>)> {
    let mut bytes = vec![0; 4096];
    let len = far.pipe.read(&mut bytes).await.expect("the session to send");
    let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    bytes[..len].chunks(12).map(|frame| (word(frame, 0), holding(word(frame, 8), word(frame, 10)))).collect()
}

#[tokio::test(start_paused = true)]
async fn eight_requests_leave_together_and_each_gets_its_own_answer_in_whatever_order() {
    let (mut session, mut far) = talk(deep(8));
    let requests = reads(40);
    let device = async {
        let mut answered = 0;
        let first = heard(&mut far).await;
        assert_eq!(first.len(), 8);
        let mut waiting = first;
        while answered < 40 {
            while let Some((tid, request)) = waiting.pop() {
                far.answers(tid, 1, request).await;
                answered += 1;
            }
            if answered < 40 {
                waiting = heard(&mut far).await;
            }
        }
    };
    let client = async { assert_eq!(run(&mut session, &requests).await, true_values(&requests)) };
    tokio::join!(device, client);
    assert_eq!(session.stats().responses, 40);
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_times_out_alone_and_its_late_answer_changes_nothing() {
    let (mut session, mut far) = talk(deep(4));
    let requests = reads(6);
    let device = async {
        let mut lost = None;
        for round in 0..2 {
            for (tid, request) in heard(&mut far).await {
                if tid == 2 {
                    lost = Some(request);
                } else {
                    far.answers(tid, 1, request).await;
                }
            }
            if round == 1 {
                tokio::time::sleep(TIMEOUT * 2).await;
                far.answers(2, 1, lost.expect("the second request")).await;
            }
        }
        far.expects(7, 1, holding(90, 1)).await;
        far.answers(7, 1, holding(90, 1)).await;
    };
    let client = async {
        let mut expected = true_values(&requests);
        expected[1] = vec![None];
        assert_eq!(run(&mut session, &requests).await, expected);
        assert_eq!(read(&mut session, 1, holding(90, 1)).await.expect("values"), mirror::registers(90, 1));
        assert_eq!((session.stats().timeouts, session.stats().dropped.late), (1, 1));
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_costs_one_timeout_for_all_that_is_under_way() {
    let (mut session, _far) = talk(deep(8));
    let began = Instant::now();
    let results = run(&mut session, &reads(8)).await;
    assert_eq!(results, vec![vec![None]; 8]);
    assert!(began.elapsed() < TIMEOUT * 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_the_protocol_fails_alone() {
    let (mut session, mut far) = talk(deep(4));
    let requests = [(1, holding(0, 1)), (1, holding(0, 200)), (1, holding(5, 1))];
    let device = async {
        for (tid, request) in heard(&mut far).await {
            far.answers(tid, 1, request).await;
        }
    };
    let client = async {
        let results = run(&mut session, &requests).await;
        assert_eq!(results, [vec![Some(mirror::registers(0, 1))], vec![None], vec![Some(mirror::registers(5, 1))]]);
    };
    tokio::join!(device, client);
}

#[tokio::test(start_paused = true)]
async fn depth_one_runs_the_requests_one_after_the_other() {
    let (mut session, mut far) = talk(deep(1));
    let requests = reads(5);
    let device = async {
        for _ in 0..5 {
            let waiting = heard(&mut far).await;
            assert_eq!(waiting.len(), 1);
            far.answers(waiting[0].0, 1, waiting[0].1).await;
        }
    };
    let client = async { assert_eq!(run(&mut session, &requests).await, true_values(&requests)) };
    tokio::join!(device, client);
}

/// A device that keeps `room` requests and loses what comes beyond.
async fn small_device(far: &mut Far, room: usize) {
    loop {
        for (tid, request) in heard(far).await.into_iter().take(room) {
            far.answers(tid, 1, request).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn probing_finds_how_many_requests_a_device_takes_at_once() {
    for (room, accepted) in [(1, 1), (2, 2), (5, 4), (64, 8)] {
        let (mut session, mut far) = talk(deep(1));
        let place = (Table::HoldingRegisters, 0, 10);
        let found = tokio::select! {
            found = session.probe_in_flight(1, place, TIMEOUT) => found,
            () = small_device(&mut far, room) => unreachable!("the device never ends"),
        };
        assert_eq!(found.accepted, accepted, "room for {room}");
        assert!(found.over.is_none());
        assert_eq!(session.config().in_flight(), accepted);
    }
}

#[tokio::test(start_paused = true)]
async fn probing_stays_at_one_where_ids_are_ignored() {
    let (mut session, _far) = talk(SessionConfig { transaction_ids: TransactionIds::Ignore, ..deep(1) });
    let found = session.probe_in_flight(1, (Table::HoldingRegisters, 0, 10), TIMEOUT).await;
    assert_eq!(found.accepted, 1);
}
