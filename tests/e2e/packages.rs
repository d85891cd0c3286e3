//! The service's unit and the Debian package: what they permit, hold and leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tests::gateway;
use tests::need::{program, root};

/// The most that `systemd-analyze security` may say of the service as it comes, and with both drop-ins.
const EXPOSURE_MAX: f64 = 1.2;
const EXPOSURE_WITH_DROP_INS_MAX: f64 = 2.0;

/// A root folder with the unit in it, the drop-ins on request, and an executable where the unit expects it.
fn root_with_unit(drop_ins: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let system = folder.path().join("etc/systemd/system");
    let drop_in_folder = system.join("forebay.service.d");
    fs::create_dir_all(&drop_in_folder).expect("folders");
    let source = root().join("systemd");
    fs::copy(source.join("forebay.service"), system.join("forebay.service")).expect("the unit");
    for name in drop_ins {
        fs::copy(source.join("forebay.service.d").join(name), drop_in_folder.join(name)).expect("a drop-in");
    }
    folder
}

fn exposure(analyze: &Path, root: &Path) -> f64 {
    let output = Command::new(analyze)
        .args(["security", "--offline=true", "--no-pager"])
        .arg(format!("--root={}", root.display()))
        .arg("forebay.service")
        .output()
        .expect("systemd-analyze runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let level = text.rsplit_once("exposure level for forebay.service: ").and_then(|(_, rest)| rest.split(' ').next());
    level
        .and_then(|level| level.parse().ok())
        .unwrap_or_else(|| panic!("no exposure level: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_service_may_do_little_and_with_drop_ins_little_more() {
    let Some(analyze) = program("systemd-analyze") else { return };
    let plain = exposure(&analyze, root_with_unit(&[]).path());
    assert!(plain <= EXPOSURE_MAX, "{plain}");
    let with_drop_ins = exposure(&analyze, root_with_unit(&["serial.conf", "local-io.conf", "realtime.conf"]).path());
    assert!(plain < with_drop_ins, "the drop-ins are seen: {with_drop_ins}");
    assert!(with_drop_ins <= EXPOSURE_WITH_DROP_INS_MAX, "{with_drop_ins}");
}

#[test]
fn each_line_of_the_units_is_known_to_systemd() {
    let Some(analyze) = program("systemd-analyze") else { return };
    let root = root_with_unit(&["serial.conf", "local-io.conf", "realtime.conf"]);
    let unit = root.path().join("etc/systemd/system/forebay.service");
    let output = Command::new(analyze).arg("verify").arg(&unit).output().expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The machine's own units are read too, and the binary is not installed on it.
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(&*unit.to_string_lossy()) && !line.contains("is not executable"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// The package of the binary under test.
pub(crate) fn package(folder: &Path, version: &str) -> PathBuf {
    let output = Command::new(root().join("cross/package"))
        .args(["x86_64-unknown-linux-gnu", "--quick", "--version", version, "--binary"])
        .arg(gateway::binary())
        .env("CARGO_TARGET_DIR", folder)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .expect("cross/package runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("debian").join(format!("forebay_{version}_amd64.deb"))
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_package_holds_the_service_and_is_the_same_each_time() {
    let Some(dpkg_deb) = program("dpkg-deb") else { return };
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (made, again) = (package(first.path(), "0.1.0"), package(second.path(), "0.1.0"));
    assert!(fs::read(&made).expect("a package") == fs::read(again).expect("a package"), "two packages differ");
    let contents = said(&Command::new(dpkg_deb).arg("-c").arg(&made).output().expect("dpkg-deb runs"));
    for path in [
        "usr/bin/forebay",
        "lib/systemd/system/forebay.service",
        "lib/udev/rules.d/60-forebay-local-io.rules",
        "lib/udev/rules.d/60-forebay-serial.rules",
        "usr/lib/sysusers.d/forebay.conf",
        "usr/lib/tmpfiles.d/forebay.conf",
        "usr/share/bash-completion/completions/forebay",
        "usr/share/doc/forebay/examples/gateway.yaml",
        "usr/share/forebay/local-io.conf",
        "usr/share/forebay/serial.conf",
        "usr/share/man/man1/forebay.1.gz",
        "usr/share/man/man1/forebay-run.1.gz",
    ] {
        assert!(contents.lines().any(|line| line.ends_with(&format!("./{path}"))), "{path} is missing in\n{contents}");
    }
}

#[test]
fn lintian_finds_no_error_in_the_package() {
    let Some(lintian) = program("lintian") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let made = package(folder.path(), "0.1.0");
    // A debug build is not stripped; the shipped one is.
    let suppressed = "unstripped-binary-or-object";
    let output = Command::new(lintian)
        .args(["--fail-on", "error", "--suppress-tags", suppressed, "--allow-root"])
        .arg(made)
        .output()
        .expect("lintian runs");
    assert!(output.status.success(), "{}", said(&output));
}
