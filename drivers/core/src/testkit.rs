//! Tests for drivers: dialogues with a scripted far side, as text files, and the contract that every connection keeps.
//!
//! ```text
//! # What this dialogue shows.
//! url modbus-tcp://{far}?timeout=200ms     the far side's host and port are put in
//! tag hr:0:INT                             one line for each tag
//!
//! poll answered | 215                      a poll: what it comes to, and the reading of each tag
//! > 00 01 00 00 00 06 01 03 00 00 00 01    the far side expects exactly these bytes,
//! ~ 50ms                                   waits,
//! < 00 01 00 00 00 05 01 03 02 00 D7       answers,
//! ! close                                  closes the connection and takes the next one
//! ```
//! A poll comes to `answered`, `silent` or `lost`; after `lost` a new connection is made. A reading is a value as it is
//! printed, or `bad REASON [STATUS]`. Beside `poll` there are `write TAG VALUE | written VALUE`, `write TAG VALUE | failed`,
//! `touch answered` and `identify | label=text | …`.

pub mod contract;
pub mod dialogue;
pub mod far;
pub mod pausing;
