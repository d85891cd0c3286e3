//! Published files, and those written after documented formats (`samples/README.md`), as configurations.

use super::*;

struct Sample {
    name: &'static str,
    bytes: &'static [u8],
    kind: Kind,
    /// Lines that the YAML has, and how many tags.
    has: &'static [&'static str],
    tags: usize,
    /// What is said of what is not in it.
    says: &'static [&'static str],
}

macro_rules! sample {
    ($name:literal) => {
        ($name, include_bytes!(concat!("samples/", $name)))
    };
}

fn samples() -> Vec<Sample> {
    let sample = |(name, bytes): (&'static str, &'static [u8]), kind, tags, has, says| Sample {
        name,
        bytes,
        kind,
        has,
        tags,
        says,
    };
    vec![
        sample(
            sample!("telegraf_modbus.conf"),
            Kind::Telegraf,
            28,
            &[
                "  Device:\n    url: modbus-tcp://localhost:502\n    unit: 1\n    every: 10s\n",
                "      start: di:0\n",
                "      motor1_run: co:0\n",
                "      energy: { address: \"hr:5:DINT\", scale: 0.001 }\n",
                "      frequency: { address: \"hr:7:UINT\", scale: 0.1 }\n",
                "      energy_2: { address: \"hr:5:REAL@DCBA\", scale: 0.001 }\n",
                "    on: Device\n    unit: 2\n",
                "      force: ir:2:DINT\n",
            ],
            &[
                "`workarounds` has no counterpart",
                "outputs.mqtt: a destination is written under `uplinks`",
                "tags of a measurement",
            ],
        ),
        sample(
            sample!("telegraf_s7comm.conf"),
            Kind::Telegraf,
            4,
            &["    url: s7://127.0.0.1?rack=0&slot=0\n", "      rpm: DB1.R4\n", "      last_error: DB2.S1.32\n"],
            &[],
        ),
        sample(
            sample!("telegraf_opcua.conf"),
            Kind::Telegraf,
            usize::MAX,
            &["opc.tcp://localhost:4840", "ns=0;i=2259", "ns=2;s=Tank.Level", "ns=3;i=1001"],
            &["no driver for the input `cpu`", "`password` is not copied"],
        ),
        sample(
            sample!("plc4x_source.properties"),
            Kind::Plc4x,
            0,
            &["# there is no driver for `simulated` here:\n  #   machineA:\n  #     url: simulated://127.0.0.1\n"],
            &["only a comment in the result", "topics stand at an uplink"],
        ),
        sample(
            sample!("plc4x_machines.properties"),
            Kind::Plc4x,
            6,
            &[
                "  machineC:\n    url: modbus-tcp://192.168.1.1:502\n    unit: 2\n",
                "      volts: holding-register:101:REAL\n",
                "      active: \"%I0.2:BOOL\"\n",
                "    url: s7://10.20.30.41?rack=0&slot=2\n    every: 2s\n",
            ],
            &[
                "`inputPreasure` (%DB.DB1.4:INT)",
                "`outputPreasure` (%Q1:BYT)",
                "`controller-type` (S7_300) has no counterpart",
            ],
        ),
        sample(
            sample!("benthos_s7.yaml"),
            Kind::BenthosUmh,
            2,
            &["    url: s7://192.168.0.1?rack=0&slot=1\n    timeout: 10s\n", "      DB1.DW20: DB1.DW20\n"],
            &["pipeline: readings are not rewritten", "output: a destination"],
        ),
        sample(
            sample!("benthos_modbus.yaml"),
            Kind::BenthosUmh,
            usize::MAX,
            &[
                "  meters_1:\n    url: modbus-tcp://10.0.0.21:502\n    unit: 1\n    every: 5s\n    timeout: 2s\n",
                "  meters_2:\n    on: meters_1\n    unit: 2\n",
                "      volts: ir:0:REAL@CDAB\n",
                "      state: hr:10.3\n",
                "      energy: { address: \"ir:72:REAL@CDAB\", scale: 0.1 }\n",
            ],
            &["`high`: the high byte of a register", "no driver for the input `sensorconnect`", "`busyRetries` (3)"],
        ),
        sample(
            sample!("kepware_tags.csv"),
            Kind::KepwareCsv,
            4,
            &[
                "      Line7.Flow: hr:502:REAL@CDAB  # Flow, main pipe\n",
                "      Line7.Level: { address: \"ir:0:UINT\", scale: 0.05, unit: m, every: 500ms }\n",
                "      Line7.Running: { address: \"co:0\", every: 100ms }\n",
                "      Line7.Serial: { address: \"hr:199:STRING(20)\", every: 10s }\n",
            ],
            &["`Line7.Old` (K0001)", "`Line7.Bcd` (400600): BCD", "does not say where it is", "values are not clamped"],
        ),
        sample(
            sample!("kepware_project.json"),
            Kind::KepwareJson,
            5,
            &[
                "  Wells.Pump1:\n    url: modbus-tcp://10.1.2.3\n    unit: 2\n",
                "      Motor.Speed: { address: \"hr:9:UINT\", scale: 3, unit: rpm, every: 500ms }  # rpm of the shaft\n",
                "  Wells.Pump2:\n    on: Wells.Pump1\n    unit: 3\n",
                "      Pressure: ir:0:REAL@CDAB\n",
                "    url: s7://10.1.2.4?rack=0&slot=2\n",
                "      Count: DB1.DBD12:UDINT\n",
            ],
            &["there is no driver for `Simulator` here"],
        ),
        sample(
            sample!("neuron.json"),
            Kind::Neuron,
            7,
            &[
                "  meters_1:\n    url: modbus-tcp://10.0.0.21\n    unit: 1\n    every: 100ms\n    timeout: 3s\n",
                "      count: hr:0:INT  # pieces\n",
                "      volts: { address: \"ir:2:REAL@CDAB\", scale: 0.1 }\n",
                "  meters_2:\n    on: meters_1\n    unit: 2\n",
                "      power: ir:2:REAL@DCBA\n",
                "      speed: DB1.DBD4:REAL\n",
            ],
            &[
                "`press`: there is no driver for `Mitsubishi 3E`",
                "`mqtt` (MQTT) is a destination",
                "#BB and #BL changed",
                "`raw` (2!400040.8)",
            ],
        ),
        sample(
            sample!("tia_tags.xlsx"),
            Kind::Tia,
            4,
            &[
                "    url: s7://192.0.2.1?plc=s7-1500\n",
                "      Start_Button: \"%I0.0\"  # Start button\n",
                "      Speed: \"%MD20:REAL\"  # rpm & more\n",
                "      Run_Timer: \"%T5\"\n",
            ],
            &["does not say where it is"],
        ),
        sample(
            sample!("tia_tags.xml"),
            Kind::Tia,
            2,
            &["      Zero: \"%MD1000:DINT\"\n", "      Start_Button: \"%I0.0\"  # Start & stop\n"],
            &["line 5: `Motor` is a \"UDT_Motor\", which is no elementary type"],
        ),
        sample(
            sample!("tia_openness.xml"),
            Kind::Tia,
            1,
            &["      Temp_Act: \"%MD24:REAL\"  # Actual temperature\n"],
            &[],
        ),
        sample(sample!("tia_tags.sdf"), Kind::Tia, 2, &["      Level: \"%IW64:INT\"\n", "# Start button\n"], &[]),
        sample(
            sample!("step7.asc"),
            Kind::Step7,
            4,
            &[
                "    url: s7://192.0.2.1?plc=s7-300\n",
                "      Motor_Start: E0.0  # Start pushbutton line 3\n",
                "# Temperatur Öl\n",
                "      Part_Count: Z7",
            ],
            &["`Data_Recipes` (DB10) names a block"],
        ),
        sample(
            sample!("step7.sdf"),
            Kind::Step7,
            4,
            &["      Speed_SP: MW20:INT"],
            &["`Data_Recipes` (DB10) names a block"],
        ),
        sample(
            sample!("tags.csv"),
            Kind::Csv,
            3,
            &[
                "      volts: { address: \"ir:0:REAL@CDAB\", unit: V, every: 500ms }  # phase 1\n",
                "      energy: { address: \"ir:72:REAL\", scale: 0.1, unit: kWh, every: 1m }\n",
                "  press:\n    url: s7://10.0.0.13\n",
            ],
            &["`colour` means nothing", "line 5: `wrong`"],
        ),
    ]
}

