//! What an audit found, as tables and as JSON.

use buffer::{Seq, SeqRange};
use serde_json::{Value, json};

use super::account::Account;
use super::latency::Percentiles;
use super::ledger::Ledger;
use crate::command::table::table;

/// How many ranges of lost seqs and how many gaps a table shows.
const SHOWN_MAX: usize = 20;

/// How many ranges of lost seqs JSON tells.
const TOLD_MAX: usize = 10_000;

/// One table a gateway, and the verdict.
pub(super) fn text(ledger: &Ledger) -> String {
    let mut out = String::new();
    for (key, account) in ledger.accounts() {
        let state = ledger.state_of(&account.name).unwrap_or_default();
        out.push_str(&table([&account.name, state], &rows(key, account)));
        out.push('\n');
    }
    if ledger.foreign > 0 {
        out.push_str(&format!("{} messages on these topics are not Forebay's\n", ledger.foreign));
    }
    if ledger.by_headers > 0 {
        out.push_str(&format!(
            "{} records are told by their headers alone: what they say of quality is not looked at\n",
            ledger.by_headers
        ));
    }
    if ledger.beyond > 0 {
        out.push_str(&format!("{} messages are of more gateways than can be followed; use --gateway\n", ledger.beyond));
    }
    out.push_str(&verdict(ledger));
    out
}

fn verdict(ledger: &Ledger) -> String {
    let sum =
        |of: fn(&Account) -> u64| ledger.accounts().fold(0_u64, |sum, (_, account)| sum.saturating_add(of(account)));
    let (readings, lost, different) = (sum(|a| a.readings), ledger.lost(), sum(|a| a.doubled.different));
    if ledger.is_complete() {
        return format!("complete: {readings} readings, and none is missing that was not declared\n");
    }
    let mut why = Vec::new();
    if readings == 0 {
        why.push("no reading arrived, so nothing is proven: check topic and gateway".to_owned());
    }
    if lost > 0 {
        why.push(format!(
            "{lost} readings are missing and were not declared (the topics must cover all devices and GATEWAY/$gap; look into \
             the gateway's log and `forebay buffer verify`)"
        ));
    }
    if different > 0 {
        why.push(format!(
            "{different} readings came under numbers that others had: two gateways may share an identity"
        ));
    }
    if ledger.beyond > 0 || sum(|account| account.beyond) > 0 {
        why.push("not everything could be followed".to_owned());
    }
    format!("not complete: {}\n", why.join("; "))
}

fn rows(key: &str, account: &Account) -> Vec<[String; 2]> {
    let Account { doubled, order, quality, .. } = account;
    let row = |label: &str, text: String| [label.to_owned(), text];
    let mut rows = Vec::new();
    if *key != *account.name {
        rows.push(row("log", key.to_owned()));
    }
    rows.push(row("readings", format!("{}{}", account.readings, span(account))));
    rows.push(row("lost", format!("{}{}", account.lost(), listed(account.holes().iter().map(range)))));
    let gaps = account.gaps.iter().map(|gap| format!("{} ({}, {})", range(&gap.seqs), gap.count, gap.reason));
    rows.push(row("declared gaps", format!("{}{}", account.gaps.len(), listed(gaps))));
    let repeats = doubled.same + doubled.forgotten;
    let forgotten =
        if doubled.forgotten > 0 { format!(", {} too late to compare", doubled.forgotten) } else { String::new() };
    rows.push(row("repeated", format!("{repeats}{forgotten}")));
    let reused = doubled.reused.iter().map(|(epoch, seq)| format!("epoch {epoch} seq {seq}"));
    rows.push(row("same number, other reading", format!("{}{}", doubled.different, listed(reused))));
    let unfollowed = if order.unfollowed > 0 { format!(", {} not followed", order.unfollowed) } else { String::new() };
    rows.push(row(
        "out of order in a tag",
        format!("{} by seq, {} by time{unfollowed}", order.seq_back, order.time_back),
    ));
    let reasons = listed(quality.reasons.iter().map(|(reason, count)| format!("{reason} {count}")));
    rows.push(row("not good", format!("{} bad, {} uncertain{reasons}", quality.bad, quality.uncertain)));
    rows.push(row("clock unsynchronized", account.unsynchronized.to_string()));
    rows.push(row("reading to arrival", latency(account)));
    rows
}

