use driver_core::{Quality, Reason, Timestamp};

use super::super::testkit::{NOON, messages, reading, text};
use super::*;

fn lines(topic: &str, readings: Vec<Reading>) -> Vec<String> {
    let made = messages(&LineProtocolKind, topic, Lane::Live, readings);
    made.iter().flat_map(|message| text(message).lines()).map(str::to_owned).collect()
}

#[test]
fn the_readings_of_one_poll_share_a_line() {
    let later = Reading { timestamp: Timestamp(NOON + 1), ..reading(0, Value::Int(-3)) };
    let readings = vec![reading(0, Value::Real(21.5)), reading(1, Value::UInt(u64::MAX)), later];
    assert_eq!(
        lines("{device}", readings),
        [
            r#"press,gateway=acme/line7 temperature=21.5,say\ "hi"\ %5C=18446744073709551615u,_epoch=7i,_seq=1234i,_count=2i 1795400913123456000"#,
            "press,gateway=acme/line7 temperature=-3i,_epoch=7i,_seq=1236i,_count=1i 1795400913123456001",
        ]
    );
}

#[test]
fn a_reading_in_doubt_has_its_own_line_and_no_field_changes_its_type() {
    let bad = Reading { quality: Quality::Bad(Reason::Timeout), status: 2, ..reading(0, Value::None) };
    let unset = Reading { clock: ClockState::Unsynchronized, ..reading(0, Value::Bool(true)) };
    let past = Reading { tense: Tense::Past, ..reading(0, Value::Bool(true)) };
    let readings =
        vec![bad, reading(0, Value::LReal(f64::NAN)), unset, reading(1, Value::Text("a\"\\\n".into())), past];
    assert_eq!(
        lines("{device}", readings),
        [
            "press,gateway=acme/line7,quality=bad,reason=timeout,tag=temperature status=2i,_epoch=7i,_seq=1234i,_count=1i 1795400913123456000",
            r#"press,gateway=acme/line7,tag=temperature not_finite="NaN",status=0i,_epoch=7i,_seq=1235i,_count=1i 1795400913123456000"#,
            "press,gateway=acme/line7,quality=good,clock=unsynchronized,tag=temperature temperature=true,status=0i,_epoch=7i,_seq=1236i,_count=1i 1795400913123456000",
            r#"press,gateway=acme/line7 say\ "hi"\ %5C="a\"\\"#,
            r#"",_epoch=7i,_seq=1237i,_count=1i 1795400913123456000"#,
            "press,gateway=acme/line7,quality=good,historical=true,tag=temperature temperature=true,status=0i,_epoch=7i,_seq=1238i,_count=1i 1795400913123456000",
        ]
    );
}

#[test]
fn devices_share_a_message_where_the_topic_names_none() {
    let array = Value::Array([Value::Int(1), Value::Int(2)].into());
    let readings = vec![reading(0, Value::Duration(1_500_000_000)), reading(2, array), reading(0, Value::Int(1))];
    let made = messages(&LineProtocolKind, "plant", Lane::History, readings.clone());
    assert_eq!(made.len(), 1);
    let expected = "\
press,gateway=acme/line7,lane=history temperature=1.5,_epoch=7i,_seq=1234i,_count=1i 1795400913123456000
mixer,gateway=acme/line7,lane=history level[0]=1i,level[1]=2i,_epoch=7i,_seq=1235i,_count=1i 1795400913123456000
press,gateway=acme/line7,lane=history temperature=1i,_epoch=7i,_seq=1236i,_count=1i 1795400913123456000
";
    assert_eq!(text(&made[0]), expected);
    assert_eq!((made[0].seqs.first, made[0].seqs.last), (1234, 1236));
    assert_eq!(messages(&LineProtocolKind, "{device}", Lane::Live, readings).len(), 2);
}
