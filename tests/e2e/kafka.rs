//! Apache Kafka as the far side.

mod apps;
mod asks;
mod commands;
mod crashes;
mod facts;
mod formats;
mod levels;
mod logins;
mod silence;
mod sizes;
mod unusual;
