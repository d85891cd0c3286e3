//! What the way of a reading asks of the heap: nothing for a reading, little for a poll, a block, a message.
//!
//! The steps of the hot path, each on its own, after a first time that fills what is kept. Twice as many readings must not
//! take twice as many allocations: what is left is counted a poll, a block or a message.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use driver_core::{DeviceSpec, EndpointUrl, GroupId, Line, LineSpec, Reading, Readings, SystemClock, TagId, TagSpec};
use forebay::pipeline::batch::{BLOCK_READINGS, Batch};
use forebay::pipeline::encode::{Decoder, Encoder};
use forebay::pipeline::process::{Process, Rule};
use forebay::pipeline::schema::Schema;
use forebay::pipeline::tags::{DevicePlace, Tags, TagsBuilder};
use forebay::pipeline::watched::Watched;
use forebay::uplink::Lane;
use forebay::uplink::format::json::Json;
use forebay::uplink::format::{Format, Records};
use forebay::uplink::topic::{Rules, Template};
use hardware_sim::modbus::Plant;
use tests::field::Field;
use tokio::runtime::Builder;

/// As many tags as one device of the benchmark has, and twice as many.
const TAGS: [usize; 2] = [1_000, 2_000];

/// Allocations of one poll of so many tags, step by step.
#[derive(Debug, Clone, Copy)]
struct Counts {
    poll: u64,
    process: u64,
    encode: u64,
    decode: u64,
    format: u64,
}

#[test]
fn no_reading_costs_an_allocation_on_its_way_from_the_plc_to_the_payload() {
    let [few, many] = TAGS.map(counted);
    println!("{} tags: {few:?}\n{} tags: {many:?}", TAGS[0], TAGS[1]);
    let steps = |counts: Counts| [counts.poll, counts.process, counts.encode, counts.decode, counts.format];
    for (few, many) in steps(few).into_iter().zip(steps(many)) {
        let a_reading = many.saturating_sub(few) as f64 / (TAGS[1] - TAGS[0]) as f64;
        assert!(a_reading < 0.005, "{few} allocations for {} readings, {many} for {}", TAGS[0], TAGS[1]);
    }
    assert_eq!(many.process, 0, "scaling and filtering keep nothing");
}

fn counted(tags: usize) -> Counts {
    let (field, plant) = (Field::new(), Plant::new());
    plant.write_holding(1, 0, &(0..tags as u16).map(|register| 1_000 + register * 7).collect::<Vec<u16>>());
    let (_server, address) = field.tcp(&plant);
    let mut way = Way::new(address, tags);
    way.go();
    way.go()
}

/// The steps, with all that they keep.
struct Way {
    line: Box<dyn Line>,
    runtime: tokio::runtime::Runtime,
    readings: Vec<Reading>,
    process: Process,
    encoder: Encoder,
    batch: Batch,
    decoder: Decoder,
    decoded: Vec<Reading>,
    format: Json,
    schema: Arc<Schema>,
}

impl Way {
    fn new(plc: SocketAddr, tags: usize) -> Way {
        let mut builder = TagsBuilder::after(None);
        builder.device("press", DevicePlace { line: 0, device: 0 });
        for tag in 0..tags {
            builder.tag(&format!("tag{tag}"), "°C", Rule::PLAIN);
        }
        let all: Arc<Tags> = Arc::new(builder.build());
        let topic = Template::parse("bench/{device}", "bench", Rules::Mqtt).expect("a topic");
        Way {
            line: line(plc, tags),
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            readings: Vec::new(),
            process: Process::new(all.clone(), Arc::new(Watched::new(tags, [])), Instant::now()),
            encoder: Encoder::new().expect("zstd's memory"),
            batch: Batch::default(),
            decoder: Decoder::new().expect("zstd's memory"),
            decoded: Vec::new(),
            format: Json::new("bench", topic, Rules::Mqtt),
            schema: all.schema().clone(),
        }
    }

    /// One poll, all the way; what each step asked of the heap.
    fn go(&mut self) -> Counts {
        self.readings.clear();
        let poll = measure(|| self.poll()).count_total;
        let now = Instant::now();
        let process = measure(|| self.process.run(&mut self.readings, now)).count_total;
        let mut payloads = Vec::new();
        let encode = measure(|| {
            let fitted = self.batch.fill(&mut self.encoder, self.readings.chunks(BLOCK_READINGS), 1);
            assert_eq!(fitted, self.readings.len(), "one append holds them");
        })
        .count_total;
        payloads.extend(self.batch.blocks().iter().map(|block| (block.meta.codec, block.payload.to_vec())));
        self.decoded.clear();
        let decode = measure(|| {
            for (codec, payload) in &payloads {
                self.decoder.decode(*codec, payload, &mut self.decoded).expect("what was encoded decodes");
            }
        })
        .count_total;
        assert_eq!(self.decoded, self.readings);
        let format = self.format();
        Counts { poll, process, encode, decode, format }
    }

    fn poll(&mut self) {
        let (line, readings) = (&mut self.line, &mut self.readings);
        self.runtime.block_on(async {
            if !line.is_connected() {
                line.connect().await.expect("the PLC listens");
            }
            let mut out = Readings::new(readings, &SystemClock);
            line.poll(0, GroupId(0), &mut out).await.expect("it answers");
        });
    }

    fn format(&mut self) -> u64 {
        let (readings, schema) = (self.decoded.clone(), Some(self.schema.clone()));
        let records = Records { lane: Lane::Live, epoch: 1, first: 1, readings, offsets: None, schema };
        let format = &mut self.format;
        measure(|| {
            format.begin(records);
            let bytes: usize = std::iter::from_fn(|| format.next()).map(|message| message.payload.len()).sum();
            assert!(bytes > 0, "it is written");
        })
        .count_total
    }
}

fn line(plc: SocketAddr, tags: usize) -> Box<dyn Line> {
    let url: EndpointUrl = format!("modbus-tcp://{plc}?unit=1").parse().expect("a URL");
    let driver = drivers::by_scheme(url.scheme()).expect("a driver of this build");
    let addresses: Vec<String> = (0..tags).map(|register| format!("hr:{register}:UINT")).collect();
    let tags = (0..).zip(&addresses).map(|(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) });
    let groups = vec![Duration::from_secs(1)];
    let device = DeviceSpec { groups, tags: tags.collect(), ..DeviceSpec::default() };
    let spec = LineSpec { url, timeout: Some(Duration::from_secs(5)), devices: vec![device] };
    driver.line(&spec).unwrap_or_else(|errors| panic!("{errors:?}"))
}
