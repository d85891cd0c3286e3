//! Every type that can be written, to two servers that we did not write, with the type that the server has.

use driver_core::{Timestamp, Value, WriteOutcome};
use serde_json::{Value as Json, json};
use tests::cases;
use tests::field::Field;
use tests::opcua::{Far, Server};

use crate::types::folder;

/// A value of the case file as it is given to a driver: a date and bytes are texts there.
fn given(value: &Json) -> Value {
    match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::UInt(value),
            (None, None) => Value::LReal(number.as_f64().expect("a number")),
        },
        Json::String(text) => Value::Text(text.as_str().into()),
        Json::Array(values) => Value::Array(values.iter().map(given).collect()),
        other => panic!("{other} is nothing to write"),
    }
}

/// What a driver read, as the case file has it.
fn told(value: &Value) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::UInt(value) => json!(value),
        Value::Real(value) => json!(value),
        Value::LReal(value) => json!(value),
        Value::Array(values) => values.iter().map(told).collect(),
        Value::DateTime(nanos) => {
            let text = Timestamp(*nanos).to_string();
            let (seconds, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((&text[..19], ""));
            json!(format!("{seconds}.{fraction:0<6}"))
        }
        other => json!(other.to_string()),
    }
}

fn written(server: Server) {
    let folder = folder();
    let Some(far) = Far::start(server, folder.path(), &[]) else { return };
    let all = cases::opcua::writable();
    let addresses: Vec<&str> = all.iter().map(|(case, _)| case.address.as_str()).collect();
    let url = format!("{}?policy=none&read=poll", far.url());
    let field = Field::new();
    field.run(async {
        let mut plc = drivers::open(&url, &addresses).await.expect("a connection");
        let mut wrong = Vec::new();
        for (index, (case, other)) in all.iter().enumerate() {
            let outcome = plc.write(index, &given(other)).await.expect("it is connected");
            match &outcome {
                WriteOutcome::Written(held) if told(held) == *other => {}
                _ => wrong.push(format!("{}: {other} was written, {outcome:?}", case.tag)),
            }
        }
        for ((case, other), reading) in all.iter().zip(plc.read().await.expect("readings")) {
            if told(&reading.value) != *other {
                wrong.push(format!("{}: {other} was written, {:?} was read", case.tag, reading.value));
            }
        }
        // What does not fit is refused here, and nothing is sent.
        let int16 = all.iter().position(|(case, _)| case.tag == "int16").expect("a case");
        let outcome = plc.write(int16, &Value::Int(40_000)).await.expect("it is connected");
        assert!(matches!(outcome, WriteOutcome::Failed(_)), "{outcome:?}");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        plc.close().await;
    });
}

#[test]
fn every_type_is_written_to_asyncua() {
    written(Server::Asyncua);
}

#[test]
fn every_type_is_written_to_node_opcua() {
    written(Server::NodeOpcua);
}
