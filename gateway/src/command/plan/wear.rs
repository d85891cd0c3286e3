//! What a day's readings have a card or a disk bear, and for how long it does so.
//!
//! What is made durable goes as whole pages, and a file system writes its journal with each sync. That is most of what a
//! slow stream costs, so the number of syncs counts, and not the size of what is kept.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use super::volume::size;
use crate::pipeline::store::SyncPolicy;

/// What ext4 writes beside the data of each sync: so much as measured with one a second, and two thirds of it with ten.
const SYNC_BYTES: f64 = 32_768.0;

/// What the log's own heads and indexes add to a byte of its blocks, as measured.
const BACKLOG_BYTES_A_BYTE: f64 = 1.015;

/// What reaches the device of each byte while every uplink acknowledges in time: most is delivered before it is written.
const ONLINE_BYTES_A_BYTE: f64 = 0.39;

/// The log is written to at most so often.
const FLUSHES_A_DAY_MAX: f64 = 864_000.0;

const DAY: Duration = Duration::from_secs(86_400);

/// The card that lives are told of: 32 GB of cells that bear a thousand rewrites.
const CARD_BYTES: f64 = 32e9;
const CARD_REWRITES: f64 = 1_000.0;

/// A life of this many years is told as more than that: other parts of the box end sooner.
const YEARS_MAX: f64 = 100.0;

/// Bytes a day to the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wear {
    /// While every uplink acknowledges within the sync interval.
    online_bytes: f64,
    /// While one of them is away.
    outage_bytes: f64,
}

impl Wear {
    /// Of so many bytes a day in the log, appended in so many goes.
    pub(super) fn of(log_bytes: f64, cycles_a_day: f64, policy: SyncPolicy) -> Wear {
        let flushes = cycles_a_day.min(FLUSHES_A_DAY_MAX);
        let always = log_bytes * BACKLOG_BYTES_A_BYTE + flushes * SYNC_BYTES;
        match policy {
            SyncPolicy::Always => Wear { online_bytes: always, outage_bytes: always },
            SyncPolicy::Every(interval) => {
                let syncs = flushes.min(DAY.as_secs_f64() / interval.as_secs_f64());
                let outage_bytes = log_bytes * BACKLOG_BYTES_A_BYTE + syncs * SYNC_BYTES;
                Wear { online_bytes: log_bytes * ONLINE_BYTES_A_BYTE, outage_bytes }
            }
        }
    }

    pub(super) fn json(self) -> serde_json::Value {
        json!({
            "online_bytes": self.online_bytes,
            "outage_bytes": self.outage_bytes,
            "card_years_online": years(self.online_bytes),
            "card_years_outage": years(self.outage_bytes),
        })
    }
}

/// How long the card lives at so many bytes a day.
fn years(bytes_a_day: f64) -> f64 {
    CARD_BYTES * CARD_REWRITES / bytes_a_day / 365.25
}

impl fmt::Display for Wear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let life = |bytes| match years(bytes) {
            years if years > YEARS_MAX => format!("more than {YEARS_MAX:.0} years"),
            years => format!("{years:.1} years"),
        };
        let [online, outage] = [self.online_bytes, self.outage_bytes];
        writeln!(
            f,
            "  to the disk: about {} while every uplink keeps up, {} in an outage",
            size(online),
            size(outage)
        )?;
        let (gigabytes, rewrites) = (CARD_BYTES / 1e9, CARD_REWRITES);
        writeln!(
            f,
            "  a card of {gigabytes:.0} GB that bears {rewrites} rewrites lives for {}; for {} of nothing but outage",
            life(online),
            life(outage)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 KB a second in blocks ten times a second, as it was measured on a loop device: 2.6 bytes a byte with a sync each
    /// second, 10 to 12 with one each 100 ms.
    #[test]
    fn what_is_told_of_an_outage_is_no_less_than_what_was_measured() {
        let (log_bytes, cycles) = (20_000.0 * 86_400.0, 864_000.0);
        let ratio = |policy| Wear::of(log_bytes, cycles, policy).outage_bytes / log_bytes;
        let second = ratio(SyncPolicy::Every(Duration::from_secs(1)));
        assert!((2.4..2.9).contains(&second), "{second}");
        let tenth = ratio(SyncPolicy::Every(Duration::from_millis(100)));
        assert!((10.0..18.0).contains(&tenth), "{tenth}");
        assert_eq!(ratio(SyncPolicy::Always), tenth, "ten appends a second");
    }

    #[test]
    fn nothing_is_synced_more_often_than_it_is_written() {
        let once_a_minute = Wear::of(1e6, 1_440.0, SyncPolicy::Every(Duration::from_secs(1)));
        assert_eq!(once_a_minute.outage_bytes, 1_015_000.0 + 1_440.0 * SYNC_BYTES);
        assert!(once_a_minute.online_bytes < 1e6);
    }

    #[test]
    fn the_life_of_a_card_is_told_in_years() {
        let wear = Wear { online_bytes: 1e6, outage_bytes: 10e9 };
        let text = wear.to_string();
        assert!(
            text.contains("to the disk: about 1.0 MB while every uplink keeps up, 10.0 GB in an outage\n"),
            "{text}"
        );
        assert!(text.contains("lives for more than 100 years; for 8.8 years of nothing but outage"), "{text}");
    }
}
