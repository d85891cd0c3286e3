//! What is installed here. A test that needs something asks first, and returns when it gets nothing.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kafka;

/// A program by its name; `None` when it is not installed, which is said, and is a failure where `CI=true`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// The Python that has pymodbus and the pure python-snap7.
pub fn python() -> Option<PathBuf> {
    python_of("FOREBAY_TEST_PYTHON", "venv", "pymodbus")
}

/// The Python that has the python-snap7 around the C library.
pub fn python_snap7() -> Option<PathBuf> {
    python_of("FOREBAY_TEST_PYTHON_SNAP7", "venv-snap7", "the C library snap7")
}

/// The Python that has decoders of others: pysparkplug, line-protocol-parser, zstandard.
pub fn python_decoders() -> Option<PathBuf> {
    python_of("FOREBAY_TEST_PYTHON_DECODERS", "venv-decoders", "pysparkplug")
}

/// The Python that has asyncua.
pub fn python_opcua() -> Option<PathBuf> {
    python_of("FOREBAY_TEST_PYTHON_OPCUA", "venv-opcua", "asyncua")
}

/// The folder of the modules of node-opcua.
pub fn node_opcua() -> Option<PathBuf> {
    let versions = cache().map(|cache| cache.join("forebay/node-opcua"));
    let version = installed_version();
    let found = versions.map(|versions| versions.join(version)).filter(|folder| folder.join("complete").is_file());
    if found.is_none() {
        missing("node-opcua");
    }
    found.map(|folder| folder.join("node_modules"))
}

/// The folder of the modules that drive a browser, and the browser.
pub fn browser() -> Option<(PathBuf, PathBuf)> {
    let folder = cache().map(|cache| cache.join("forebay/page")).filter(|folder| folder.join("complete").is_file());
    if folder.is_none() {
        missing("puppeteer-core");
    }
    Some((folder?.join("node_modules"), program("chromium")?))
}

/// The version of node-opcua that `tests/far/install` installs.
fn installed_version() -> String {
    let script = std::fs::read_to_string(root().join("tests/far/install")).expect("the script is part of the checkout");
    let line = script.lines().find_map(|line| line.strip_prefix("FAR_NODE_OPCUA="));
    line.expect("the script names a version").to_owned()
}

fn python_of(variable: &str, folder: &str, what: &str) -> Option<PathBuf> {
    let found = env::var_os(variable).map(PathBuf::from).or_else(|| venv(folder)).filter(|path| path.is_file());
    if found.is_none() {
        missing(what);
    }
    found
}

/// The jars of a version of Apache Kafka.
pub fn kafka(version: &str) -> Option<PathBuf> {
    let found = cache().and_then(|cache| kafka::libs(&cache, "kafka", version));
    if found.is_none() {
        missing(&format!("Apache Kafka {version}"));
    }
    found
}

/// The jars of Kafka Streams and Kafka Connect of the newest version.
pub fn kafka_apps() -> Option<PathBuf> {
    let found = cache().and_then(|cache| kafka::libs(&cache, "kafka-apps", kafka::NEW));
    if found.is_none() {
        missing("Kafka Streams and Kafka Connect");
    }
    found
}

/// The folder of a version of Apicurio Registry.
pub fn registry(version: &str) -> Option<PathBuf> {
    let found = cache().map(|cache| cache.join("forebay/registry").join(version));
    let found = found.filter(|folder| folder.join("complete").is_file());
    if found.is_none() {
        missing(&format!("Apicurio Registry {version}"));
    }
    found
}

/// The archive of a fresh Debian of this machine's architecture, with systemd's tools and no service that runs.
pub fn debian_root() -> Option<PathBuf> {
    let found = cache().map(|cache| cache.join("forebay/debian/root.tar")).filter(|path| path.is_file());
    if found.is_none() {
        missing("the root of a Debian (mmdebstrap makes it)");
    }
    found
}

/// Whether processes may have a mount namespace of their own, and change their root.
///
/// # Errors
/// Why not.
pub fn mount_namespaces() -> Result<(), String> {
    let tried = Command::new("unshare").args(["--mount", "chroot", "/", "true"]).output();
    let tried = tried.map_err(|cause| cause.to_string())?;
    if tried.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&tried.stderr).into_owned()) }
}

/// Prometheus' own checker.
pub fn promtool() -> Option<PathBuf> {
    let found = cache().map(|cache| cache.join("forebay/prometheus/promtool")).filter(|path| path.is_file());
    if found.is_none() {
        missing("promtool");
    }
    found
}

/// What makes requests out of an OpenAPI document.
pub fn schemathesis() -> Option<PathBuf> {
    let found = cache().map(|cache| cache.join("forebay/venv-schemathesis/bin/schemathesis"));
    let found = found.filter(|path| path.is_file());
    if found.is_none() {
        missing("schemathesis");
    }
    found
}

/// The Python that has librdkafka, fastavro and Google's protobuf.
pub fn python_kafka() -> Option<PathBuf> {
    python_of("FOREBAY_TEST_PYTHON_KAFKA", "venv-kafka", "confluent-kafka")
}

/// The program around rskafka and librdkafka that `tests/far/install` builds.
pub fn kafka_clients() -> Option<PathBuf> {
    let found = cache().map(|cache| cache.join("forebay/kafka-clients/kafka-clients")).filter(|path| path.is_file());
    if found.is_none() {
        missing("rskafka and librdkafka");
    }
    found
}

/// Whether the longer runs are asked for.
pub fn long() -> bool {
    env::var("FOREBAY_TEST_LONG").is_ok_and(|value| !value.is_empty())
}

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate stands in a folder of the checkout")
}

fn venv(folder: &str) -> Option<PathBuf> {
    Some(cache()?.join("forebay").join(folder).join("bin/python"))
}

fn cache() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    cache.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
}

/// Says that a test is skipped because this machine does not allow something, wherever it runs.
pub fn unable(what: &str, cause: &str) {
    let cause = cause.lines().last().unwrap_or_default();
    skipped(&format!("this machine does not allow to {what}: {cause}"));
}

fn missing(what: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "{what} is not installed: tests/run installs it");
    skipped(&format!("{what} is not installed"));
}

fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{test}: skipped, {why}\n");
    eprint!("{line}");
    if let Some(path) = env::var_os("FOREBAY_TEST_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests can be written");
    }
}
