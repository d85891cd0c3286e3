use driver_core::{ClockState, Quality, Reading, Reason, TagId, Tense, Timestamp, Value};
use proptest::prelude::*;

use super::*;

#[path = "../../../examples/encode_speed/mixes.rs"]
mod mixes;

fn reading(tag: u32, value: Value, at: i64) -> Reading {
    Reading {
        tag: TagId(tag),
        value,
        quality: Quality::Good,
        status: 0,
        timestamp: Timestamp(at),
        clock: ClockState::Synchronized,
        tense: Tense::Present,
    }
}

/// The bits count, not their value: NaN must come back too.
fn same(left: &Reading, right: &Reading) -> bool {
    format!("{left:?}") == format!("{right:?}")
        && match (&left.value, &right.value) {
            (Value::Real(left), Value::Real(right)) => left.to_bits() == right.to_bits(),
            (Value::LReal(left), Value::LReal(right)) => left.to_bits() == right.to_bits(),
            _ => true,
        }
}

fn round_trip(readings: &[Reading]) -> (usize, Vec<Reading>) {
    let mut encoder = Encoder::new().expect("zstd's memory");
    let mut bytes = Vec::new();
    let codec = encoder.encode(readings, &mut bytes);
    let mut back = Vec::new();
    Decoder::new().expect("zstd's memory").decode(codec, &bytes, &mut back).expect("what was encoded decodes");
    (bytes.len(), back)
}

/// What is promised: the same readings; each tag's in their order; times in their order.
fn check(readings: &[Reading]) {
    let (_, back) = round_trip(readings);
    assert_eq!(back.len(), readings.len());
    let mut tags: Vec<TagId> = readings.iter().map(|reading| reading.tag).collect();
    tags.sort();
    tags.dedup();
    for tag in tags {
        let of = |all: &[Reading]| all.iter().filter(|reading| reading.tag == tag).cloned().collect::<Vec<_>>();
        let (left, right) = (of(readings), of(&back));
        assert_eq!(left.len(), right.len(), "{tag:?}");
        assert!(left.iter().zip(&right).all(|(left, right)| same(left, right)), "{left:?}\n{right:?}");
    }
}

#[test]
fn readings_come_back_time_by_time() {
    let readings: Vec<Reading> = (0..3)
        .flat_map(|tick| (0..4).map(move |tag| reading(tag, Value::Int(i64::from(tag) * 7 + tick), tick * 1_000)))
        .collect();
    assert_eq!(round_trip(&readings).1, readings);
}

#[test]
fn a_thinned_block_gives_back_what_it_holds_and_where_that_stood() {
    let all: Vec<Reading> = (0..900).map(|at| reading(at as u32 % 3, Value::Int(at * at), at / 3)).collect();
    for places in [vec![], vec![0, 1, 2, 7, 8, 100, 899], (0..900).filter(|place| place % 5 != 1).collect()] {
        let held: Vec<Reading> = places.iter().map(|place| all[*place as usize].clone()).collect();
        let mut payload = Vec::new();
        let codec = Encoder::new().expect("zstd's memory").encode_thinned(&held, &places, &mut payload);
        let mut back = Vec::new();
        let mut decoder = Decoder::new().expect("zstd's memory");
        let found = decoder.decode(codec, &payload, &mut back).expect("decodes");
        assert_eq!((found.as_deref(), &back), (Some(&places[..]), &held));
        back.clear();
        let (last, meta) = (places.last().copied().unwrap_or(0), buffer::Meta { codec, ..META });
        let seqs = |count| buffer::SeqRange::starting_at(5, count);
        let block = |count| Block {
            seqs: seqs(count),
            epoch: 1,
            class: buffer::Class::Bulk,
            meta,
            payload: payload.clone().into(),
        };
        assert!(decoder.decode_block(&block(u64::from(last) + 1), &mut back).is_ok());
        back.clear();
        let beyond = decoder.decode_block(&block(u64::from(last)), &mut back);
        assert!(last == 0 || (beyond.is_err() && back.is_empty()), "a reading beyond the block's count");
    }
}

#[test]
fn what_version_1_wrote_is_read() {
    let third = 1.0 / 3.0_f64;
    let decoded = |head: &[u8], tail: &[u8]| {
        let payload = [head, &third.to_bits().to_le_bytes(), tail].concat();
        let mut back = Vec::new();
        Decoder::new().expect("zstd's memory").decode(CODEC_PLAIN, &payload, &mut back).expect("decodes");
        back
    };
    // One time, tags 3 to 5: a BOOL, a decimal, and a double as it is.
    let head = [1, 1, 0, 10, 1, 1, 1, 1, 3, 2, 0, 0x10, 0x54, 0x50, 2, 0x92, 3];
    let values = [Value::Bool(true), Value::LReal(20.1), Value::LReal(third)];
    let tick: Vec<Reading> = values.into_iter().zip(3..).map(|(value, tag)| reading(tag, value, 5)).collect();
    assert_eq!(decoded(&head, &[]), tick);
    // Three times, tags 0 and 1: a BOOL by steps, and a double that stays.
    let head = [1, 3, 0, 10, 7, 0, 1, 3, 1, 1, 0, 1, 0, 0x11, 0x52, 0, 2, 0, 0];
    let of = |at: i64| [reading(0, Value::Bool(at > 5), at), reading(1, Value::LReal(third), at)];
    assert_eq!(decoded(&head, &[0xff, 1]), (5..8).flat_map(of).collect::<Vec<_>>());
}

