//! Apache Kafka as the far side.

mod asks;
mod commands;
mod crashes;
mod facts;
mod formats;
mod logins;
mod sizes;
mod unusual;
