//! The figures in Prometheus' text format, version 0.0.4. No I/O.
//!
//! Names are `forebay_<part>_<what>_<unit>[_total]`, labels `device`, `group`, `line`, `uplink`, `class`, `reason`,
//! `result`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use buffer::{Class, GapReason, Stats};

use crate::pipeline::command::Outcome;
use crate::pipeline::forward::counters::Counters;
use crate::pipeline::health::GroupHealth;
use crate::pipeline::lateness::BOUNDS_US;
use crate::pipeline::vitals::{LogState, UplinkVitals, Vitals, count, is};
use crate::reload::Reload;

/// All figures.
pub(super) fn text(vitals: &Vitals, log: &LogState) -> String {
    let mut page = Page::default();
    page.gauge("forebay_uptime_seconds", "Time since the gateway was started.");
    page.sample(&[], vitals.since.elapsed().as_secs());
    page.gauge("forebay_build_info", "The version that runs; always 1.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], true);
    page.gauge("forebay_ready", "Whether readings flow; /readyz has the reasons.");
    page.sample(&[], vitals.unready().is_empty());
    page.gauge("forebay_tags", "Tags of the configuration.");
    page.sample(&[], vitals.tags.live_len() as u64);
    configuration(vitals, &mut page);
    devices(vitals, &mut page);
    buffer(vitals, log, &mut page);
    uplinks(&vitals.uplinks, &mut page);
    commands(vitals, &mut page);
    page.text
}

fn configuration(vitals: &Vitals, page: &mut Page) {
    let Some(state) = vitals.reload.as_ref().map(Reload::state) else { return };
    page.gauge("forebay_configuration_valid", "Whether the configuration file is the one that runs, or could be.");
    page.sample(&[], state.error.is_none());
    page.counter("forebay_configuration_changes_total", "Changes that were applied since the start.");
    page.sample(&[], state.generation);
}

fn devices(vitals: &Vitals, page: &mut Page) {
    let lines = || vitals.lines.iter().zip(&vitals.health.lines);
    let devices = || {
        lines().flat_map(|(names, line)| {
            names.devices.iter().zip(&line.devices).map(move |(name, device)| (&**name, line, device))
        })
    };
    page.gauge("forebay_device_up", "Whether the device is connected and answers.");
    devices().for_each(|(name, line, device)| {
        page.sample(&[("device", name)], is(&line.connected) && !is(&device.suspended));
    });
    page.counter("forebay_device_silent_polls_total", "Polls that the device did not answer.");
    devices().for_each(|(name, _, device)| page.sample(&[("device", name)], count(&device.silent)));
    let mut late = [0; BOUNDS_US.len() + 1];
    vitals.health.lines.iter().for_each(|line| line.late.add_to(&mut late));
    let late_us = devices().flat_map(|(_, _, device)| device.groups.iter()).map(|group| count(&group.late_us)).sum();
    page.histogram("forebay_poll_late_seconds", "How late polls began, over all devices.", &late, late_us);
    page.gauge("forebay_device_answered_age_seconds", "How long ago the device answered last.");
    devices().for_each(|(name, line, device)| {
        if let Some(age) = line.since_answer(device, Instant::now()) {
            page.sample(&[("device", name)], age.as_secs_f64());
        }
    });
    groups(vitals, page);
    page.gauge("forebay_line_connected", "Whether the line has a connection.");
    lines().for_each(|(names, line)| page.sample(&[("line", &names.name)], is(&line.connected)));
    page.counter("forebay_line_connects_total", "Connections that were made.");
    lines().for_each(|(names, line)| page.sample(&[("line", &names.name)], count(&line.connects)));
    page.counter("forebay_line_panics_total", "Times that the line's driver failed and was made anew.");
    lines().for_each(|(names, line)| page.sample(&[("line", &names.name)], count(&line.panics)));
}

/// A group is the tags of a device that are polled at one interval; its name is that interval.
fn groups(vitals: &Vitals, page: &mut Page) {
    type Family = (&'static str, &'static str, fn(&GroupHealth) -> f64);
    const COUNTERS: [Family; 4] = [
        ("forebay_device_polls_total", "Polls of the device, by the interval of the group.", |group| {
            count(&group.polls) as f64
        }),
        ("forebay_device_missed_cycles_total", "Cycles that passed because an earlier poll took too long.", |group| {
            count(&group.missed) as f64
        }),
        ("forebay_device_late_seconds_total", "How late polls began, added up.", |group| {
            count(&group.late_us) as f64 / 1e6
        }),
        ("forebay_device_poll_seconds_total", "How long polls took, added up.", |group| {
            count(&group.poll_us) as f64 / 1e6
        }),
    ];
    let devices = vitals.lines.iter().zip(&vitals.health.lines).flat_map(|(names, line)| {
        names
            .devices
            .iter()
            .zip(&names.groups)
            .zip(&line.devices)
            .map(|((name, groups), device)| (name, groups, device))
    });
    let groups: Vec<(&str, String, Duration, &GroupHealth)> = devices
        .flat_map(|(name, groups, device)| {
            let health = groups.iter().zip(&device.groups);
            health.map(move |(every, group)| (&**name, format!("{every:?}"), *every, group))
        })
        .collect();
    for (name, help, read) in COUNTERS {
        page.counter(name, help);
        groups.iter().for_each(|(device, label, _, group)| {
            page.sample(&[("device", device), ("group", label)], read(group));
        });
    }
    page.gauge("forebay_device_interval_seconds", "How often the group is polled.");
    groups.iter().for_each(|(device, label, every, _)| {
        page.sample(&[("device", device), ("group", label)], every.as_secs_f64());
    });
}

fn buffer(vitals: &Vitals, log: &LogState, page: &mut Page) {
    let progress = vitals.log.progress();
    page.gauge("forebay_buffer_writable", "Whether the buffer takes readings.");
    page.sample(&[], !is(&progress.failing));
    page.counter("forebay_buffer_accepted_readings_total", "Readings that were stored.");
    page.sample(&[], count(&progress.accepted));
    page.counter("forebay_buffer_lost_readings_total", "Readings that were lost, by reason.");
    page.sample(&[("reason", "not-stored")], count(&progress.lost));
    let Some(stats) = &log.stats else { return };
    GapReason::ALL.iter().for_each(|reason| page.sample(&[("reason", reason.name())], stats.lost_records(*reason)));
    page.gauge("forebay_buffer_disk_bytes", "What the buffer takes on disk, by class.");
    Class::ALL.iter().for_each(|class| page.sample(&[("class", class.name())], stats.class(*class).disk_bytes));
    page.gauge("forebay_buffer_size_max_bytes", "What the buffer may take on disk.");
    page.sample(&[], vitals.buffer_bytes_max);
    page.counter("forebay_buffer_stored_readings_total", "Readings that were stored, by class.");
    Class::ALL.iter().for_each(|class| page.sample(&[("class", class.name())], stats.class(*class).records_total));
    page.counter(
        "forebay_buffer_given_up_readings_total",
        "Readings that were given up, by class as far as it is known.",
    );
    Class::ALL.iter().for_each(|class| page.sample(&[("class", class.name())], stats.class(*class).lost_records_total));
    page.gauge("forebay_buffer_segments", "Files of the buffer.");
    page.sample(&[], stats.segments);
    page.gauge("forebay_buffer_memory_bytes", "Bytes of blocks that are held in memory.");
    page.sample(&[], stats.memory_bytes);
    page.gauge("forebay_buffer_oldest_age_seconds", "How old the oldest reading in the buffer is.");
    page.sample(&[], log.oldest_ns.unwrap_or(0) as f64 / 1e9);
    disk(stats, page);
}

fn disk(stats: &Stats, page: &mut Page) {
    page.gauge("forebay_buffer_unsynced_bytes", "Bytes that a power cut would take.");
    page.sample(&[], stats.unsynced_bytes);
    page.counter("forebay_buffer_written_bytes_total", "Bytes that were handed to the disk.");
    page.sample(&[], stats.written_bytes_total);
    page.counter("forebay_buffer_device_bytes_total", "Bytes of the pages that syncs took to the device: its wear.");
    page.sample(&[], stats.device_bytes_total);
    page.counter("forebay_buffer_payload_bytes_total", "Bytes of readings, encoded, that were stored.");
    page.sample(&[], stats.payload_bytes_total);
    page.counter("forebay_buffer_replaced_bytes_total", "Bytes of files whose blocks were packed anew.");
    page.sample(&[], stats.replaced_bytes_total);
    page.counter("forebay_buffer_replacing_bytes_total", "Bytes of the files that took their place.");
    page.sample(&[], stats.replacing_bytes_total);
    page.counter("forebay_buffer_syncs_total", "Syncs that succeeded.");
    page.sample(&[], stats.syncs_total);
    page.counter("forebay_buffer_sync_failures_total", "Syncs that failed.");
    page.sample(&[], stats.sync_failures_total);
}

/// Name, help, what is read.
type Family = (&'static str, &'static str, fn(&Counters) -> u64);

const UPLINK_COUNTERS: [Family; 14] = [
    ("forebay_uplink_replayed_readings_total", "Readings that were sent once more by `forebay buffer replay`.", |c| {
        count(&c.replayed_records)
    }),
    ("forebay_uplink_sent_messages_total", "Messages that were sent, repeats included.", |c| count(&c.sent)),
    ("forebay_uplink_acknowledged_messages_total", "Messages that the far side acknowledged.", |c| {
        count(&c.acknowledged)
    }),
    ("forebay_uplink_unexpected_answers_total", "Answers that nobody waited for.", |c| count(&c.unknown)),
    ("forebay_uplink_delivered_readings_total", "Readings that the far side has.", |c| count(&c.delivered_records)),
    ("forebay_uplink_refused_messages_total", "Refusals by the far side.", |c| count(&c.refused)),
    ("forebay_uplink_quarantined_messages_total", "Messages that were set aside.", |c| count(&c.set_aside)),
    ("forebay_uplink_connects_total", "Tries to connect.", |c| count(&c.connects)),
    ("forebay_uplink_losses_total", "Connections that were lost.", |c| count(&c.losses)),
    ("forebay_uplink_sent_bytes_total", "Bytes to the far side.", |c| count(&c.sent_bytes)),
    ("forebay_uplink_received_bytes_total", "Bytes from the far side.", |c| count(&c.received_bytes)),
    (
        "forebay_uplink_perhaps_doubled_messages_total",
        "Messages delivered at least once where exactly once is promised.",
        |c| count(&c.perhaps_doubled),
    ),
    ("forebay_uplink_tail_reads_total", "Times that it was read at the far side what has arrived.", |c| {
        count(&c.tails_read)
    }),
    ("forebay_uplink_topics_made_anew_total", "Times that a topic was found to have been made anew.", |c| {
        count(&c.made_anew)
    }),
];

const UPLINK_GAUGES: [Family; 6] = [
    ("forebay_uplink_connected", "Whether there is a connection.", |c| is(&c.connected).into()),
    ("forebay_uplink_lag_readings", "Readings that the far side does not have yet.", |c| count(&c.lag_records)),
    ("forebay_uplink_history_share_percent", "The share of the time that a backlog takes behind what is live.", |c| {
        count(&c.history_share_percent)
    }),
    ("forebay_uplink_history_bytes_per_second", "What the far side took of a backlog when last measured.", |c| {
        count(&c.history_throughput)
    }),
    ("forebay_uplink_replay_left_readings", "Readings of the log that the replay that runs has before it.", |c| {
        count(&c.replay_left)
    }),
    ("forebay_uplink_in_flight_messages", "Messages that wait for their acknowledgement.", |c| count(&c.in_flight)),
];

fn uplinks(uplinks: &[UplinkVitals], page: &mut Page) {
    for (name, help, read) in UPLINK_COUNTERS {
        page.counter(name, help);
        uplinks.iter().for_each(|uplink| page.sample(&[("uplink", &uplink.name)], read(&uplink.counters)));
    }
    for (name, help, read) in UPLINK_GAUGES {
        page.gauge(name, help);
        uplinks.iter().for_each(|uplink| page.sample(&[("uplink", &uplink.name)], read(&uplink.counters)));
    }
}

fn commands(vitals: &Vitals, page: &mut Page) {
    page.counter("forebay_commands_total", "Commands by what became of them.");
    for counted in vitals.desk.tally().counts() {
        let reason = if let Outcome::Refused(why) = counted.outcome { why.name() } else { "" };
        page.sample(&[("result", counted.outcome.name()), ("reason", reason)], counted.count);
    }
}

/// What is written so far, and which family the next samples belong to.
#[derive(Default)]
struct Page {
    text: String,
    name: &'static str,
}

/// A number as the format wants it.
trait Figure {
    fn write(&self, text: &mut String);
}

impl Figure for u64 {
    fn write(&self, text: &mut String) {
        text.push_str(itoa::Buffer::new().format(*self));
    }
}

impl Figure for f64 {
    fn write(&self, text: &mut String) {
        write!(text, "{self}").expect("a String takes everything");
    }
}

impl Figure for bool {
    fn write(&self, text: &mut String) {
        text.push(if *self { '1' } else { '0' });
    }
}

impl Page {
    fn counter(&mut self, name: &'static str, help: &str) {
        self.family(name, "counter", help);
    }

    fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(name, "gauge", help);
    }

    /// Counts by the bounds of lateness, each without those of smaller bounds; the format wants them added up.
    fn histogram(&mut self, name: &'static str, help: &str, counts: &[u64], sum_us: u64) {
        self.family(name, "histogram", help);
        let mut total = 0;
        for (index, count) in counts.iter().enumerate() {
            total += count;
            let bound = BOUNDS_US.get(index).map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
            writeln!(self.text, "{name}_bucket{{le=\"{bound}\"}} {total}").expect("a String takes everything");
        }
        let sum = sum_us as f64 / 1e6;
        writeln!(self.text, "{name}_sum {sum}\n{name}_count {total}").expect("a String takes everything");
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a String takes everything");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Figure) {
        self.text.push_str(self.name);
        let given = labels.iter().filter(|(_, text)| !text.is_empty());
        for (index, (label, text)) in given.clone().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            text.chars().for_each(|character| match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            });
            self.text.push('"');
        }
        if given.count() > 0 {
            self.text.push('}');
        }
        self.text.push(' ');
        value.write(&mut self.text);
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up() {
        let mut page = Page::default();
        let mut counts = [0; BOUNDS_US.len() + 1];
        (counts[0], counts[5], counts[12]) = (3, 2, 1);
        page.histogram("forebay_x_seconds", "How late.", &counts, 2_500_000);
        for line in [
            "# TYPE forebay_x_seconds histogram",
            "forebay_x_seconds_bucket{le=\"0.00005\"} 3",
            "forebay_x_seconds_bucket{le=\"0.0005\"} 3",
            "forebay_x_seconds_bucket{le=\"0.001\"} 5",
            "forebay_x_seconds_bucket{le=\"+Inf\"} 6",
            "forebay_x_seconds_sum 2.5",
            "forebay_x_seconds_count 6",
        ] {
            assert!(page.text.lines().any(|found| found == line), "{line} is missing in\n{}", page.text);
        }
    }

    #[test]
    fn samples_are_written_as_the_format_wants_them() {
        let mut page = Page::default();
        page.gauge("forebay_x_seconds", "How long.");
        page.sample(&[], 1.5);
        page.sample(&[("device", "a\"b\\c\nd"), ("reason", "")], true);
        page.sample(&[("a", "1"), ("b", "2")], 7_u64);
        assert_eq!(
            page.text,
            "# HELP forebay_x_seconds How long.\n# TYPE forebay_x_seconds gauge\nforebay_x_seconds 1.5\n\
             forebay_x_seconds{device=\"a\\\"b\\\\c\\nd\"} 1\nforebay_x_seconds{a=\"1\",b=\"2\"} 7\n"
        );
    }
}
