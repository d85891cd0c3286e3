//! What the kernel knows of a process: processor time, memory, and the cores that it may use.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::gateway;

/// The core of what is measured, and the core of everything that it talks to.
pub(crate) const CORE_OF_MEASURED: &str = "1";
pub(crate) const CORE_OF_THE_REST: &str = "0";

/// Processor time of a process so far, user and system. Exact to the nanosecond for threads that live; time of threads
/// that have ended is in it to 10 ms.
pub(crate) fn processor_time(id: u32) -> Duration {
    gateway::cpu(id).max(of_living_threads(id))
}

fn of_living_threads(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("the process lives");
    // A thread may end between the listing and the reading.
    threads.flatten().filter_map(|thread| on_processor(&thread.path().join("schedstat"))).sum()
}

/// How often threads of a process that live have waited for something so far.
pub(crate) fn waits(id: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("the process lives");
    let waits = |status: String| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
    };
    threads.flatten().filter_map(|thread| waits(fs::read_to_string(thread.path().join("status")).ok()?)).sum()
}

/// Processor time of this process, which has one thread.
pub(crate) fn own_processor_time() -> Duration {
    on_processor(Path::new("/proc/self/schedstat")).expect("a Linux kernel with schedstat")
}

fn on_processor(schedstat: &Path) -> Option<Duration> {
    let text = fs::read_to_string(schedstat).ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// Resident memory, MB (2^20 bytes).
pub(crate) struct Resident {
    /// Now.
    pub(crate) all_mb: f64,
    /// What of it is no page of a file: the program's own pages are given back when memory is short.
    pub(crate) own_mb: f64,
    /// The most that there ever was.
    pub(crate) most_mb: f64,
}

/// Resident memory of a process.
pub(crate) fn resident(id: u32) -> Resident {
    let mb = |name| gateway::status_kib(id, name) as f64 / 1024.0;
    Resident { all_mb: mb("VmRSS:"), own_mb: mb("RssAnon:"), most_mb: mb("VmHWM:") }
}

/// A command that runs on one core.
pub(crate) fn on_core(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// This program.
pub(crate) fn own_program() -> std::path::PathBuf {
    std::env::current_exe().expect("a process knows its program")
}
