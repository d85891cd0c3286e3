//! A schema registry: keeps the schemas of a topic's records, refuses those that its readers could not read, and gives
//! each a number that the records bear.
//!
//! What is spoken is the REST interface of Confluent's Schema Registry (its "Schema Registry API Reference", v1), which
//! Apicurio Registry and Karapace speak too. The registry is asked once, before the first message leaves; a registry that
//! is down keeps the uplink from connecting, and readings wait in the log.

pub mod http;
mod rest;

use std::sync::Arc;
use std::time::Duration;

use driver_core::EndpointUrl;

use super::format::keyed::{Registration, Shape};
use super::stream::Failure;
use super::topic::Template;
use super::{ConnectError, Password, TlsFiles, UplinkError, UplinkSpec};

/// How long one question and its answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A registry as it was configured.
#[derive(Clone)]
pub struct RegistrySpec {
    /// Where it is, such as `http://registry:8081`; a path stands before those of the interface.
    pub url: EndpointUrl,
    /// Who logs in; `None` logs in without a name.
    pub user: Option<Box<str>>,
    /// The password, fetched each time.
    pub password: Option<Password>,
    /// Certificates for https.
    pub tls: TlsFiles,
    /// What is done with a schema that it does not know.
    pub schemas: Schemas,
}

/// What is done with a schema that the registry does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Schemas {
    /// It is checked against those before it and registered.
    #[default]
    Register,
    /// A person registers it: the uplink waits for that.
    LookUp,
}

/// Whether the records of an uplink bear a registry's number.
pub fn is_named(spec: &UplinkSpec) -> bool {
    spec.registry.is_some()
}

/// What the registry keeps the versions of a schema under: by the topic, as its readers expect it; by the record where
/// each device has a topic of its own.
pub fn subject(topic: &Template, shape: Shape) -> Arc<str> {
    if !topic.has_device() && !topic.has_tag() {
        return format!("{}-value", topic.render("", "")).into();
    }
    match shape {
        Shape::Readings => "forebay.Reading".into(),
        Shape::Batches => "forebay.Batch".into(),
    }
}

/// Every wrong part of what was configured.
pub fn check(spec: &RegistrySpec) -> Vec<UplinkError> {
    let mut errors = Vec::new();
    let mut error = |message: &str| errors.push(UplinkError { key: "registry", message: message.into() });
    match spec.url.scheme() {
        "http" if spec.tls != TlsFiles::default() => {
            error("does not use TLS, though certificates are given; write https://");
        }
        "http" | "https" => {}
        _ => error("is reached over http:// or https://, such as http://registry.example:8081"),
    }
    if spec.url.host().is_empty() {
        error("names no host; write, for example, http://registry.example:8081");
    }
    if spec.user.is_some() != spec.password.is_some() {
        error("needs `user` and `password` together");
    }
    if spec.tls.cert.is_some() != spec.tls.key.is_some() {
        error("needs `cert` and `key` together");
    }
    if let Err(wrong) = spec.url.options().finish(&[]) {
        wrong.into_iter().for_each(|wrong| error(&wrong.message));
    }
    errors
}

/// Asks the registry for the number of a schema, once: what was told for a schema never changes.
///
/// # Errors
/// The registry cannot be asked, or refuses; said with what to do.
pub async fn ask(spec: &RegistrySpec, registration: &Registration) -> Result<(), ConnectError> {
    if registration.id.get() != 0 {
        return Ok(());
    }
    match rest::number(spec, registration).await {
        Ok(id) => {
            registration.id.set(id);
            Ok(())
        }
        Err(failure) => Err(unreachable(spec, failure)),
    }
}

/// Looks whether the registry would give a number; nothing is registered.
///
/// # Errors
/// As [`ask`].
pub async fn trial(spec: &RegistrySpec, registration: &Registration) -> Result<(), ConnectError> {
    rest::tried(spec, registration).await.map_err(|failure| unreachable(spec, failure))
}

fn unreachable(spec: &RegistrySpec, failure: Failure) -> ConnectError {
    let endpoint = spec.url.without_options().as_str().to_owned();
    ConnectError { endpoint, cause: failure.cause, advice: failure.advice }
}