fn import(name: &str, bytes: &[u8], url: Option<&str>) -> Imported {
    let given = Given { name, from: None, url, gateway: "acme/berlin" };
    imported(bytes, given).unwrap_or_else(|cause| panic!("{name}: {cause}"))
}

#[test]
fn every_sample_becomes_a_configuration_without_errors_and_what_is_not_in_it_is_said() {
    let wrong: Vec<String> = samples().iter().filter_map(|sample| wrong(sample).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it should be, with everything that came of the sample.
fn wrong(sample: &Sample) -> Result<(), String> {
    let Imported { kind, found, yaml } = import(sample.name, sample.bytes, None);
    let report = report::text(sample.name, kind, &found);
    let failed = |what: String| Err(format!("{}: {what}\n{yaml}\n{report}", sample.name));
    if kind != sample.kind {
        return failed(format!("taken for {}", kind.name()));
    }
    if let Some(line) = sample.has.iter().find(|line| !yaml.contains(**line)) {
        return failed(format!("{line:?} is missing"));
    }
    if let Some(words) = sample.says.iter().find(|words| !report.contains(**words)) {
        return failed(format!("{words:?} is not said"));
    }
    if sample.tags != usize::MAX && found.tags() != sample.tags {
        return failed(format!("{} tags", found.tags()));
    }
    if yaml.contains("hush") || report.contains("hush") {
        return failed("a secret was copied".into());
    }
    if found.tags() == 0 {
        return Ok(());
    }
    match check(Source::new(sample.name, &yaml), Kinds::of_this_build()) {
        Ok(checked) if checked.config.tags.len() == found.tags() => Ok(()),
        Ok(checked) => failed(format!("{} tags after the check", checked.config.tags.len())),
        Err(report) => failed(report.to_string()),
    }
}

#[test]
fn a_file_that_does_not_say_where_the_plc_is_takes_the_url_of_the_command_line() {
    let sample = include_bytes!("samples/tia_tags.xml");
    let Imported { found, yaml, .. } = import("tags.xml", sample, Some("s7://10.9.8.7?plc=s7-1200"));
    assert!(yaml.contains("    url: s7://10.9.8.7?plc=s7-1200\n"), "{yaml}");
    assert!(!report::text("tags.xml", Kind::Tia, &found).contains("does not say where"));
}

#[test]
fn what_is_of_no_known_kind_is_refused_with_the_kinds_there_are() {
    for bytes in [&b"hello"[..], b"", b"{}", b"\x00\xFF\xFE\x01", b"[1, 2]"] {
        let given = Given { name: "x", from: None, url: None, gateway: "g" };
        let error = imported(bytes, given).expect_err("no kind");
        assert!(error.contains("kepware-json") && error.contains("--from"), "{error}");
    }
}

#[test]
fn cut_and_damaged_files_are_refused_or_give_less_and_never_panic() {
    for sample in samples() {
        for end in (0..sample.bytes.len()).step_by(101) {
            let given = Given { name: sample.name, from: Some(sample.kind), url: None, gateway: "g" };
            if let Ok(imported) = imported(&sample.bytes[..end], given) {
                assert!(imported.found.tags() <= 40, "{}", sample.name);
            }
        }
        for kind in Kind::ALL {
            let given = Given { name: sample.name, from: Some(kind), url: None, gateway: "g" };
            let outcome = imported(sample.bytes, given);
            assert!(
                outcome.is_err() || kind == sample.kind || outcome.is_ok_and(|imported| imported.found.tags() <= 40)
            );
        }
    }
}

#[test]
fn names_that_are_the_same_or_empty_are_told_apart() {
    let text = b"name,address\nx,hr:0\nx,hr:1\n,hr:2\n\"a\tb\",hr:3\n";
    let Imported { yaml, found, .. } = import("x.csv", text, Some("modbus-tcp://10.0.0.1"));
    assert_eq!(found.tags(), 4, "{yaml}");
    for line in ["x: hr:0", "x_2: hr:1", "hr:2: hr:2", "\"a b\": hr:3"] {
        assert!(yaml.contains(line), "{line} is missing in\n{yaml}");
    }
}
