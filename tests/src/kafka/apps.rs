//! What others build on Kafka, run beside a cluster: a program of Kafka Streams, and Kafka Connect with its file sink.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::Kafka;
use crate::field::free_port;
use crate::gateway::Running;
use crate::need;

/// Kafka Connect that writes each record of some topics as a line into a file; ended when dropped.
pub struct Sink {
    process: Running,
    file: PathBuf,
    log: PathBuf,
}

impl Kafka {
    /// What a program of Kafka Streams finds in the first `count` records of a topic: one line a key. `None` where Kafka
    /// Streams is not installed.
    pub fn streams(&self, topic: &str, count: usize) -> Option<Vec<Value>> {
        let folder = self.folder.path().join("streams");
        let mut command = self.app()?;
        command.arg(need::root().join("tests/far/ReadingsByKey.java"));
        command.args([&self.bootstrap(), topic, &count.to_string()]).arg(folder);
        let output = command.output().expect("Java");
        super::succeeded(&output);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        // Loggers write there, too.
        let lines = text.lines().filter(|line| line.starts_with('{'));
        Some(lines.map(|line| serde_json::from_str(line).expect("a JSON line")).collect())
    }

    /// Kafka Connect, with its own converter of JSON; `None` where it is not installed.
    pub fn connect(&self, topics: &[&str]) -> Option<Sink> {
        let path = |name: &str| self.folder.path().join(name);
        let (worker, connector, file, log) =
            (path("worker.properties"), path("sink.properties"), path("sink.txt"), path("connect.log"));
        let text = format!(
            "bootstrap.servers={}\nkey.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false\n\
             offset.storage.file.filename={}\nplugin.discovery=service_load\nlisteners=HTTP://127.0.0.1:{}\n",
            self.bootstrap(),
            path("connect.offsets").display(),
            free_port()
        );
        fs::write(&worker, text).expect("the worker's file can be written");
        let text = format!(
            "name=sink\nconnector.class=FileStreamSink\ntasks.max=1\ntopics={}\nfile={}\n",
            topics.join(","),
            file.display()
        );
        fs::write(&connector, text).expect("the connector's file can be written");
        let mut command = self.app()?;
        command.arg("org.apache.kafka.connect.cli.ConnectStandalone").arg(worker).arg(connector);
        Some(Sink { process: Running::start(&mut command, &log), file, log })
    }

    fn app(&self) -> Option<Command> {
        Some(self.jvm(&need::kafka_apps()?, 0))
    }
}

impl Sink {
    /// What it has written so far.
    pub fn lines(&mut self) -> Vec<String> {
        let ended = self.process.0.try_wait().expect("the process is ours");
        assert!(ended.is_none(), "Kafka Connect ended: {}", fs::read_to_string(&self.log).unwrap_or_default());
        let Ok(file) = File::open(&self.file) else { return Vec::new() };
        let text = std::io::read_to_string(file).expect("UTF-8");
        // The last line may be half there.
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }
}
