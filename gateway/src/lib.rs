//! The gateway: the only place where drivers and buffer meet.
//!
//! Read it in the order in which a reading travels: [`config`] says what is wanted, [`pipeline`] polls, stores and
//! forwards, [`uplink`] carries to the far side; [`http`] tells how they do, [`events`] what they said lately; [`reload`]
//! changes the configuration meanwhile; [`command`] is what stands behind each word of the command line.

pub mod backoff;
pub mod clock;
pub mod command;
pub mod config;
pub mod events;
pub mod http;
pub mod pipeline;
pub mod reload;
pub mod systemd;
pub mod uplink;

#[cfg(test)]
mod corpus;
