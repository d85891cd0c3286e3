//! The arrows of the map that Cargo does not hold, and the rules of the checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::need::root;

/// Whom each crate of ours may know when it is built for a user. A new driver joins the list of drivers, nothing else.
const MAY_KNOW: [(&str, &[&str]); 10] = [
    ("driver-core", &[]),
    ("driver-local", &["driver-core"]),
    ("driver-modbus", &["driver-core"]),
    ("driver-s7", &["driver-core"]),
    ("driver-opcua", &["driver-core"]),
    ("drivers", &["driver-core", "driver-local", "driver-modbus", "driver-s7", "driver-opcua"]),
    ("buffer", &[]),
    ("hardware-sim", &[]),
    ("forebay", &["driver-core", "drivers", "buffer", "hardware-sim"]),
    ("tests", &["driver-core", "drivers", "buffer", "forebay", "hardware-sim"]),
];

/// All that may stand at the top of the checkout.
const TOP_LEVEL: [&str; 17] = [
    ".cargo",
    ".ci",
    ".gitattributes",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "buffer",
    "cross",
    "deny.toml",
    "drivers",
    "gateway",
    "hardware-sim",
    "rustfmt.toml",
    "systemd",
    "tests",
];

/// The files of each driver, so that a reader knows the room; a folder may stand in place of a file.
const DRIVER_ROOM: [&str; 8] = [
    "README.md",
    "sample.yaml",
    "src/config.rs",
    "src/address.rs",
    "src/plan.rs",
    "src/wire.rs",
    "src/decode.rs",
    "src/session.rs",
];

/// Words that a folder's code must not name: the arrows inside a crate.
const MUST_NOT_NAME: [(&str, &[&str]); 18] = [
    ("gateway/src/uplink", &["pipeline::poll", "pipeline::link", "dyn Connection", "drivers::"]),
    ("gateway/src/pipeline/encode", &["tokio", "crate::uplink", "std::fs"]),
    ("gateway/src/pipeline/expression", &["tokio", "std::fs", "crate::config"]),
    ("gateway/src/pipeline/command/guard", &["tokio", "std::fs", "crate::uplink"]),
    ("gateway/src/pipeline/command/fit", &["tokio", "std::fs", "crate::uplink"]),
    ("gateway/src/pipeline/command/life", &["tokio", "std::fs", "crate::uplink"]),
    ("gateway/src/pipeline/command/desk", &["crate::uplink", "crate::http"]),
    ("gateway/src/pipeline/poll", &["crate::uplink", "crate::config", "buffer::"]),
    ("gateway/src/config", &["tokio::", "crate::command"]),
    ("drivers/core/src", &["tokio::net", "std::net::TcpStream", "println!"]),
    ("drivers/local/src/wire", &["tokio", "std::fs", "linux_embedded_hal", "async fn"]),
    ("drivers/local/src/decode", &["tokio", "std::fs", "embedded_hal"]),
    ("drivers/modbus/src/wire", &["tokio", "std::net", "async fn"]),
    ("drivers/s7/src/wire", &["tokio", "std::net", "async fn"]),
    ("drivers/opcua/src/wire", &["tokio", "std::net", "async fn"]),
    ("drivers/opcua/src/sequence", &["tokio", "std::net", "async fn"]),
    ("buffer/src", &["driver_core", "Quality", "tokio"]),
    ("hardware-sim/src", &["driver_core", "drivers::"]),
];

const LICENCES_ALLOWED: [&str; 12] = [
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "0BSD",
    "Unlicense",
    "Unicode-3.0",
    "Zlib",
    "CC0-1.0",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
];

/// These would name a machine or a person's account instead of a place in the checkout.
const MACHINE_PATHS: [&str; 4] = ["/home/", "/root/", "/work/", "/Users/"];

/// What cargo knows of all crates that this platform builds.
fn metadata() -> Value {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let run = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).expect("cargo metadata is JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Files that git keeps, or would keep once added.
fn kept_files() -> Vec<PathBuf> {
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let run = Command::new("git").args(listing).current_dir(root()).output();
    match run {
        Ok(run) if run.status.success() => String::from_utf8_lossy(&run.stdout).lines().map(PathBuf::from).collect(),
        _ => below(root()),
    }
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let build_output = path.file_name().is_some_and(|name| name == "target" || name == ".git");
            if path.is_dir() && !build_output {
                folders.push(path);
            } else if path.is_file() {
                files.push(path.strip_prefix(root()).unwrap_or(&path).to_owned());
            }
        }
    }
    files
}