#[test]
fn the_fuzz_corpus_holds_each_codec_as_it_is_written_now() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/block");
    let (mut decoder, mut codecs) = (Decoder::new().expect("zstd's memory"), Vec::new());
    for entry in std::fs::read_dir(folder).expect("the corpus is committed") {
        let input = std::fs::read(entry.expect("an entry").path()).expect("an input");
        let Some((&codec, payload)) = input.split_first() else { continue };
        let is_thinned = matches!(codec, CODEC_THINNED | CODEC_THINNED_ZSTD);
        let is_compressed = matches!(codec, CODEC_ZSTD | CODEC_THINNED_ZSTD);
        let Ok(plain) = (if is_compressed { decoder.decompress(payload) } else { Ok(payload) }) else { continue };
        let mut plain = Input::new(plain);
        let places = if is_thinned { thinned::read(&mut plain).map(drop) } else { Ok(()) };
        if places.is_ok() && plain.byte() == Ok(VERSION) {
            codecs.push(codec);
        }
    }
    codecs.sort_unstable();
    codecs.dedup();
    assert_eq!(codecs, [CODEC_PLAIN, CODEC_ZSTD, CODEC_THINNED, CODEC_THINNED_ZSTD]);
}

const META: buffer::Meta = buffer::Meta { count: 0, t_min_ns: 0, t_max_ns: 0, codec: 0, flags: 0, schema: 0 };

#[test]
fn an_empty_block_is_a_block() {
    assert!(round_trip(&[]).1.is_empty());
}

#[test]
fn a_dead_device_costs_a_few_bytes() {
    let absent = |tag| Reading { quality: Quality::Bad(Reason::Timeout), ..reading(tag, Value::None, 5) };
    let readings: Vec<Reading> = (0..10_000).map(absent).collect();
    let (bytes, back) = round_trip(&readings);
    assert_eq!(back, readings);
    assert!(bytes < 80, "{bytes} bytes");
}

#[test]
fn scaled_integers_cost_what_integers_cost() {
    let slow = |tick: i64, tag: u32| Value::LReal((2_000 + tick % 3 + i64::from(tag)) as f64 / 10.0);
    let readings: Vec<Reading> =
        (0..60).flat_map(|tick| (0..200).map(move |tag| reading(tag, slow(tick, tag), tick * 1_000_000_000))).collect();
    let (bytes, _) = round_trip(&readings);
    assert!(bytes < readings.len() / 2, "{bytes} bytes for {} readings", readings.len());
}

/// Bytes of a block of `tags` columns of `ticks` values.
fn size_of(tags: u32, ticks: i64, mut value: impl FnMut(i64, u32) -> Value) -> usize {
    let mut readings = Vec::new();
    for tick in 0..ticks {
        (0..tags).for_each(|tag| readings.push(reading(tag, value(tick, tag), tick * 1_000_000_000)));
    }
    let (bytes, back) = round_trip(&readings);
    assert_eq!(back, readings);
    bytes
}

#[test]
fn four_mixes_of_tags_take_no_more_than_designed() {
    for (mix, lengths) in mixes::DESIGN {
        for (ticks, designed) in lengths {
            let readings = mixes::readings(mix, ticks);
            let (bytes, back) = round_trip(&readings);
            let each = bytes as f64 / readings.len() as f64;
            eprintln!("{mix}, {ticks} ticks a block: {each:.3} bytes a reading, {designed} designed");
            assert_eq!(back, readings);
            // The design tells one place.
            assert!(each < designed + 0.05, "{mix}, {ticks} ticks: {each} for {designed}");
        }
    }
}

#[test]
fn doubles_without_any_pattern_cost_their_random_bits() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = |_, _| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Value::LReal(f64::from_bits(0x4059_0000_0000_0000 + (random >> 12)))
    };
    for (ticks, most) in [(1, 7.4), (10, 7.0), (60, 6.6)] {
        let each = size_of(200, ticks, &mut noise) as f64 / (200.0 * ticks as f64);
        assert!(each < most, "{ticks} ticks: {each} bytes a reading, of which 6.5 are random");
    }
}

