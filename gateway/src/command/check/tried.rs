//! What `forebay check --connect` found, for people and for machines.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::connect::{Found, TagsRead, Tried, What};
use super::{number, push};

/// How many tags of one reason are named.
const NAMED_MAX: usize = 10;

/// One line a device and uplink, and more where tags are bad.
pub(super) fn text(tried: &[Tried]) -> String {
    let mut text = String::new();
    for one in tried {
        let Tried { name, url, .. } = one;
        match &one.outcome {
            Ok(Found::FarSide(said)) => push(&mut text, format_args!("{name}: ok, {said}\n")),
            Ok(Found::Tags(read)) if read.bad.is_empty() => {
                push(&mut text, format_args!("{name}: ok, {} read\n", number(read.good, "tag")));
            }
            Ok(Found::Tags(read)) => write_bad(&mut text, name, read),
            Err(cause) => push(&mut text, format_args!("{name}: FAILED ({url})\n  {cause}\n")),
        }
    }
    let bad = tried.iter().filter(|one| !one.is_good()).count();
    let verdict = match bad {
        0 => "all of them can be used".to_owned(),
        bad => format!("{bad} cannot be used as the file has them"),
    };
    let of = |what| tried.iter().filter(|one| one.what == what).count();
    let (devices, uplinks) = (number(of(What::Device), "device"), number(of(What::Uplink), "uplink"));
    push(&mut text, format_args!("\n{devices} and {uplinks} tried: {verdict}\n"));
    text
}

fn write_bad(text: &mut String, name: &str, read: &TagsRead) {
    let bad: usize = read.bad.values().map(Vec::len).sum();
    push(text, format_args!("{name}: BAD TAGS, {} of {} read\n", read.good, number(read.good + bad, "tag")));
    for ((word, said), tags) in &read.bad {
        let named = tags.iter().take(NAMED_MAX).map(|tag| &**tag).collect::<Vec<_>>().join(", ");
        let more = tags.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        push(text, format_args!("  {word}: {named}{more}\n    {said}\n"));
    }
}

/// The same for machines.
pub(super) fn json(tried: &[Tried]) -> Value {
    tried.iter().map(one).collect()
}

fn one(tried: &Tried) -> Value {
    let what = match tried.what {
        What::Device => "device",
        What::Uplink => "uplink",
    };
    let mut value = json!({ what: tried.name, "url": tried.url, "good": tried.is_good() });
    match &tried.outcome {
        Ok(Found::FarSide(said)) => value["found"] = json!(said),
        Ok(Found::Tags(read)) => {
            let mut bad: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for ((word, _), tags) in &read.bad {
                bad.entry(word).or_default().extend(tags.iter().map(|tag| &**tag));
            }
            value["tags_good"] = json!(read.good);
            value["tags_bad"] = json!(bad);
        }
        Err(cause) => value["error"] = json!(cause),
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(name: &str, outcome: Result<Found, String>) -> Tried {
        Tried { what: What::Device, name: name.into(), url: "modbus-tcp://h".into(), outcome }
    }

    #[test]
    fn each_is_told_with_what_to_do() {
        let mut read = TagsRead { good: 2, ..TagsRead::default() };
        let many: Vec<Box<str>> = (0..12).map(|number| format!("t{number}").into()).collect();
        read.bad.insert(("address-refused", "see whether it counts from 1".into()), many);
        let all = [
            tried("press", Ok(Found::Tags(TagsRead { good: 3, ..TagsRead::default() }))),
            tried("mixer", Ok(Found::Tags(read))),
            tried("pump", Err("cannot connect to h:502: refused. Check the port".into())),
        ];
        let told = text(&all);
        for part in [
            "press: ok, 3 tags read",
            "mixer: BAD TAGS, 2 of 14 tags read",
            "t9 and 2 more",
            "counts from 1",
            "pump: FAILED (modbus-tcp://h)\n  cannot connect",
            "3 devices and 0 uplinks tried: 2 cannot be used",
        ] {
            assert!(told.contains(part), "{part} is missing in:\n{told}");
        }
        let json = json(&all);
        assert_eq!((&json[0]["good"], &json[1]["tags_bad"]["address-refused"][11]), (&true.into(), &"t11".into()));
        assert!(json[2]["error"].as_str().is_some_and(|error| error.contains("refused")));
    }
}
