//! The driver's own sample, simulated: every line of it works as it stands.

use std::process::{Command, Stdio};

use tests::field::Field;
use tests::gateway::{Running, binary};
use tests::site::Site;
use tests::wait;

use super::good;
use crate::rig::embedded;

/// The devices and tags of a gateway file, by their indentation.
fn tags(yaml: &str) -> Vec<(String, String)> {
    let (mut tags, mut device) = (Vec::new(), String::new());
    for line in yaml.lines().skip_while(|line| *line != "devices:").skip(1).take_while(|line| *line != "uplinks:") {
        let indent = line.len() - line.trim_start().len();
        let name = line.split(':').next().unwrap_or_default().trim().to_owned();
        match indent {
            2 => device = name,
            6 => tags.push((device.clone(), name)),
            _ => {}
        }
    }
    tags
}

#[test]
fn every_tag_of_the_sample_is_good_on_its_simulator() {
    let field = Field::new();
    let (_broker, uplink, recorder) = embedded(&field);
    let site = Site::new("");
    let sample = site.forebay(&["sample", "s7"]);
    let sample = String::from_utf8(sample.stdout).expect("UTF-8").replace("mqtts://broker.example:8883", &uplink);
    let sample = sample.replace("topic: \"{gateway}/{device}/{tag}\"", "topic: \"readings/{gateway}/{device}\"");
    site.write(&sample);
    let mut command = Command::new(binary());
    command.args(["sim", "gateway.yaml", "--output", "simulated.yaml"]).current_dir(site.folder());
    let sim = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary can be started");
    let _sim = Running(sim);
    let simulated = wait::until("the file with loopback URLs", wait::SOON, || {
        std::fs::read_to_string(site.folder().join("simulated.yaml")).ok().filter(|text| text.contains("uplinks:"))
    });
    site.write(&simulated);
    let gateway = site.start();
    let tags = tags(&simulated);
    assert!(tags.len() > 10, "{tags:?}");
    tags.iter().for_each(|(device, tag)| good(&recorder, device, tag));
    drop(gateway);
}
