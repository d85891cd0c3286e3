//! Apache Kafka as processes: one broker, or three that replicate, on free ports of the loopback (KRaft, broker and
//! controller in one process each; [`OLDEST`] with a ZooKeeper, beside which its KRaft was a preview).
//!
//! A broker has three listeners: plain, SASL in plain text, and TLS where certificates are given.

mod apps;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub use self::apps::Sink;
use crate::field::free_port;
use crate::gateway::{Running, signal};
use crate::{need, wait};

/// The newest version.
pub const NEW: &str = "4.1.1";
/// An old one.
pub const OLD: &str = "3.3.2";
/// The oldest level that the gateway speaks with.
pub const OLDEST: &str = "2.8.2";

/// A Java virtual machine takes its time, three on a busy machine take more.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

const CONNECT_WITHIN: Duration = Duration::from_millis(500);

/// ZooKeeper keeps the place of a broker that was killed for its session's time, and lets no other of this id in.
const SESSION_MS: u32 = 3_000;
const FORGOTTEN_AFTER: Duration = Duration::from_millis(SESSION_MS as u64 + 1_500);

/// Quick to start, small, and no worker threads beyond what two cores can use.
const JVM: [&str; 6] =
    ["-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true"];

/// Any cluster's id may be the same.
const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

/// Who may log in at the SASL listener, by PLAIN, SCRAM or a token that bears the name.
pub const USER: &str = "forebay";
/// The password of [`USER`].
pub const PASSWORD: &str = "open sesame";

/// A cluster of one's own; killed when dropped.
pub struct Kafka {
    version: &'static str,
    libs: PathBuf,
    java: PathBuf,
    folder: TempDir,
    nodes: Vec<Node>,
    zookeeper: Option<Running>,
    /// Whether there is a listener with TLS.
    is_secure: bool,
}

struct Node {
    ports: Ports,
    process: Option<Running>,
}

#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    sasl: u16,
    tls: u16,
    controller: u16,
}

/// What a cluster is started with.
#[derive(Default)]
pub struct Cluster<'a> {
    /// [`NEW`] where it is empty.
    pub version: &'static str,
    /// How many brokers; 0 is 1.
    pub brokers: usize,
    /// Lines for every broker's `server.properties`.
    pub settings: &'a str,
    /// PEM files of the TLS listener, which then demands a client's certificate: certificate with key, authority.
    pub tls: Option<(&'a str, &'a str)>,
}

impl Kafka {
    /// One broker of the newest version; `None` where it is not installed.
    pub fn start() -> Option<Kafka> {
        Kafka::of(&Cluster::default())
    }

    /// A cluster, once all of its brokers serve; `None` where it is not installed.
    pub fn of(cluster: &Cluster<'_>) -> Option<Kafka> {
        let version = if cluster.version.is_empty() { NEW } else { cluster.version };
        let (libs, java) = (need::kafka(version)?, need::program("java")?);
        let folder = TempDir::with_prefix("forebay-kafka-").expect("a temporary directory");
        let port = free_port;
        let ports = || Ports { plain: port(), sasl: port(), tls: port(), controller: port() };
        let nodes: Vec<Node> = (0..cluster.brokers.max(1)).map(|_| Node { ports: ports(), process: None }).collect();
        let is_secure = cluster.tls.is_some();
        let mut kafka = Kafka { version, libs, java, folder, nodes, zookeeper: None, is_secure };
        for node in 0..kafka.nodes.len() {
            kafka.write(node, cluster);
            if !kafka.wants_zookeeper() {
                kafka.format(node);
            }
        }
        if kafka.wants_zookeeper() {
            kafka.zookeeper = Some(kafka.start_zookeeper());
        }
        for node in 0..kafka.nodes.len() {
            kafka.launch(node);
        }
        for node in 0..kafka.nodes.len() {
            kafka.wait_for(node);
        }
        Some(kafka)
    }

    /// The plain listeners, as a bootstrap list.
    pub fn bootstrap(&self) -> String {
        self.list(|ports| ports.plain)
    }

    /// The SASL listeners, as a bootstrap list.
    pub fn sasl(&self) -> String {
        self.list(|ports| ports.sasl)
    }

    /// The TLS listeners, as a bootstrap list.
    pub fn tls(&self) -> String {
        self.list(|ports| ports.tls)
    }

