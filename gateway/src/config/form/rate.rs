//! How many in a time.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Scalar, Word};
use crate::config::fault::Complaint;
use crate::pipeline::command::rule::Rate;

/// A count in a time, such as `10/s`.
pub(in crate::config) struct PerTime;

const COUNT_MAX: u32 = 1_000;

const TIMES: [(&str, u64); 5] = [("s", 1), ("min", 60), ("m", 60), ("h", 3_600), ("d", 86_400)];

impl<'t> Scalar<'t> for PerTime {
    type Value = Rate;

    fn parse(&self, word: Word<'t>) -> Result<Rate, Complaint> {
        let rate = word.text.split_once('/').and_then(|(count, time)| {
            let count: u32 = count.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count))?;
            let (_, seconds) = TIMES.iter().find(|(name, _)| *name == time)?;
            Some(Rate { count, per: Duration::from_secs(*seconds) })
        });
        rate.ok_or_else(|| {
            let help = format!("write {}, with a count from 1 to {COUNT_MAX}", Scalar::expected(self));
            Complaint::new(format!("`{}` is no rate", word.text), help)
        })
    }

    fn expected(&self) -> String {
        "a rate such as 10/s, 6/min or 2/h".into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(/s|/min|/m|/h|/d)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_count_and_a_time() {
        let rate = |text| PerTime.parse(Word::plain(text)).map(|rate| (rate.count, rate.per.as_secs()));
        assert_eq!(rate("10/s"), Ok((10, 1)));
        assert_eq!(rate("6/min"), Ok((6, 60)));
        for text in ["10", "0/s", "1001/s", "1/week", "/s", "-1/s", "1.5/s", ""] {
            assert!(rate(text).is_err_and(|wrong| wrong.help.contains("10/s")), "{text}");
        }
    }
}
