//! F2 with Kafka as the far side: of the log, and of what is remembered of what was sent, the end is gone. The partitions
//! are read behind a fence, and each reading stands there once.

#[path = "../../../buffer/tests/crash/suite/mounted.rs"]
mod mounted;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use tests::field::Field;
use tests::gateway::{Gateway, binary};
use tests::kafka::Kafka;
use tests::site::Site;
use tests::{need, wait};

use self::mounted::Mounted;
use super::crashes::{PARTITIONS, TOPIC, file, is_polled, starts_and_ends_with_each_once};
use crate::rig::Counting;

const IMAGE_BYTES: u64 = 64 << 20;

/// A second of `sync: 1s`, and what a busy machine makes of it.
const SYNCED_WITHIN: Duration = Duration::from_secs(4);

/// The gateway as it starts after another boot: the kernel tells another id.
fn booted(site: &Site, boot: usize) -> Gateway {
    let path = |name: &str| site.folder().join(name);
    let (id, text, program) = (path("boot_id"), path("booted.txt"), path("booted"));
    fs::write(&id, format!("00000000-0000-4000-8000-{boot:012}\n")).expect("a file");
    let script = format!(
        "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind {} /proc/sys/kernel/random/boot_id && exec {} \"$@\"' sh \"$@\"\n",
        id.display(),
        binary().display()
    );
    fs::write(&text, script).expect("a file");
    // Written by another process: what is still open here for writing in some child cannot be run.
    ran("install", &[Path::new("-m"), Path::new("755"), &text, &program]);
    site.start_program(&program)
}

fn ran(program: &str, arguments: &[&Path]) {
    let output = Command::new(program).args(arguments).output().expect("a program of this machine");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the file system in this image is wholly unmounted, in the namespaces of killed processes, too.
fn is_let_go(folder: &Path) -> bool {
    let output = Command::new("losetup").arg("-j").arg(folder.join("image")).output().expect("losetup");
    output.stdout.is_empty()
}

#[test]
fn each_reading_stands_there_once_though_the_power_is_cut_again_and_again() {
    if let Err(cause) = need::mount_namespaces() {
        return need::unable("give a process a mount namespace of its own", &cause);
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let Some(disk) = Mounted::make(folder.path(), IMAGE_BYTES, "") else {
        return need::unable("mount ext4 on a loop device", "see above");
    };
    let Some(kafka) = Kafka::start() else { return };
    kafka.create(TOPIC, PARTITIONS as usize, &[]);
    let field = Field::new();
    let plc = Counting::tcp(&field);
    let buffer = format!("\nbuffer: {{ path: {} }}\n", disk.at.join("buffer").display());
    let site = Site::new(&(file(&plc, &kafka.bootstrap()) + &buffer));
    let (mut cuts, mut state) = (Vec::new(), 0x2545_f491_u32);
    for boot in 0..if need::long() { 20 } else { 3 } {
        let gateway = booted(&site, boot);
        is_polled(&plc, 30);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        wait::pass(Duration::from_millis(u64::from(state >> 16) % 1_500));
        assert!(disk.cut(), "the file system lets itself be cut off");
        gateway.kill();
        cuts.push(SystemTime::now());
        assert!(disk.unmount(), "it can be unmounted");
        wait::for_it("the disk is let go", wait::SOON, || is_let_go(folder.path()));
        assert!(disk.mount(), "it can be mounted after the cut");
    }
    let (readings, log) = starts_and_ends_with_each_once(booted(&site, cuts.len()), &plc, &kafka);
    let verdict = plc.verdict(&readings);
    verdict.must_have_lost_only_before(&cuts, SYNCED_WITHIN);
    assert!(log.contains("the partition is read behind a fence"), "{log}");
    eprintln!("{} power cuts: {} records, each once; {verdict}", cuts.len(), readings.len());
}
