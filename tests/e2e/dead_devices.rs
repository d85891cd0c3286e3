//! F8: what is dead says so at once and costs the others nothing.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hardware_sim::faults::{Fault, Framing, Link};
use hardware_sim::modbus::{ModbusServer, Oracle, Plant};
use tests::field::{Field, free_port};
use tests::gateway::Gateway;
use tests::site::Site;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::rig::{COUNTER, EVERY, counter, counting_device, embedded, file, lateness, tcp};

const ALIVE: usize = 97;
const WATCHED: Duration = Duration::from_secs(6);

/// Many counting PLCs, each on a port of its own.
struct Many {
    oracles: Vec<Oracle>,
    addresses: Vec<SocketAddr>,
    _servers: Vec<ModbusServer>,
}

impl Many {
    fn new(field: &Field) -> Many {
        let plants: Vec<Plant> = (0..ALIVE).map(|_| Plant::new()).collect();
        let oracles = plants.iter().map(|plant| counter(plant, 1)).collect();
        let (servers, addresses) = plants.iter().map(|plant| field.tcp(plant)).unzip();
        Many { oracles, addresses, _servers: servers }
    }

    fn devices(&self) -> String {
        let device = |(index, address): (usize, &SocketAddr)| counting_device(&format!("d{index}"), &tcp(*address));
        self.addresses.iter().enumerate().map(device).collect()
    }

    /// The 99th percentile of all lateness while watched, and the processor time that the gateway took.
    fn watch(&self, gateway: &Gateway, recorder: &Subscriber) -> (Duration, Duration) {
        recorder.next_good(&format!("d{}", ALIVE - 1), COUNTER);
        wait::for_it("all are polled", wait::SOON, || self.oracles.iter().all(|oracle| oracle.last() > 2));
        let (from, cpu) = (SystemTime::now(), gateway.cpu());
        wait::pass(WATCHED);
        let cpu = gateway.cpu() - cpu;
        let mut late: Vec<Duration> = self.oracles.iter().flat_map(|oracle| lateness(oracle, from, EVERY)).collect();
        late.sort_unstable();
        let least = WATCHED.as_millis() / EVERY.as_millis() * ALIVE as u128 * 9 / 10;
        assert!(late.len() as u128 >= least, "{} polls instead of at least {least}", late.len());
        (late[late.len() * 99 / 100], cpu)
    }
}

#[test]
fn a_black_hole_a_refusing_and_a_silent_plc_delay_none_of_97_others() {
    let field = Field::new();
    let many = Many::new(&field);
    let (_broker, url, recorder) = embedded(&field);
    let healthy = Site::new(&file(&many.devices(), &url));
    let gateway = healthy.start();
    let (late_before, cpu_before) = many.watch(&gateway, &recorder);
    drop(gateway);

    let hole = field.proxy(many.addresses[0], Framing::ModbusTcp);
    hole.link(Link::BlackHole);
    let silent = field.proxy(many.addresses[0], Framing::ModbusTcp);
    silent.set(Fault::Silence);
    let refusing = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let dead = [("hole", hole.address()), ("silent", silent.address()), ("refusing", refusing)];
    let dead_devices: String = dead.iter().map(|(name, address)| counting_device(name, &tcp(*address))).collect();
    let site = Site::new(&file(&format!("{}{dead_devices}", many.devices()), &url));
    let gateway = site.start();
    for (name, _) in dead {
        let reading = wait::until(&format!("{name} is reported"), wait::SOON, || recorder.last(name, COUNTER));
        assert!(!reading.is_good() && reading.value().is_null(), "{name}: {:?}", reading.body);
        assert!(!reading.reason().is_empty(), "{name} is bad for a reason: {:?}", reading.body);
    }
    let (late_after, cpu_after) = many.watch(&gateway, &recorder);
    drop(gateway);
    eprintln!("p99 lateness {late_before:?} -> {late_after:?}, processor {cpu_before:?} -> {cpu_after:?}");
    let allowed = late_before + late_before / 2 + Duration::from_millis(15);
    assert!(late_after <= allowed, "p99 lateness rose from {late_before:?} to {late_after:?}");
    let costs_at_most = cpu_before * 3 / 2 + Duration::from_millis(100);
    assert!(cpu_after <= costs_at_most, "processor time rose from {cpu_before:?} to {cpu_after:?}");
}

#[test]
fn a_plc_that_comes_back_is_polled_again_by_itself() {
    let field = Field::new();
    let plant = Plant::new();
    let oracle = counter(&plant, 1);
    let (_server, address) = field.tcp(&plant);
    let proxy = field.proxy(address, Framing::ModbusTcp);
    let (_broker, url, recorder) = embedded(&field);
    let site = Site::new(&file(&counting_device("plc", &tcp(proxy.address())), &url));
    let gateway = site.start();
    recorder.next_good("plc", COUNTER);
    for fault in [Link::Refuse, Link::BlackHole] {
        proxy.link(fault);
        wait::for_it("it is reported as bad", wait::SOON, || {
            recorder.last("plc", COUNTER).is_some_and(|reading| !reading.is_good())
        });
        proxy.link(Link::Up);
        recorder.next_good("plc", COUNTER);
    }
    drop(gateway);
    tests::oracle::compare(&oracle.answered(), &recorder.readings(), "plc", COUNTER).must_be_true();
}