    /// The plain listener of one broker; its node id is one more than its place.
    pub fn address(&self, node: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.nodes[node].ports.plain))
    }

    /// SIGKILL, and away at once.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].process = None;
    }

    /// SIGSTOP or SIGCONT: a broker that is there and does nothing.
    pub fn signal(&self, node: usize, name: &str) {
        signal(self.nodes[node].process.as_ref().expect("it runs").id(), name);
    }

    /// Ends it as a service manager would.
    pub fn stop(&mut self, node: usize) {
        if let Some(mut process) = self.nodes[node].process.take() {
            signal(process.id(), "TERM");
            wait::for_it("Kafka ends", STARTS_WITHIN, || matches!(process.0.try_wait(), Ok(Some(_))));
        }
    }

    /// Starts a broker again that was killed or stopped, and waits until it serves.
    pub fn start_again(&mut self, node: usize) {
        if self.wants_zookeeper() {
            wait::pass(FORGOTTEN_AFTER);
        }
        self.launch(node);
        self.wait_for(node);
    }

    /// Makes a topic with settings such as `cleanup.policy=compact`.
    pub fn create(&self, topic: &str, partitions: usize, settings: &[&str]) {
        let (partitions, copies) = (partitions.to_string(), self.nodes.len().to_string());
        let mut arguments = vec!["--create", "--topic", topic, "--partitions", &partitions];
        arguments.extend(["--replication-factor", &copies]);
        for setting in settings {
            arguments.extend(["--config", setting]);
        }
        self.topics(&arguments);
    }

    /// Deletes a topic.
    pub fn delete(&self, topic: &str) {
        self.topics(&["--delete", "--topic", topic]);
    }

    /// Kafka's own topic command; what it printed.
    pub fn topics(&self, arguments: &[&str]) -> String {
        let class = if self.is_old() { "kafka.admin.TopicCommand" } else { "org.apache.kafka.tools.TopicCommand" };
        self.said(class, arguments)
    }

    /// Kafka's own tool for settings; what it printed.
    pub fn configs(&self, arguments: &[&str]) -> String {
        self.said("kafka.admin.ConfigCommand", arguments)
    }

    /// What Kafka's console consumer reads of a topic: `count` records as lines of key, tab, value.
    pub fn console(&self, topic: &str, count: usize) -> Vec<String> {
        let class = if self.is_old() {
            "kafka.tools.ConsoleConsumer"
        } else {
            "org.apache.kafka.tools.consumer.ConsoleConsumer"
        };
        let count = count.to_string();
        let arguments = ["--topic", topic, "--from-beginning", "--max-messages", &count, "--timeout-ms", "60000"];
        let properties = ["--property", "print.key=true"];
        let output = self.said(class, &[&arguments[..], &properties[..]].concat());
        output.lines().map(str::to_owned).collect()
    }

    /// Behind the last record of a partition, as Kafka's own tool says.
    pub fn end(&self, topic: &str, partition: usize) -> u64 {
        let class = if self.is_old() { "kafka.tools.GetOffsetShell" } else { "org.apache.kafka.tools.GetOffsetShell" };
        let brokers = if self.version == OLDEST { "--broker-list" } else { "--bootstrap-server" };
        let output = self.tool(class, brokers, &["--topic", topic, "--partitions", &partition.to_string()]);
        let end = output.trim().rsplit(':').next().and_then(|end| end.parse().ok());
        end.unwrap_or_else(|| panic!("{topic}: {output}"))
    }

    /// The brokers' processes.
    pub fn ids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(|node| node.process.as_ref()).map(Running::id).collect()
    }

    /// What rskafka reads of all partitions of a topic; `None` where it is not installed.
    pub fn rskafka(&self, topic: &str, partitions: usize) -> Option<Vec<Value>> {
        let mut command = Command::new(need::kafka_clients()?);
        let output = command.args(["read", &self.bootstrap(), topic, &partitions.to_string()]).output();
        let output = output.expect("the program is there");
        succeeded(&output);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        Some(text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect())
    }

    /// What a broker wrote.
    pub fn log(&self, node: usize) -> String {
        fs::read_to_string(self.file(node, "console.log")).unwrap_or_default()
    }

    fn is_old(&self) -> bool {
        !self.version.starts_with("4.")
    }

    fn wants_zookeeper(&self) -> bool {
        self.version == OLDEST
    }

    /// It listens where the first broker's controller would.
    fn start_zookeeper(&self) -> Running {
        let port = self.nodes[0].ports.controller;
        let data = self.folder.path().join("zookeeper");
        let file = self.folder.path().join("zookeeper.properties");
        let text = format!(
            "tickTime=500\ndataDir={}\nclientPortAddress=127.0.0.1\nclientPort={port}\nadmin.enableServer=false\n",
            data.display()
        );
        fs::create_dir_all(&data).expect("a folder");
        fs::write(&file, text).expect("ZooKeeper's file can be written");
        let mut command = self.java(0, "org.apache.zookeeper.server.ZooKeeperServerMain");
        let running = Running::start(command.arg(file), &self.folder.path().join("zookeeper.log"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait::for_it("ZooKeeper listens", STARTS_WITHIN, || {
            TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok()
        });
        running
    }

    /// What says who leads the cluster.
    fn leads(&self, node: usize) -> String {
        let controller = |node: &Node| node.ports.controller;
        if self.wants_zookeeper() {
            let port = controller(&self.nodes[0]);
            return format!(
                "broker.id={}\nzookeeper.connect=127.0.0.1:{port}\nzookeeper.session.timeout.ms={SESSION_MS}\n",
                node + 1
            );
        }
        let voters = self.nodes.iter().zip(1..).map(|(node, id)| format!("{id}@127.0.0.1:{}", controller(node)));
        format!(
            "process.roles=broker,controller\nnode.id={}\ncontroller.quorum.voters={}\n\
             controller.listener.names=CONTROLLER\nbroker.session.timeout.ms=6000\n\
             controller.quorum.election.timeout.ms=500\ncontroller.quorum.fetch.timeout.ms=1500\n",
            node + 1,
            voters.collect::<Vec<_>>().join(","),
        )
    }

    fn list(&self, port: impl Fn(&Ports) -> u16) -> String {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", port(&node.ports))).collect::<Vec<_>>().join(",")
    }

    fn file(&self, node: usize, name: &str) -> PathBuf {
        self.folder.path().join(node.to_string()).join(name)
    }

    fn write(&self, node: usize, cluster: &Cluster<'_>) {
        fs::create_dir_all(self.file(node, "data")).expect("a folder");
        let Ports { plain, sasl, tls, controller } = self.nodes[node].ports;
        let secure = cluster.tls.is_some();
        let tls_listener = if secure { format!(",TLS://127.0.0.1:{tls}") } else { String::new() };
        let public = format!("PLAIN://127.0.0.1:{plain},SASL://127.0.0.1:{sasl}{tls_listener}");
        let controller_listener = match self.wants_zookeeper() {
            true => String::new(),
            false => format!(",CONTROLLER://127.0.0.1:{controller}"),
        };
        let copies = self.nodes.len();
        let text = format!(
            "{}listeners={public}{controller_listener}\nadvertised.listeners={public}\n\
             inter.broker.listener.name=PLAIN\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL\n\
             log.dirs={}\noffsets.topic.num.partitions=2\noffsets.topic.replication.factor={copies}\n\
             transaction.state.log.num.partitions=1\ntransaction.state.log.replication.factor={copies}\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n\
             default.replication.factor={copies}\nnum.network.threads=1\nnum.io.threads=2\nlog.cleaner.enable=true\n\
             log.cleaner.dedupe.buffer.size=4194304\nmessage.max.bytes=2097152\n{}{}{}\n",
            self.leads(node),
            self.file(node, "data").display(),
            sasl_settings(),
            tls_settings(cluster.tls),
            cluster.settings,
        );
        fs::write(self.file(node, "server.properties"), text).expect("the broker's file can be written");
        fs::write(self.file(node, "log4j2.xml"), LOG4J2).expect("the logger's file can be written");
        fs::write(self.file(node, "log4j.properties"), LOG4J1).expect("the logger's file can be written");
    }

    fn format(&self, node: usize) {
        let file = self.file(node, "server.properties");
        let mut command = self.java(node, "kafka.tools.StorageTool");
        command.args(["format", "--cluster-id", CLUSTER, "--config"]).arg(file);
        if !self.is_old() {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                command.args(["--add-scram", &format!("{mechanism}=[name={USER},password={PASSWORD}]")]);
            }
        }
        succeeded(&command.output().expect("Java"));
    }

    fn launch(&mut self, node: usize) {
        let log = self.file(node, "console.log");
        let mut command = self.java(node, "kafka.Kafka");
        command.arg(self.file(node, "server.properties"));
        self.nodes[node].process = Some(Running::start(&mut command, &log));
    }

    fn wait_for(&mut self, node: usize) {
        let Ports { plain, sasl, tls, .. } = self.nodes[node].ports;
        let listeners = [Some(plain), Some(sasl), self.is_secure.then_some(tls)];
        let log = self.file(node, "console.log");
        let process = self.nodes[node].process.as_mut().expect("it was launched");
        wait::for_it("Kafka listens", STARTS_WITHIN, || {
            let ended = process.0.try_wait().expect("the process is ours");
            assert!(ended.is_none(), "Kafka ended: {}", fs::read_to_string(&log).unwrap_or_default());
            listeners
                .iter()
                .flatten()
                .all(|port| TcpStream::connect_timeout(&([127, 0, 0, 1], *port).into(), CONNECT_WITHIN).is_ok())
        });
    }

    fn java(&self, node: usize, class: &str) -> Command {
        let mut command = self.jvm(&self.libs, node);
        command.arg(class);
        command
    }

    /// Java with these jars and the loggers of one broker; what to run is to follow.
    fn jvm(&self, libs: &Path, node: usize) -> Command {
        let mut command = Command::new(&self.java);
        command.args(JVM).current_dir(self.folder.path());
        command.arg(format!("-Dlog4j2.configurationFile={}", self.file(node, "log4j2.xml").display()));
        command.arg(format!("-Dlog4j.configuration=file:{}", self.file(node, "log4j.properties").display()));
        command.arg("-cp").arg(format!("{}/*", libs.display()));
        command
    }

    fn said(&self, class: &str, arguments: &[&str]) -> String {
        self.tool(class, "--bootstrap-server", arguments)
    }

    fn tool(&self, class: &str, brokers: &str, arguments: &[&str]) -> String {
        let mut command = self.java(0, class);
        command.arg(brokers).arg(self.bootstrap()).args(arguments);
        let errors = File::create(self.folder.path().join("tool.err")).expect("a file");
        let output = command.stderr(errors).output().expect("Java");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = fs::read_to_string(self.folder.path().join("tool.err")).unwrap_or_default();
        assert!(output.status.success(), "{class} {arguments:?}: {said}{errors}");
        said
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in 0..self.nodes.len() {
                let log = self.log(node);
                let start = log.char_indices().rev().nth(1_500).map_or(0, |(index, _)| index);
                eprintln!("---- the last words of broker {}\n{}\n----", node + 1, &log[start..]);
            }
        }
    }
}

