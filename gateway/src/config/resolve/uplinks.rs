//! Uplinks, checked by their own kind.

use std::path::PathBuf;

use driver_core::{EndpointUrl, Place, SpecError};

use super::place::{hide_login, part_of};
use crate::config::checked::{RegistryConfig, UplinkConfig};
use crate::config::form::{Context, Named};
use crate::config::near::nearest;
use crate::config::raw::{RawRegistry, RawTls, RawTopics, RawUplink};
use crate::config::source::{Source, Span, Spanned};
use crate::pipeline::forward::route::Drain;
use crate::uplink::{TlsFiles, TopicsSpec, UplinkError, registry};

/// All uplinks that can be used.
pub(super) fn uplinks(
    gateway: &str,
    raw: &[Named<'_, RawUplink<'_>>],
    drain: Drain,
    source: &Source,
    context: &mut Context<'_>,
) -> Vec<UplinkConfig> {
    raw.iter().filter_map(|uplink| self::uplink(gateway, uplink, drain, source, context)).collect()
}

fn uplink(
    gateway: &str,
    raw: &Named<'_, RawUplink<'_>>,
    drain: Drain,
    source: &Source,
    context: &mut Context<'_>,
) -> Option<UplinkConfig> {
    let written = raw.value.url?;
    hide_login(source, written.span, context.faults);
    let url = match written.value.parse::<EndpointUrl>() {
        Ok(url) => with_options(url, &raw.value, context)?,
        Err(SpecError { place, message }) => {
            let range = if let Place::Url(range) = place { range } else { 0..written.value.len() };
            context.faults.error(part_of(source, written, range), message, "");
            return None;
        }
    };
    let Some(kind) = context.kinds.uplink(url.scheme()) else {
        no_uplink(&url, written, source, context);
        return None;
    };
    let registry = match &raw.value.registry {
        Some(written) => Some(self::registry(&written.value, source, context)?),
        None => None,
    };
    let text = |text: Option<Spanned<&str>>| text.map(|text| text.value.into());
    let RawUplink { topic, format, payload, user, password, tls, .. } = &raw.value;
    let config = UplinkConfig {
        name: raw.name.into(),
        url,
        topic: text(*topic),
        format: text(*format),
        payload: text(*payload),
        user: text(*user),
        password: password.as_ref().map(|password| password.value.clone()),
        drain: raw.value.drain.map_or(drain, |drain| drain.value),
        lag_max: raw.value.lag_max,
        tls: files(tls),
        registry,
        create_topics: raw.value.create_topics.as_ref().map(|topics| topics_spec(&topics.value)),
    };
    let spec = config.spec(gateway, "");
    let opened = kind.open(&spec).and_then(|way| match spec.registry.as_ref().map(registry::check) {
        Some(errors) if !errors.is_empty() => Err(errors),
        Some(_) if way.format.registration().is_none() => {
            let message = "is not asked for this format; write `format: avro`, `protobuf` or `json-schema`".into();
            Err(vec![UplinkError { key: "registry", message }])
        }
        _ if spec.create_topics.is_some() && !spec.url.scheme().starts_with("kafka") => {
            let message = "is for Kafka; brokers of MQTT make topics by themselves".into();
            Err(vec![UplinkError { key: "create_topics", message }])
        }
        _ => Ok(()),
    });
    match opened {
        Ok(()) => Some(config),
        Err(errors) => {
            errors.into_iter().for_each(|error| {
                // A message that names nothing first is about the key.
                let message = if error.message.starts_with('`') { error.message.clone() } else { error.to_string() };
                context.faults.error(place_of(&error, raw, source), message, "");
            });
            None
        }
    }
}

/// A registry whose URL is one.
fn registry(raw: &RawRegistry<'_>, source: &Source, context: &mut Context<'_>) -> Option<RegistryConfig> {
    let written = raw.url?;
    hide_login(source, written.span, context.faults);
    match written.value.parse::<EndpointUrl>() {
        Ok(url) => Some(RegistryConfig {
            url,
            user: raw.user.map(|user| user.value.into()),
            password: raw.password.as_ref().map(|password| password.value.clone()),
            tls: files(&raw.tls),
            schemas: raw.schemas,
        }),
        Err(SpecError { place, message }) => {
            let range = if let Place::Url(range) = place { range } else { 0..written.value.len() };
            context.faults.error(part_of(source, written, range), message, "");
            None
        }
    }
}

