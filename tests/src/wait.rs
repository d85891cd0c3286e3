//! The only place where tests wait: for a condition with a deadline, or through the length of a fault.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take that should be quick; far more than it takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is something.
///
/// # Panics
/// There was nothing within the limit.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(LOOK_EVERY);
    }
}

/// Looks until it is so.
///
/// # Panics
/// It was not so within the limit.
pub fn for_it(what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
    until(what, limit, || look().then_some(()));
}

/// Lets a fault last, or good times pass.
pub fn pass(length: Duration) {
    sleep(length);
}