/// The code of a file without its tests, comments and test-only modules.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    let own = text.split("#[cfg(test)]").next().unwrap_or_default();
    own.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_crate_knows_only_whom_it_may() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = MAY_KNOW.iter().map(|(name, _)| *name).collect();
    for package in list(&metadata, "packages").iter().filter(|package| package["source"].is_null()) {
        let name = text(package, "name");
        let allowed = MAY_KNOW.iter().find(|(known, _)| *known == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("the crate {name} is not on the map"));
        for dependency in list(package, "dependencies").iter().filter(|d| d["kind"].is_null() || d["kind"] == "build") {
            let to = text(dependency, "name");
            assert!(!ours.contains(to) || allowed.contains(&to), "{name} must not know {to}");
        }
    }
}

#[test]
fn code_of_a_folder_names_nothing_beyond_its_arrows() {
    let files = kept_files();
    let mut faults = Vec::new();
    for (folder, words) in MUST_NOT_NAME {
        let inside = |path: &&PathBuf| {
            let in_folder = path.starts_with(folder) || path.as_path() == Path::new(&format!("{folder}.rs"));
            in_folder && path.extension().is_some_and(|end| end == "rs")
        };
        let test_only = |path: &&PathBuf| {
            let mut names = path.components().map(|name| name.as_os_str().to_string_lossy());
            names.any(|name| ["tests.rs", "tests", "testkit"].contains(&name.as_ref()))
        };
        for path in files.iter().filter(inside).filter(|path| !test_only(path)) {
            let code = code(path);
            let named = words.iter().filter(|word| code.contains(**word));
            faults.extend(named.map(|word| format!("{} names {word}", path.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_driver_has_the_same_room() {
    for entry in fs::read_dir(root().join("drivers")).expect("the drivers").flatten() {
        let folder = entry.path();
        if !folder.join("Cargo.toml").is_file() || folder.ends_with("core") {
            continue;
        }
        for file in DRIVER_ROOM {
            let as_folder = file.trim_end_matches(".rs");
            let there = folder.join(file).exists() || folder.join(as_folder).is_dir();
            assert!(there, "{} has no {file}", folder.display());
        }
    }
}

#[test]
fn the_top_level_is_what_the_map_says() {
    let top: BTreeSet<String> = kept_files()
        .iter()
        .filter_map(|path| path.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned()))
        .collect();
    let unknown: Vec<&String> = top.iter().filter(|name| !TOP_LEVEL.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "these stand at the top and are not on the map: {unknown:?}");
}

#[test]
fn unsafe_code_is_forbidden_in_every_crate() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    for package in list(&metadata(), "packages").iter().filter(|package| package["source"].is_null()) {
        let manifest = fs::read_to_string(text(package, "manifest_path")).expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has lints of its own", text(package, "name"));
    }
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let own = Path::new("tests/e2e/architecture.rs");
    let mut faults = Vec::new();
    for path in kept_files().iter().filter(|path| path.as_path() != own) {
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if MACHINE_PATHS.iter().any(|part| line.contains(part)) {
                faults.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_test_is_switched_off_and_no_loose_end_is_left() {
    let own = Path::new("tests/e2e/architecture.rs");
    let loose = ["#[ignore", "allow(dead_code)", "todo!(", "unimplemented!(", "TODO", "FIXME"];
    let rust = |path: &&PathBuf| path.extension().is_some_and(|end| end == "rs") && path.as_path() != own;
    let mut faults = Vec::new();
    for path in kept_files().iter().filter(rust) {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        faults.extend(
            loose.iter().filter(|word| text.contains(**word)).map(|word| format!("{}: {word}", path.display())),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether one of the alternatives of a licence expression is allowed whole.
fn allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" OR ").any(|alternative| {
        alternative.split(" AND ").all(|one| {
            let name = one.split(" WITH ").next().unwrap_or_default().trim();
            LICENCES_ALLOWED.contains(&name)
        })
    })
}

#[test]
fn every_dependency_has_a_licence_that_we_may_use() {
    assert!(allowed("MIT OR GPL-3.0") && allowed("(Apache-2.0 WITH LLVM-exception)") && !allowed("AGPL-3.0-only"));
    let metadata = metadata();
    let refused: BTreeMap<&str, &str> = list(&metadata, "packages")
        .iter()
        .map(|package| (text(package, "name"), text(package, "license")))
        .filter(|(_, licence)| !allowed(licence))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn there_is_one_tls_provider() {
    let metadata = metadata();
    let names: Vec<&str> = list(&metadata, "packages").iter().map(|package| text(package, "name")).collect();
    for unwanted in ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"] {
        assert!(!names.contains(&unwanted), "{unwanted} is in the tree: only rustls with ring may be");
    }
}