/// `3-4`, or `6` alone.
fn range(range: &SeqRange) -> String {
    let SeqRange { first, last } = range;
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn span(account: &Account) -> String {
    let Some([(first_epoch, first), (last_epoch, last)]) = account.span else { return String::new() };
    let from = account.counted_from().filter(|from| *from != first);
    let from = from.map(|from| format!(", counted from seq {from}")).unwrap_or_default();
    format!(", epoch {first_epoch} seq {first} to epoch {last_epoch} seq {last}{from}")
}

/// `: a, b, c and 7 more`
fn listed(all: impl ExactSizeIterator<Item = String>) -> String {
    let count = all.len();
    let shown: Vec<String> = all.take(SHOWN_MAX).collect();
    match (count, count.saturating_sub(SHOWN_MAX)) {
        (0, _) => String::new(),
        (_, 0) => format!(": {}", shown.join(", ")),
        (_, more) => format!(": {} and {more} more", shown.join(", ")),
    }
}

fn latency(account: &Account) -> String {
    let ahead = match account.latency.ahead {
        0 => String::new(),
        ahead => format!("; {ahead} readings bear a time later than their arrival: the clocks do not agree"),
    };
    match account.latency.percentiles() {
        None => format!("not known{ahead}"),
        Some(Percentiles { p50_ms, p99_ms, max_ms }) => {
            format!("p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms, if both clocks agree{ahead}")
        }
    }
}

/// The same for machines.
pub(super) fn json(ledger: &Ledger) -> Value {
    let gateways: Vec<Value> = ledger.accounts().map(|(key, account)| gateway(ledger, key, account)).collect();
    let (foreign, beyond) = (ledger.foreign, ledger.beyond);
    json!({ "complete": ledger.is_complete(), "gateways": gateways, "foreign_messages": foreign, "unfollowed_messages": beyond, "by_headers": ledger.by_headers })
}

fn gateway(ledger: &Ledger, key: &str, account: &Account) -> Value {
    let Account { doubled, order, quality, latency, .. } = account;
    let place = |place: (u32, Seq)| json!({ "epoch": place.0, "seq": place.1 });
    let ranges: Vec<Value> =
        account.holes().iter().take(TOLD_MAX).map(|hole| json!({ "first": hole.first, "last": hole.last })).collect();
    let gaps = account.gaps.iter();
    let gaps: Vec<Value> = gaps
        .map(
            |gap| json!({ "first": gap.seqs.first, "last": gap.seqs.last, "count": gap.count, "reason": &*gap.reason }),
        )
        .collect();
    let reasons: serde_json::Map<String, Value> =
        quality.reasons.iter().map(|(reason, count)| (reason.to_string(), json!(count))).collect();
    let ms = latency.percentiles();
    json!({
        "gateway": &*account.name,
        "log": key,
        "state": ledger.state_of(&account.name),
        "complete": account.is_complete(),
        "readings": account.readings,
        "first": account.span.map(|[first, _]| place(first)),
        "last": account.span.map(|[_, last]| place(last)),
        "counted_from_seq": account.counted_from(),
        "lost": account.lost(),
        "lost_ranges": ranges,
        "declared_gaps": gaps,
        "doubled": {
            "same": doubled.same, "different": doubled.different, "not_compared": doubled.forgotten,
            "different_at": doubled.reused.iter().map(|reused| place(*reused)).collect::<Vec<Value>>(),
        },
        "out_of_order": { "seq": order.seq_back, "time": order.time_back, "not_followed": order.unfollowed },
        "quality": { "bad": quality.bad, "uncertain": quality.uncertain, "reasons": reasons },
        "unsynchronized": account.unsynchronized,
        "unfollowed": account.beyond,
        "latency_ms": ms.map(|ms| json!({ "p50": ms.p50_ms, "p99": ms.p99_ms, "max": ms.max_ms })),
        "ahead_of_arrival": latency.ahead,
    })
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Of;
    use super::*;
    use crate::uplink::mqtt::subscriber::Arrived;

    fn ledger(seqs: &[(u64, u64)]) -> Ledger {
        let mut ledger = Ledger::new(Of::All);
        for (seq, value) in seqs {
            let reading = json!({ "time": "2026-11-23T02:28:33.123456Z", "tag": "t", "value": value, "quality": "good", "seq": seq });
            let batch = json!({ "gateway": "a", "device": "d", "epoch": 7, "readings": [reading] });
            let payload = batch.to_string().into_bytes();
            ledger.take(&Arrived { topic: "x".into(), payload, ..Arrived::default() }, 1_795_400_913_223_456_000);
        }
        ledger
    }

    #[test]
    fn a_loss_is_named_with_its_range() {
        let ledger = ledger(&[(1, 0), (2, 0), (5, 0), (7, 0), (7, 1)]);
        let text = text(&ledger);
        for part in
            ["3: 3-4, 6", "epoch 7 seq 1 to epoch 7 seq 7", "1: epoch 7 seq 7", "3 readings are missing", "p50 100"]
        {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        let json = json(&ledger);
        assert_eq!(json["gateways"][0]["lost_ranges"], json!([{ "first": 3, "last": 4 }, { "first": 6, "last": 6 }]));
        assert_eq!((&json["complete"], &json["gateways"][0]["doubled"]["different"]), (&json!(false), &json!(1)));
    }

    #[test]
    fn what_is_whole_is_called_complete_and_nothing_is_not() {
        assert!(text(&ledger(&[(1, 0), (2, 0)])).contains("complete: 2 readings"));
        assert!(text(&ledger(&[])).starts_with("not complete: no reading arrived"));
    }

    #[test]
    fn long_lists_are_cut() {
        let seqs: Vec<(u64, u64)> = (0..=30).map(|number| (number * 2, 0)).collect();
        assert!(text(&ledger(&seqs)).contains(" and 10 more"));
    }
}
