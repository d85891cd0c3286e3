//! F8: what is dead says so and costs the others nothing; what comes back is polled again.

use std::net::SocketAddr;
use std::time::SystemTime;

use hardware_sim::faults::{Fault, Framing, Link};
use hardware_sim::s7::{CpuState, Oracle, Plc, PlcConfig, S7Server};
use tests::field::{Field, free_port};
use tests::oracle::compare;
use tests::site::Site;
use tests::wait;

use super::{bad, counter, counting_device, good, url};
use crate::rig::{COUNTER, PLC, answers, embedded, file, running};

const ALIVE: usize = 8;

#[test]
fn a_black_hole_a_silent_a_refusing_and_a_wrong_plc_delay_none_of_eight_others() {
    let field = Field::new();
    let plcs: Vec<Plc> = (0..ALIVE).map(|_| Plc::new()).collect();
    let oracles: Vec<Oracle> = plcs.iter().map(counter).collect();
    let servers: Vec<S7Server> = plcs.iter().map(|plc| field.s7(plc)).collect();
    let target = servers[0].address();
    let hole = field.proxy(target, Framing::S7);
    hole.link(Link::BlackHole);
    let silent = field.proxy(target, Framing::S7);
    silent.set(Fault::Silence);
    let refusing = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let elsewhere = Plc::new();
    elsewhere.configure(PlcConfig { tsap: Some(0x0305), ..PlcConfig::default() });
    let wrong_slot = field.s7(&elsewhere);
    let dead = [
        ("hole", hole.address()),
        ("silent", silent.address()),
        ("refusing", refusing),
        ("wrong", wrong_slot.address()),
    ];
    let alive = servers.iter().enumerate().map(|(n, server)| counting_device(&format!("d{n}"), server.address()));
    let devices: String = alive.chain(dead.map(|(name, address)| counting_device(name, address))).collect();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&devices, &uplink));
    let gateway = site.start();
    for (name, _) in dead {
        eprintln!("{name}: {}", bad(&recorder, name, COUNTER));
    }
    let (from, before) = (SystemTime::now(), oracles[0].last());
    answers(&oracles[0], 30);
    let took = from.elapsed().expect("time goes on").as_millis() as u64;
    let least = (oracles[0].last() - before) / 2;
    for oracle in &oracles[1..] {
        let polls = oracle.answered().iter().filter(|answer| answer.at >= from).count() as u64;
        assert!(polls >= least, "{polls} polls of one and {least} of another in {took} ms");
    }
    wait::for_it("the last readings arrive", wait::SOON, || {
        let arrived = |n: usize| recorder.last(&format!("d{n}"), COUNTER).and_then(|reading| reading.value().as_u64());
        (0..ALIVE).all(|n| arrived(n).is_some_and(|number| number + 10 > oracles[n].last()))
    });
    drop(gateway);
    for (n, oracle) in oracles.iter().enumerate() {
        compare(&oracle.answered(), &recorder.readings(), &format!("d{n}"), COUNTER).must_be_perfect();
    }
}

#[test]
fn a_plc_that_loses_its_power_is_bad_and_polled_again_when_it_is_back() {
    let field = Field::new();
    let plc = Plc::new();
    let oracle = counter(&plc);
    let server = field.s7(&plc);
    let address = server.address();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, address), &uplink));
    let gateway = site.start();
    running(&recorder);
    field.run(server.stop());
    bad(&recorder, PLC, COUNTER);
    let back =
        wait::until("the port is free again", wait::SOON, || field.run(S7Server::start(address, plc.clone())).ok());
    good(&recorder, PLC, COUNTER);
    back.drop_connections();
    answers(&oracle, 10);
    drop(gateway);
    compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER).must_be_true();
}

#[test]
fn a_stopped_cpu_is_read_on_and_says_that_it_is_stopped() {
    let field = Field::new();
    let plc = Plc::new();
    let oracle = counter(&plc);
    let server = field.s7(&plc);
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device(PLC, server.address()), &uplink));
    let gateway = site.start();
    let said = || {
        let info = site.forebay(&["read", &url(server.address()), "--info"]);
        assert!(info.status.success(), "{}", String::from_utf8_lossy(&info.stderr));
        String::from_utf8_lossy(&info.stdout).to_lowercase()
    };
    running(&recorder);
    assert!(said().contains("run") && said().contains("forebay sim-0ab0"), "{}", said());
    plc.switch(CpuState::Stop);
    assert!(said().contains("stop"), "{}", said());
    answers(&oracle, 5);
    plc.switch(CpuState::Run);
    answers(&oracle, 5);
    drop(gateway);
    let verdict = compare(&oracle.answered(), &recorder.readings(), PLC, COUNTER);
    assert!(verdict.bad.is_empty(), "{verdict}");
    verdict.must_be_true();
}
