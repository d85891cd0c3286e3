//! Simulated PLCs, a broker, and a network that fails on request.
//!
//! [`signal`] makes values, [`modbus`], [`s7`] and [`opcua`] serve them as PLCs would, [`faults`] stands between a client and any
//! server and breaks what passes, [`broker`] takes MQTT. Everything runs on a current-thread runtime, listens where it is told to,
//! and stops when it is dropped.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]

pub mod signal;

pub mod modbus;

pub mod s7;

pub mod opcua;

pub mod faults;

pub mod broker;

mod frame;
mod oracle;
mod place;
mod point;
mod random;

#[cfg(test)]
mod corpus;
