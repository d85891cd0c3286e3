//! The one place that asks for the time.
//!
//! Scheduling runs on the monotonic clock (tokio's); the wall clock stamps readings and nothing else, so that a clock
//! that jumps, or starts in 1970, changes no poll and no order.