#[test]
fn a_bool_costs_a_bit_and_one_that_rests_costs_no_more() {
    let random = |tick: i64, tag: u32| Value::Bool((tag.wrapping_mul(0x9e37_79b9) >> 9) & 1 == 1 && tick >= 0);
    let one = size_of(1_000, 1, random);
    assert!(one < 1_000 / 8 + 40, "{one} bytes for 1,000 flags");
    let sixty = size_of(1_000, 60, random);
    assert!(sixty < 1_000 / 8 + 80, "{sixty} bytes for 1,000 flags that stay for 60 ticks");
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => any::<u16>().prop_map(|value| Value::LReal(f64::from(value) / 10.0)),
        2 => any::<u64>().prop_map(|bits| Value::LReal(f64::from_bits(bits))),
        2 => any::<u32>().prop_map(|bits| Value::Real(f32::from_bits(bits))),
        2 => (-50_i32..50).prop_map(|value| Value::Real(value as f32 / 4.0)),
        2 => any::<i64>().prop_map(Value::Int),
        2 => any::<u64>().prop_map(Value::UInt),
        2 => any::<bool>().prop_map(Value::Bool),
        1 => "\\PC{0,20}".prop_map(|text| Value::Text(text.into())),
        1 => any::<i64>().prop_map(Value::DateTime),
        1 => prop::collection::vec(any::<i64>().prop_map(Value::Int), 0..4).prop_map(|all| Value::Array(all.into())),
        1 => Just(Value::None),
    ]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let quality = prop_oneof![
        6 => Just(Quality::Good),
        1 => (1_u8..=10).prop_map(|number| Quality::Bad(Reason::from_number(number).expect("one of ten"))),
        1 => (1_u8..=10).prop_map(|number| Quality::Uncertain(Reason::from_number(number).expect("one of ten"))),
    ];
    let time = prop_oneof![4 => 0..5_i64, 1 => any::<i64>()];
    let status = prop_oneof![6 => Just(0), 1 => any::<u32>()];
    let tag = prop_oneof![8 => 0..6_u32, 1 => 0..u32::MAX - 1];
    let tense = prop_oneof![6 => Just(Tense::Present), 1 => Just(Tense::Past)];
    let beside = (quality, status, any::<bool>(), tense);
    (tag, any_value(), time, beside).prop_map(|(tag, value, at, (quality, status, good, tense))| Reading {
        quality,
        status,
        tense,
        clock: if good { ClockState::Synchronized } else { ClockState::Unsynchronized },
        ..reading(tag, value, at)
    })
}

proptest! {
    #[test]
    fn every_reading_comes_back(readings in prop::collection::vec(any_reading(), 0..200)) {
        check(&readings);
    }

    #[test]
    fn one_tag_of_one_kind_comes_back(values in prop::collection::vec(any_value(), 1..40)) {
        let readings: Vec<Reading> = values.into_iter().zip(0..).map(|(value, at)| reading(3, value, at)).collect();
        check(&readings);
    }

    #[test]
    fn numbers_near_each_other_come_back(
        base in any::<u64>(), steps in prop::collection::vec(0..1_u64 << 54, 2..80), small in 0..54_u32, real in any::<bool>(),
    ) {
        let value = |step: u64| {
            let bits = base.wrapping_add(step >> small);
            if real { Value::Real(f32::from_bits(bits as u32)) } else { Value::LReal(f64::from_bits(bits)) }
        };
        let readings: Vec<Reading> = steps.into_iter().zip(0..).map(|(step, at)| reading(3, value(step), at)).collect();
        check(&readings);
    }

    #[test]
    fn numbers_in_runs_come_back(
        runs in prop::collection::vec((any_value(), 1..9_usize), 1..12), tags in 1..5_u32,
    ) {
        let values = runs.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count));
        let of_tags = values.zip(0..).flat_map(|(value, at)| (0..tags).map(move |tag| reading(tag, value.clone(), at)));
        check(&of_tags.collect::<Vec<_>>());
    }

    #[test]
    fn a_value_by_itself_is_written_as_a_column_of_one(value in any_value()) {
        let (mut column, mut whole, mut alone) = (Column::default(), Vec::new(), Vec::new());
        let (mut of_whole, mut of_alone) = (Shared::default(), Shared::default());
        let code = column.write_all([&value], &mut of_whole, &mut whole);
        if let Some(code_alone) = write_one(&value, &mut of_alone, &mut alone) {
            prop_assert_eq!((code_alone, alone, of_alone), (code, whole, of_whole));
        } else {
            prop_assert!(matches!(value, Value::None | Value::Text(_) | Value::Array(_)));
        }
    }

    #[test]
    fn garbage_never_panics(codec in 0..5_u8, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut readings = Vec::new();
        let result = Decoder::new().expect("zstd's memory").decode(codec, &bytes, &mut readings);
        prop_assert!(result.is_ok() || readings.is_empty());
    }

    #[test]
    fn a_changed_byte_never_panics(
        readings in prop::collection::vec(any_reading(), 1..50), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut encoder = Encoder::new().expect("zstd's memory");
        encoder.encode_plain(&readings);
        let mut bytes = encoder.plain.clone();
        let index = at.index(bytes.len());
        bytes[index] = byte;
        let mut back = Vec::new();
        let result = Decoder::new().expect("zstd's memory").decode(CODEC_PLAIN, &bytes, &mut back);
        prop_assert!(result.is_ok() || back.is_empty());
    }
}