fn sasl_settings() -> String {
    let module = "org.apache.kafka.common.security";

    let listener = "listener.name.sasl";
    format!(
        "{listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
         {listener}.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n\
         {listener}.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
         {listener}.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
         {listener}.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required \
         unsecuredLoginStringClaim_sub=\"{USER}\";\n"
    )
}

fn tls_settings(tls: Option<(&str, &str)>) -> String {
    let Some((own, authority)) = tls else { return String::new() };
    format!(
        "listener.name.tls.ssl.keystore.type=PEM\nlistener.name.tls.ssl.keystore.location={own}\n\
         listener.name.tls.ssl.truststore.type=PEM\nlistener.name.tls.ssl.truststore.location={authority}\n\
         listener.name.tls.ssl.client.auth=required\n"
    )
}

fn succeeded(output: &Output) {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
}

/// Where the jars of a version of `what` are, when it was installed whole.
pub(crate) fn libs(cache: &Path, what: &str, version: &str) -> Option<PathBuf> {
    let folder = cache.join("forebay").join(what).join(version);
    folder.join("complete").is_file().then(|| folder.join("libs"))
}

const LOG4J2: &str = r#"<Configuration status="WARN"><Appenders><Console name="C" target="SYSTEM_OUT">
<PatternLayout pattern="%d %p %c %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="C"/></Root></Loggers></Configuration>
"#;

const LOG4J1: &str = "log4j.rootLogger=WARN, C\nlog4j.appender.C=org.apache.log4j.ConsoleAppender\n\
    log4j.appender.C.layout=org.apache.log4j.PatternLayout\nlog4j.appender.C.layout.ConversionPattern=%d %p %c %m%n\n";
