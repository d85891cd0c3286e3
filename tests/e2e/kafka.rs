//! Apache Kafka as the far side.

mod apps;
mod asks;
mod commands;
mod copies;
mod crashes;
mod facts;
mod formats;
mod levels;
mod logins;
mod power;
mod silence;
mod sizes;
mod unusual;
