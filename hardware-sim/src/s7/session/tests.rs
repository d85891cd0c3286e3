//! Whole conversations, byte by byte.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::s7::{Access, Area, CpuState, ItemError, PlcConfig, bytes_u32};
use crate::signal::Signal;

/// Rack 0, slot 2; TPDUs of 1024 bytes.
const CONNECT: &[u8] = &[3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 0x0A, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2];

/// The header of an answer behind TPKT and COTP: 7 + 12 bytes.
const BODY: usize = 19;

struct Client {
    plc: Plc,
    session: Session,
}

impl Client {
    /// Connects and agrees on PDUs of at most so many bytes, with as many jobs.
    fn new(plc: &Plc, pdu: u16) -> (Client, Vec<u8>) {
        let mut client = Client { plc: plc.clone(), session: Session::new() };
        let Step::Reply(_) = client.session.take(plc, CONNECT) else { panic!("a connection is accepted") };
        let [high, low] = pdu.to_be_bytes();
        let agreed = client.ask(&[0xF0, 0, 0, 5, 0, 5, high, low], &[]);
        (client, agreed[BODY..].to_vec())
    }

    /// The packets that answer a job.
    fn ask(&mut self, parameters: &[u8], data: &[u8]) -> Vec<u8> {
        self.send(&message(1, parameters, data)).expect("an answer")
    }

    fn send(&mut self, pdu: &[u8]) -> Option<Vec<u8>> {
        match self.session.take(&self.plc, &cotp::data(pdu, 1024)) {
            Step::Request(request) => self.session.answer(&self.plc, &request),
            other => panic!("{other:?}"),
        }
    }

    /// The parameters and data of a read's answer.
    fn read(&mut self, items: &[[u8; 12]]) -> Vec<u8> {
        let answer = self.ask(&[&[4, items.len() as u8][..], &items.concat()].concat(), &[]);
        answer[BODY..].to_vec()
    }
}

fn message(kind: u8, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let lengths = [parameters.len(), data.len()].map(|len| (len as u16).to_be_bytes()).concat();
    [&[0x32, kind, 0, 0, 0x12, 0x34], lengths.as_slice(), parameters, data].concat()
}

fn item(transport: u8, count: u16, block: u16, area: u8, bits: u32) -> [u8; 12] {
    let ([c0, c1], [b0, b1]) = (count.to_be_bytes(), block.to_be_bytes());
    let [_, s0, s1, s2] = bits.to_be_bytes();
    [0x12, 0x0A, 0x10, transport, c0, c1, b0, b1, area, s0, s1, s2]
}

fn plc_with(change: impl FnOnce(&mut PlcConfig)) -> Plc {
    let plc = Plc::new();
    let mut config = PlcConfig::default();
    change(&mut config);
    plc.configure(config);
    plc
}

#[test]
fn the_smaller_pdu_and_number_of_jobs_is_agreed() {
    let plc = plc_with(|config| (config.pdu_max, config.jobs_max) = (480, 3));
    assert_eq!(Client::new(&plc, 960).1, [0xF0, 0, 0, 3, 0, 3, 1, 0xE0]);
    assert_eq!(Client::new(&plc, 240).1, [0xF0, 0, 0, 3, 0, 3, 0, 240]);
}

#[test]
fn items_of_all_areas_are_read_at_once_each_with_its_code() {
    let plc = Plc::new();
    plc.write(Area::Block(1), 4, &[0x41, 0x48, 0, 0]);
    plc.write(Area::Flags, 10, &[0b0000_1000]);
    plc.write(Area::Timers, 2 * 5, &[0x21, 0x27]);
    plc.refuse(Area::Inputs, 7..=8, ItemError::NotAllowed);
    let (mut client, _) = Client::new(&plc, 960);
    let found = client.read(&[
        item(8, 1, 1, 0x84, 32),
        item(1, 1, 0, 0x83, 83),
        item(0x1D, 1, 0, 0x1D, 5),
        item(4, 1, 0, 0x81, 48),
        item(4, 1, 0, 0x81, 8 * 8),
        item(2, 1, 9, 0x84, 0),
        item(2, 2, 1, 0x84, 56),
    ]);
    let parts: [&[u8]; 8] = [
        &[4, 7],
        &[0xFF, 7, 0, 4, 0x41, 0x48, 0, 0],
        &[0xFF, 3, 0, 1, 1, 0],
        &[0xFF, 9, 0, 2, 0x21, 0x27],
        &[3, 0, 0, 0],
        &[3, 0, 0, 0],
        &[0x0A, 0, 0, 0],
        &[5, 0, 0, 0],
    ];
    // Bytes 6 and 7 reach into what is refused.
    assert_eq!(found, parts.concat());
    let counts = plc.counts();
    assert_eq!((counts.items_read, counts.items_refused, counts.breaches), (3, 4, 0));
    let seen = plc.take_seen();
    assert_eq!((seen.len(), seen[1].function, seen[1].items.len()), (2, 4, 7));
}

