//! The real binary as a process that can be stopped, killed and measured.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait;

const GOES_WITHIN: Duration = Duration::from_secs(15);

/// The kernel counts processor time of ended threads in these, `sysconf(_SC_CLK_TCK)` is 100 on every Linux in use.
const NANOS_PER_TICK: u64 = 10_000_000;

/// `forebay`: the variable `FOREBAY_BIN`, or what stands beside the test's own folder.
///
/// # Panics
/// It was not built.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("FOREBAY_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a process knows its program");
    let profile = own.ancestors().nth(2).expect("the test stands in target/<profile>/deps or examples");
    let path = profile.join("forebay");
    assert!(path.is_file(), "{} is missing: `cargo build --workspace` makes it, and tests/run does", path.display());
    path
}

/// A running `forebay run`; killed when dropped. What it printed is shown when the test fails.
pub struct Gateway {
    child: Child,
    log: PathBuf,
}

impl Gateway {
    /// Starts on a file; both outputs go to `forebay.log` in the folder, after what earlier ones wrote there.
    pub fn start(folder: &Path, file: &Path, environment: &[(&str, &str)]) -> Gateway {
        Gateway::start_program(&binary(), folder, file, environment)
    }

    /// The same of another program than [`binary`], such as that of an earlier version.
    pub fn start_program(program: &Path, folder: &Path, file: &Path, environment: &[(&str, &str)]) -> Gateway {
        let log = folder.join("forebay.log");
        let output = OpenOptions::new().create(true).append(true).open(&log).expect("the log can be opened");
        let errors = output.try_clone().expect("a file descriptor to spare");
        let child = Command::new(program)
            .arg("run")
            .arg("-c")
            .arg(file)
            .current_dir(folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("the binary can be started");
        Gateway { child, log }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far, with its predecessors of the same site.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, and away at once.
    pub fn kill(mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// It did not end within 15 seconds.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        wait::until("the gateway ends after SIGTERM", GOES_WITHIN, || self.ended())
    }

    /// Sends a signal by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process is ours")
    }

    /// Processor time so far, user and system, all threads.
    pub fn cpu(&self) -> Duration {
        cpu(self.id())
    }

    /// Resident memory, KiB.
    pub fn resident_kib(&self) -> u64 {
        status_kib(self.id(), "VmRSS:")
    }

    /// The most resident memory that it ever had, KiB.
    pub fn resident_most_kib(&self) -> u64 {
        status_kib(self.id(), "VmHWM:")
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.child.kill().expect("the process is ours");
            self.child.wait().expect("the process is ours");
        }
        if std::thread::panicking() {
            let log = self.log();
            let start = log.char_indices().rev().nth(6_000).map_or(0, |(index, _)| index);
            eprintln!("---- the gateway's last words\n{}\n----", &log[start..]);
        }
    }
}

/// Sends a signal to a process by its name without `SIG`.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).status().expect("a shell");
    assert!(sent.success(), "SIG{name} could not be sent to {id}");
}

/// Processor time of a process so far, user and system, all threads; to 10 ms.
pub fn cpu(id: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process lives");
    let after_name = text.rsplit(") ").next().expect("a name in parentheses");
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_nanos(ticks * NANOS_PER_TICK)
}

/// A line of `/proc/<id>/status` that counts KiB.
pub fn status_kib(id: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

/// A process of ours that is killed when dropped: a far side.
pub struct Running(pub Child);

impl Running {
    /// Starts a program whose outputs go to a file.
    pub fn start(command: &mut Command, log: &Path) -> Running {
        let output = File::create(log).expect("the log can be opened");
        let errors = output.try_clone().expect("a file descriptor to spare");
        Running(command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("a program of this machine"))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that it had ended by itself, which is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
