//! Polls that pause wherever they may.

use crate::{GroupId, Line, LinkError, Reading, Readings, SystemClock};

/// Polls a group in as many parts as the driver makes of it when something waits all the time; the readings, and how often
/// it paused.
///
/// # Errors
/// The connection is over.
pub async fn poll_in_parts(
    line: &mut dyn Line,
    device: usize,
    group: GroupId,
) -> Result<(Vec<Reading>, usize), LinkError> {
    let (mut readings, mut pauses) = (Vec::new(), 0);
    let waits = || true;
    loop {
        let mut out = Readings::new(&mut readings, &SystemClock).pausing(&waits);
        if pauses > 0 {
            out = out.going_on();
        }
        line.poll(device, group, &mut out).await?;
        if !out.has_paused() {
            return Ok((readings, pauses));
        }
        pauses += 1;
    }
}