#[test]
fn several_items_are_written_at_once_and_a_bit_leaves_its_neighbours_alone() {
    let plc = Plc::new();
    plc.write(Area::Block(1), 0, &[0xFF; 8]);
    let (mut client, _) = Client::new(&plc, 960);
    let items = [item(1, 1, 1, 0x84, 3), item(2, 3, 1, 0x84, 16), item(2, 1, 2, 0x84, 0), item(4, 1, 1, 0x84, 48)];
    let parameters = [&[5, 4][..], &items.concat()].concat();
    let data: [&[u8]; 4] = [&[0, 3, 0, 1, 0, 0], &[0, 4, 0, 24, 1, 2, 3, 0], &[0, 4, 0, 8, 9, 0], &[0, 4, 0, 8, 7]];
    let answer = client.ask(&parameters, &data.concat());
    assert_eq!(answer[BODY..], [5, 4, 0xFF, 0xFF, 0x0A, 0x07]);
    assert_eq!(plc.read(Area::Block(1), 0, 8), [0xF7, 0xFF, 1, 2, 3, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn an_answer_that_does_not_fit_is_refused_whole_and_is_a_breach() {
    let plc = Plc::new();
    plc.load(1, 1000);
    let (mut client, _) = Client::new(&plc, 240);
    assert_eq!(client.read(&[item(2, 222, 1, 0x84, 0)]).len(), 2 + 4 + 222);
    assert_eq!(plc.counts().breaches, 0);
    let refused = client.ask(&[&[4, 1][..], &item(2, 223, 1, 0x84, 0)].concat(), &[]);
    assert_eq!(refused[7..], [0x32, 3, 0, 0, 0x12, 0x34, 0, 0, 0, 0, 0x85, 0]);
    let many = [&[4, 21][..], &[item(2, 1, 1, 0x84, 0); 21].concat()].concat();
    assert_eq!(client.ask(&many, &[])[17..], [0x85, 0], "the request is too long for the PDU");
    assert_eq!(plc.counts().breaches, 2);
    let (mut client, _) = Client::new(&plc, 960);
    assert_eq!(client.ask(&many, &[])[17..], [0x85, 4], "more items than it takes");
}

#[test]
fn what_is_not_permitted_or_not_known_is_refused_by_its_header() {
    let plc = plc_with(|config| config.access = Access::Refused);
    plc.load(1, 10);
    let (mut client, _) = Client::new(&plc, 480);
    let refused = client.ask(&[&[4, 1][..], &item(2, 1, 1, 0x84, 0)].concat(), &[]);
    assert_eq!(refused[7..], [0x32, 2, 0, 0, 0x12, 0x34, 0, 0, 0, 0, 0x81, 4]);
    assert_eq!(client.ask(&[0x1A], &[])[17..], [0x81, 4]);
    assert_eq!(plc.counts().requests_refused, 2);
}

#[test]
fn long_answers_come_in_fragments_and_requests_may() {
    let plc = plc_with(|config| config.tpdu_max = 128);
    plc.write(Area::Block(1), 0, &[7; 300]);
    let (mut client, _) = Client::new(&plc, 480);
    let pdu = message(1, &[&[4, 1][..], &item(2, 300, 1, 0x84, 0)].concat(), &[]);
    let (first, last) = pdu.split_at(11);
    let head = |len: usize, end: u8| vec![3, 0, 0, 7 + len as u8, 2, 0xF0, end];
    assert_eq!(client.session.take(&plc, &[&head(11, 0), first].concat()), Step::Wait);
    let Step::Request(request) = client.session.take(&plc, &[&head(last.len(), 0x80), last].concat()) else {
        panic!("the request is whole")
    };
    let packets = client.session.answer(&plc, &request).expect("an answer");
    assert_eq!((packets.len(), packets[3]), (318 + 3 * 7, 132));
    assert_eq!((packets[6], packets[132 + 6], packets[2 * 132 + 6]), (0, 0, 0x80));
}

#[test]
fn a_status_list_that_is_longer_than_a_pdu_is_fetched_in_parts() {
    let plc = Plc::new();
    let (mut client, _) = Client::new(&plc, 240);
    let first = message(7, &[0, 1, 0x12, 4, 0x11, 0x44, 1, 0], &[0xFF, 9, 0, 4, 0, 0x1C, 0, 0]);
    let answer = client.send(&first).expect("an answer");
    assert_eq!((answer.len(), answer[26], answer[7 + 10 + 6]), (247, 1, 1));
    let sequence = answer[7 + 10 + 7];
    let next = message(7, &[0, 1, 0x12, 8, 0x12, 0x44, 1, sequence, 0, 0, 0, 0], &[0x0A, 0, 0, 0]);
    let rest = client.send(&next).expect("an answer");
    assert_eq!(rest[26], 0, "no more follows");
    let list = [&answer[7 + 26..], &rest[7 + 26..]].concat();
    assert_eq!((list.len(), &list[..8]), (8 + 7 * 34, &[0, 0x1C, 0, 0, 0, 34, 0, 7][..]));
    let unknown = message(7, &[0, 1, 0x12, 4, 0x11, 0x44, 1, 0], &[0xFF, 9, 0, 4, 9, 9, 0, 0]);
    assert_eq!(client.send(&unknown).expect("an answer")[27..29], [0xD4, 1]);
}

#[test]
fn a_stopped_cpu_shows_its_memory_and_signals_stand_still() {
    let plc = Plc::new();
    let signal = Signal::Counter { from: 0.0, step: 1.0, every: Duration::from_nanos(1) };
    plc.drive(Area::Flags, 0, 4, signal, |value, bytes| bytes_u32(value as u64, bytes));
    let (mut client, _) = Client::new(&plc, 480);
    let want = [item(6, 1, 0, 0x83, 0)];
    assert_ne!(client.read(&want), client.read(&want));
    assert_eq!(client.ask(&[0x29, 0, 0, 0, 0, 0, 9], b"P_PROGRAM")[BODY..], [0x29]);
    assert_eq!((plc.cpu_state(), client.read(&want)), (CpuState::Stop, client.read(&want)));
    plc.switch(CpuState::Run);
    assert_ne!(client.read(&want), client.read(&want));
}

#[test]
fn another_slot_is_refused_and_nothing_goes_before_the_connection_and_the_setup() {
    let plc = plc_with(|config| config.tsap = Some(0x0101));
    let refused = Session::new().take(&plc, CONNECT);
    assert_eq!(refused, Step::End(vec![3, 0, 0, 11, 6, 0x80, 0, 1, 0, 0, 2]));
    let plc = Plc::new();
    assert_eq!(Session::new().take(&plc, &cotp::data(&[0x32], 1024)), Step::End(vec![]));
    let mut session = Session::new();
    session.take(&plc, CONNECT);
    let early = message(1, &[4, 0], &[]);
    let answer = session.answer(&plc, &early).expect("a refusal");
    assert_eq!(answer[17..], [0x81, 4]);
}

#[test]
fn a_counter_counts_the_reads_that_show_it_whole() {
    let plc = Plc::new();
    let oracle = plc.oracle(Area::Block(1), 4, 4, bytes_u32);
    let (mut client, _) = Client::new(&plc, 480);
    assert_eq!(client.read(&[item(6, 1, 1, 0x84, 32)])[6..], [0, 0, 0, 1]);
    assert_eq!(client.read(&[item(2, 8, 1, 0x84, 0)])[10..], [0, 0, 0, 2]);
    client.read(&[item(2, 6, 1, 0x84, 0)]);
    assert_eq!(oracle.last(), 2);
}

proptest! {
    #[test]
    fn any_packets_are_answered_or_end_the_connection(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..6),
        parameters in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let plc = Plc::new();
        plc.load(1, 100);
        let (mut client, _) = Client::new(&plc, 240);
        for function in [4, 5, 0xF0, 0x28] {
            let pdu = message(1, &[&[function], parameters.as_slice()].concat(), &packets[0]);
            if let Some(answer) = client.send(&pdu) {
                prop_assert!(answer.len() <= 7 + 240);
            }
        }
        client.send(&message(7, &parameters, &packets[0]));
        for packet in &packets {
            let head = [3, 0, 0, (packet.len() + 4) as u8];
            if let Step::Request(request) = client.session.take(&plc, &[&head, packet.as_slice()].concat()) {
                client.session.answer(&plc, &request);
            }
        }
    }
}
