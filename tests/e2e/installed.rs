//! The Debian package in a fresh Debian: installed, at work, updated over a log that is not empty, removed, purged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hardware_sim::faults::{Framing, Link};
use tempfile::TempDir;
use tests::broker::Broker;
use tests::field::Field;
use tests::gateway::{Running, signal};
use tests::need;
use tests::subscriber::Subscriber;
use tests::wait;

use crate::packages::{package, said};
use crate::rig::{Counting, PLC, answers, counting_device, file, nothing_is_missing, running, tcp};

/// What installing and removing anything leaves: the packager's and other programs' own books.
const BOOKS: [&str; 4] = ["/var/lib/dpkg", "/var/log", "/run", "/etc"];

/// Of `/etc`, only what the package could have put there.
const OWN_IN_ETC: [&str; 2] = ["/etc/forebay", "/etc/systemd"];

/// A Debian in a folder, with a mount namespace of its own for whatever runs in it.
struct Debian(TempDir);

impl Debian {
    fn unpack(archive: &Path) -> Debian {
        let folder = tempfile::tempdir().expect("a folder");
        let unpacked = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder.path()).status();
        assert!(unpacked.expect("tar runs").success());
        Debian(folder)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside.trim_start_matches('/'))
    }

    /// A command inside, as this user.
    fn command(&self, user: &str, words: &[&str]) -> Command {
        const ENTER: &str = "mount -t proc proc \"$1/proc\" && mount --bind /dev \"$1/dev\" && root=$1 user=$2 && shift 2 && \
                             exec chroot --userspec=\"$user\" \"$root\" \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ENTER, "-"]).arg(self.0.path()).arg(user).args(words);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command("root:root", words).output().expect("unshare runs")
    }

    fn succeeds(&self, words: &[&str]) {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
    }

    /// Installs a package, or updates to it.
    fn install(&self, package: &Path) {
        fs::copy(package, self.path("tmp/forebay.deb")).expect("the package");
        self.succeeds(&["dpkg", "-i", "/tmp/forebay.deb"]);
        fs::remove_file(self.path("tmp/forebay.deb")).expect("our file");
    }

    /// What the unit starts, as its user: there is no systemd that could.
    fn start(&self, log: &Path) -> Running {
        let unit = fs::read_to_string(self.path("lib/systemd/system/forebay.service")).expect("the unit");
        let of = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).expect("a line of the unit");
        let user = format!("{}:{}", of("User="), of("Group="));
        let words: Vec<&str> = of("ExecStart=").split(' ').collect();
        Running::start(self.command(&user, &words).stdin(Stdio::null()), log)
    }

    /// Every file but the books.
    fn files(&self) -> BTreeSet<String> {
        let listing = Command::new("find").arg(self.0.path()).args(["-xdev", "-printf", "/%P\n"]).output();
        let listing = String::from_utf8_lossy(&listing.expect("find runs").stdout).into_owned();
        let is_book = |file: &str| {
            BOOKS.iter().any(|book| file.starts_with(book)) && !OWN_IN_ETC.iter().any(|own| file.starts_with(own))
        };
        listing.lines().filter(|file| !is_book(file)).map(str::to_owned).collect()
    }
}

/// Ends the service as systemd does.
fn stop(mut service: Running) {
    signal(service.id(), "TERM");
    wait::for_it("the service ends", wait::SOON, || matches!(service.0.try_wait(), Ok(Some(_))));
}

/// Exit code and words of `forebay audit` over what the broker kept since the one before.
fn audit(debian: &Debian, broker: &Broker, seconds: &str) -> (Option<i32>, String) {
    let url = broker.url("mqtt");
    let words = ["/usr/bin/forebay", "audit", &url, "--topic", "readings/#", "--gateway", "test/line"];
    let output = debian.run(&[words.as_slice(), &["--client-id", "auditor", "--seconds", seconds]].concat());
    (output.status.code(), said(&output))
}

#[test]
fn a_package_works_survives_an_update_with_its_log_and_leaves_nothing_when_it_is_purged() {
    let Some(archive) = need::debian_root() else { return };
    let Some(broker) = Broker::start() else { return };
    if let Err(cause) = need::mount_namespaces() {
        return need::unable("have a mount namespace", &cause);
    }
    let made = tempfile::tempdir().expect("a folder");
    let (first, second) = (package(made.path(), "0.1.0"), package(made.path(), "0.1.1"));
    let debian = Debian::unpack(&archive);
    let before = debian.files();
    debian.install(&first);

    let field = Field::new();
    let plc = Counting::tcp(&field);
    let network = field.proxy(broker.address(), Framing::Stream);
    let recorder = Subscriber::start(broker.address());
    let gateway = file(&counting_device(PLC, &tcp(plc.address)), &format!("mqtt://{}", network.address()));
    fs::write(debian.path("etc/forebay/gateway.yaml"), &gateway).expect("the configuration");
    audit(&debian, &broker, "0");
    let service = debian.start(&made.path().join("first.log"));
    running(&recorder);

    // An update while nothing leaves.
    network.link(Link::Refuse);
    answers(&plc.oracle, 30);
    stop(service);
    debian.install(&second);
    let kept = fs::read_to_string(debian.path("etc/forebay/gateway.yaml"));
    assert_eq!(kept.ok().as_deref(), Some(&*gateway), "the update leaves the configuration alone");
    let service = debian.start(&made.path().join("second.log"));
    answers(&plc.oracle, 10);
    network.link(Link::Up);
    running(&recorder);
    plc.all_arrive(&recorder, wait::SOON);
    stop(service);
    let received = recorder.readings();
    nothing_is_missing(&received);
    plc.verdict(&received).must_be_perfect();
    let (code, found) = audit(&debian, &broker, "3");
    assert_eq!(code, Some(0), "{found}");
    eprintln!("over the update: {}", plc.verdict(&received));

    debian.succeeds(&["dpkg", "-r", "forebay"]);
    assert!(!debian.path("usr/bin/forebay").exists());
    assert!(debian.path("etc/forebay/gateway.yaml").exists(), "the configuration stays when the package is removed");
    assert!(debian.path("var/lib/forebay/buffer").exists(), "the readings stay when the package is removed");
    debian.succeeds(&["dpkg", "-P", "forebay"]);
    let left: Vec<String> = debian.files().difference(&before).cloned().collect();
    assert!(left.is_empty(), "purge leaves {left:?}");
    let users = fs::read_to_string(debian.path("etc/passwd")).expect("the users");
    assert!(!users.contains("forebay"), "purge leaves its user");
}
