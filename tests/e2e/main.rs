//! The real binary against real and simulated far sides. Each test says in its name what happens; `rig` holds the plants
//! and the gateway files that most of them share. F-numbers are those of the fault matrix.

mod architecture;
mod rig;
mod commands;
mod writes;
mod buffer;
mod audit;
mod types;
mod simulated_plcs;
mod s7;
mod opcua;
mod brokers;
mod sparkplug;
mod formats;
mod crashes;
mod disks;
mod lanes;
mod outages;
mod kafka;
mod misbehaving_brokers;
mod dead_devices;
mod lying_devices;
mod serial_lines;
mod clocks;
mod upgrades;
mod reload;
mod limits;
mod certificates;
mod derived;
mod service;
mod packages;
mod installed;
mod page;
mod browser;
mod commissioning;
mod access;
