//! `forebay plan FILE`: what each cycle asks of the devices, the lines and the uplinks.

mod volume;
mod wear;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use driver_core::{GroupId, Line, PlannedRequest};
use serde_json::json;

use self::volume::Volume;
use super::Exit;
use super::stdout::print;
use crate::config::{self, Checked, LineConfig};

/// A line that is busy for longer than this share of its time has no room for retries and writes.
const LOAD_WARN: f64 = 0.8;

/// Print the requests of each cycle, the load of each line, and the volume of a day.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The gateway's file
    #[arg(default_value = "gateway.yaml")]
    file: PathBuf,
    /// Print every request
    #[arg(long)]
    requests: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let Checked { config, lines, .. } = match config::read(&args.file) {
        Ok(checked) => checked,
        Err(unusable) => {
            eprint!("{unusable}");
            return Exit::Configuration;
        }
    };
    let lines: Vec<LinePlan> = config.lines.iter().zip(lines).map(|(spec, line)| plan_line(spec, line)).collect();
    let volume = Volume::of(&config, &lines);
    if args.json {
        print_json(&lines, &volume);
    } else {
        print(&text(args, &lines, &volume));
    }
    for line in lines.iter().filter(|line| line.load() > LOAD_WARN) {
        eprintln!("{}", line.overload());
    }
    if lines.iter().any(LinePlan::is_impossible) { Exit::Configuration } else { Exit::Success }
}

/// One line with its devices' plans.
struct LinePlan {
    name: String,
    url: String,
    /// Whether the wire itself sets the pace, so that the estimate is a bound.
    serial: bool,
    devices: Vec<DevicePlan>,
    line: Box<dyn Line>,
}

struct DevicePlan {
    name: String,
    groups: Vec<GroupPlan>,
}

/// What one cycle of a poll group costs.
struct GroupPlan {
    every: Duration,
    tags: usize,
    requests: Vec<PlannedRequest>,
}

impl GroupPlan {
    fn time(&self) -> Duration {
        self.requests.iter().map(|request| request.time).sum()
    }

    /// The share of the line's time.
    fn load(&self) -> f64 {
        self.time().as_secs_f64() / self.every.as_secs_f64()
    }
}

impl LinePlan {
    fn load(&self) -> f64 {
        self.devices.iter().flat_map(|device| &device.groups).map(GroupPlan::load).sum()
    }

    fn is_impossible(&self) -> bool {
        self.serial && self.load() > 1.0
    }

    fn overload(&self) -> String {
        let percent = self.load() * 100.0;
        if self.is_impossible() {
            format!(
                "{}: the line would have to be busy for {percent:.0} % of the time: it cannot keep its intervals. Raise \
                 `every`, raise the baud rate, or split the bus",
                self.name
            )
        } else {
            format!(
                "{}: the line is busy for about {percent:.0} % of the time; little is left for retries and writes",
                self.name
            )
        }
    }
}

fn plan_line(config: &LineConfig, line: Box<dyn Line>) -> LinePlan {
    let devices = config.spec.devices.iter().enumerate().map(|(index, device)| {
        let plan = line.plan(index);
        let group = |(number, every): (u16, &Duration)| GroupPlan {
            every: *every,
            tags: device.tags.iter().filter(|tag| tag.group == GroupId(number)).count(),
            requests: plan.requests.iter().filter(|request| request.group == GroupId(number)).cloned().collect(),
        };
        DevicePlan { name: device.name.to_string(), groups: (0..).zip(&device.groups).map(group).collect() }
    });
    LinePlan {
        name: config.name.to_string(),
        url: config.spec.url.to_string(),
        serial: config.spec.url.host().is_empty(),
        devices: devices.collect(),
        line,
    }
}

fn text(args: &Args, lines: &[LinePlan], volume: &Volume) -> String {
    let mut out = String::new();
    for line in lines {
        writeln!(out, "{} {}: busy for about {:.1} % of the time", line.name, line.url, line.load() * 100.0)
            .expect("a String takes everything");
        for device in &line.devices {
            device.groups.iter().for_each(|group| write_group(args, device, group, &mut out));
        }
    }
    out.push_str(&volume.to_string());
    out
}

fn write_group(args: &Args, device: &DevicePlan, group: &GroupPlan, out: &mut String) {
    let bytes: usize = group.requests.iter().map(|request| request.wire_bytes).sum();
    writeln!(
        out,
        "  {}: every {:?}, {} in {}, {bytes} bytes on the wire, about {:.1?}",
        device.name,
        group.every,
        counted(group.tags, "tag"),
        counted(group.requests.len(), "request"),
        group.time()
    )
    .expect("a String takes everything");
    if args.requests {
        for request in &group.requests {
            writeln!(out, "    {}: {}", request.text, counted(request.tags, "tag")).expect("a String takes everything");
        }
    }
}

fn print_json(lines: &[LinePlan], volume: &Volume) {
    let request = |request: &PlannedRequest| {
        json!({
            "request": request.text,
            "tags": request.tags,
            "wire_bytes": request.wire_bytes,
            "time_ms": request.time.as_secs_f64() * 1e3,
        })
    };
    let group = |group: &GroupPlan| {
        json!({
            "every_s": group.every.as_secs_f64(),
            "tags": group.tags,
            "time_ms": group.time().as_secs_f64() * 1e3,
            "requests": group.requests.iter().map(request).collect::<Vec<_>>(),
        })
    };
    let device = |device: &DevicePlan| json!({ "device": device.name, "groups": device.groups.iter().map(group).collect::<Vec<_>>() });
    let line = |line: &LinePlan| {
        json!({
            "line": line.name,
            "url": line.url,
            "load": line.load(),
            "devices": line.devices.iter().map(device).collect::<Vec<_>>(),
        })
    };
    let plan = json!({ "lines": lines.iter().map(line).collect::<Vec<_>>(), "day": volume.json() });
    print(&format!("{plan:#}\n"));
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// How many cycles a day has.
fn cycles_a_day(group: &GroupPlan) -> f64 {
    86_400.0 / group.every.as_secs_f64()
}
