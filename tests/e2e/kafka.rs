//! Apache Kafka as the far side.

mod asks;
mod facts;
mod logins;
