//! Opening a session, and what ends it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::{Calling, ConnectError, LinkError, OpenStep, Session};
use crate::wire::mirror::{answer, packets, read_answer};
use crate::wire::{Area, Item, Outgoing, ReadAnswer, Setup, cotp, read};

const CALLING: Calling = Calling { local_tsap: 0x0100, remote_tsap: 0x0301, pdu: 480, jobs: 4 };
const SECOND: Duration = Duration::from_secs(1);
/// The far side's confirmation; it takes TPDUs of 128 bytes.
const CONFIRM: [u8; 14] = [3, 0, 0, 14, 9, 0xD0, 0, 1, 0, 7, 0, 0xC0, 1, 7];

async fn expect(far: &mut DuplexStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    far.read_exact(&mut got).await.expect("bytes");
    assert_eq!(got, expected);
}

/// Plays the opening; `jobs` and `pdu` are what the far side grants.
async fn open(
    far: &mut DuplexStream,
    near: DuplexStream,
    jobs: u16,
    pdu: u16,
) -> Result<Session<DuplexStream>, ConnectError> {
    let opening = Session::open(near, &CALLING, Instant::now() + SECOND);
    let granting = async {
        expect(far, &cotp::connect(0x0100, 0x0301)).await;
        far.write_all(&CONFIRM).await.expect("room");
        let mut asked = Vec::new();
        Outgoing::job(&Setup { jobs: 4, pdu: 480 }.parameter()).put(1, &mut asked);
        expect(far, &packets(&asked, 128)).await;
        let granted = answer(1, 0, &Setup { jobs, pdu }.parameter(), &[]);
        far.write_all(&packets(&granted, 1024)).await.expect("room");
    };
    tokio::join!(opening, granting).0
}

#[tokio::test(start_paused = true)]
async fn what_the_plc_grants_is_obeyed() {
    for (granted, jobs) in [(2, 2), (0, 1), (9, 4)] {
        let (near, mut far) = duplex(4096);
        let session = open(&mut far, near, granted, 240).await.expect("a session");
        let agreed = session.agreed();
        assert_eq!((agreed.jobs, agreed.pdu, agreed.tpdu_max, agreed.far_reference), (jobs, 240, 128, 7));
    }
    for pdu in [0, 63, 481] {
        let (near, mut far) = duplex(4096);
        assert!(matches!(open(&mut far, near, 1, pdu).await, Err(ConnectError::Malformed(_))), "{pdu}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_taken_is_told_from_a_line_that_is_dead() {
    let opened = async |answer: &[u8]| {
        let (near, mut far) = duplex(4096);
        far.write_all(answer).await.expect("room");
        let opened = Session::open(near, &CALLING, Instant::now() + SECOND).await;
        drop(far);
        opened.expect_err("no session")
    };
    assert!(matches!(opened(&[3, 0, 0, 11, 6, 0x80, 0, 1, 0, 0, 3]).await, ConnectError::Refused(3)));
    assert!(matches!(opened(b"SSH-2.0-OpenSSH_9.2\r\n").await, ConnectError::Malformed(_)));
    assert!(matches!(opened(&[]).await, ConnectError::Silent(OpenStep::Call)));
    assert!(matches!(opened(&CONFIRM).await, ConnectError::Silent(OpenStep::Setup)));
    let (near, far) = duplex(4096);
    drop(far);
    assert!(Session::open(near, &CALLING, Instant::now() + SECOND).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_more_jobs_are_under_way_than_were_agreed_on() {
    let (near, mut far) = duplex(4096);
    let mut session = open(&mut far, near, 2, 240).await.expect("a session");
    let parameter = read::parameter(std::iter::once(Item { area: Area::Flags, start: 0, len: 1 }));
    let requests = [Outgoing::job(&parameter); 5];
    let mut values = Vec::new();
    let running = session.run(requests, 8, SECOND, |index, result| {
        let message = result.expect("an answer");
        let answer = ReadAnswer::decode(&message, [1].into_iter()).expect("a read").next();
        values.push((index, answer.expect("an item").expect("a value")[0]));
    });
    let serving = async {
        let mut open: Vec<u16> = Vec::new();
        for reference in 2..7 {
            let mut job = Vec::new();
            Outgoing::job(&parameter).put(reference, &mut job);
            expect(&mut far, &packets(&job, 128)).await;
            open.push(reference);
            assert!(open.len() <= 2, "{open:?}");
            if open.len() == 2 || reference == 6 {
                for reference in open.drain(..).rev() {
                    let bytes = read_answer(reference, &[Ok(&[reference as u8])]);
                    far.write_all(&packets(&bytes, 5)).await.expect("room");
                }
            }
        }
    };
    assert!(tokio::join!(running, serving).0.is_ok());
    values.sort_unstable();
    assert_eq!(values, [(0, 2), (1, 3), (2, 4), (3, 5), (4, 6)]);
}

#[tokio::test(start_paused = true)]
async fn a_job_cut_in_the_middle_ends_the_session_and_one_that_waits_does_not() {
    let (near, mut far) = duplex(64);
    let mut session = open(&mut far, near, 1, 240).await.expect("a session");
    let parameter = read::parameter(std::iter::once(Item { area: Area::Flags, start: 0, len: 1 }));
    let one = [Outgoing::job(&parameter)];
    let waiting = session.run(one, 1, SECOND, |_, _| {});
    assert!(tokio::time::timeout(SECOND / 2, waiting).await.is_err(), "nobody answers");
    let mut late = Vec::new();
    let answered = session.run(one, 1, SECOND, |_, result| late.push(result.is_ok()));
    let answers = async {
        // The first is for the job that was abandoned.
        for reference in [2, 3] {
            far.write_all(&packets(&read_answer(reference, &[Ok(&[1])]), 1024)).await.expect("room");
        }
    };
    assert!(tokio::join!(answered, answers).0.is_ok());
    assert_eq!(late, [true]);
    let long = vec![0; 200];
    let stuck = session.run([Outgoing::job(&long)], 1, SECOND, |_, _| {});
    assert!(tokio::time::timeout(SECOND / 2, stuck).await.is_err(), "the far side takes no more");
    let after = session.run(one, 1, SECOND, |_, _| {}).await;
    assert!(matches!(after, Err(LinkError::Spent)), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn leave_is_taken_and_the_far_side_may_close_its_end_but_is_not_waited_for_for_ever() {
    let (near, mut far) = duplex(4096);
    let session = open(&mut far, near, 1, 240).await.expect("a session");
    let closing = async {
        expect(&mut far, &cotp::leave(7)).await;
        assert_eq!(far.read(&mut [0; 8]).await.expect("its end"), 0, "it has closed its end");
        drop(far);
    };
    tokio::join!(session.leave(), closing);
    let (near, mut far) = duplex(4096);
    let session = open(&mut far, near, 1, 240).await.expect("a session");
    let before = Instant::now();
    session.leave().await;
    assert!(before.elapsed() <= SECOND, "{:?}", before.elapsed());
    drop(far);
}