fn topics_spec(raw: &RawTopics<'_>) -> TopicsSpec {
    TopicsSpec {
        partitions: raw.partitions.map(|number| number.value),
        replication: raw.replication.map(|number| number.value),
        settings: raw.settings.iter().map(|setting| (setting.name.into(), setting.value.into())).collect(),
    }
}

fn files(raw: &RawTls<'_>) -> TlsFiles {
    let file = |text: Option<Spanned<&str>>| text.map(|text| PathBuf::from(text.value));
    TlsFiles { ca: file(raw.ca), cert: file(raw.cert), key: file(raw.key) }
}

fn no_uplink(url: &EndpointUrl, written: Spanned<&str>, source: &Source, context: &mut Context<'_>) {
    let scheme = url.scheme();
    let known: Vec<&str> = context.kinds.uplink_schemes().collect();
    let help = match nearest(scheme, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Uplinks here: {}", known.join(", ")),
        None if context.kinds.driver(scheme).is_some() => "that is a device: it stands under `devices`".into(),
        None => format!("uplinks here: {}", known.join(", ")),
    };
    let span = part_of(source, written, 0..scheme.len());
    context.faults.error(span, format!("this build has no uplink for `{scheme}`"), help);
}

/// The URL with the options that were written as keys in its query.
fn with_options(url: EndpointUrl, raw: &RawUplink<'_>, context: &mut Context<'_>) -> Option<EndpointUrl> {
    let mut text = url.as_str().to_string();
    let before = context.faults.errors();
    for (name, option) in &raw.options {
        if url.options().text(name).is_some() {
            let message = format!("`{name}` stands in the URL already");
            context.faults.error(option.span, message, "keep one of the two");
        }
        if option.value.contains('&') {
            let message = format!("`&` cannot stand in `{name}`");
            context.faults.error(option.span, message, "write another character");
        }
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(name);
        text.push('=');
        text.push_str(option.value);
    }
    if context.faults.errors() > before {
        return None;
    }
    match text.parse() {
        Ok(url) => Some(url),
        Err(SpecError { message, .. }) => {
            context.faults.error(raw.url.map(|url| url.span).unwrap_or_default(), message, "");
            None
        }
    }
}

/// Where the value stands that an uplink found wrong.
fn place_of(error: &UplinkError, raw: &Named<'_, RawUplink<'_>>, source: &Source) -> Span {
    let uplink = &raw.value;
    let text = match error.key {
        "url" => return in_url(error, uplink, source).unwrap_or(raw.span),
        "topic" => uplink.topic,
        "format" => uplink.format,
        "payload" => uplink.payload.or(uplink.format),
        "user" => uplink.user,
        "tls" => uplink.tls.cert.or(uplink.tls.key).or(uplink.tls.ca),
        "ca" => uplink.tls.ca,
        "cert" => uplink.tls.cert,
        "key" => uplink.tls.key,
        _ => None,
    };
    let topics = uplink.create_topics.as_ref().filter(|_| error.key == "create_topics").map(|topics| topics.span);
    let registry = uplink.registry.as_ref().filter(|_| error.key == "registry").map(|registry| registry.span);
    let password = uplink.password.as_ref().filter(|_| error.key == "password").map(|password| password.span);
    text.map(|text| text.span).or(password).or(registry).or(topics).unwrap_or(raw.span)
}

/// What is wrong with an option is said of the URL, and the message names the option first. The option may stand in the
/// URL or beside it.
fn in_url(error: &UplinkError, uplink: &RawUplink<'_>, source: &Source) -> Option<Span> {
    let url = uplink.url?;
    let word = error.message.split('`').nth(1).unwrap_or_default();
    if let Some((_, option)) = uplink.options.iter().find(|(name, _)| *name == word) {
        return Some(option.span);
    }
    let start = url.value.find(word).filter(|_| !word.is_empty());
    Some(start.map_or(url.span, |start| part_of(source, url, start..start + word.len())))
}
