//! An uplink that understands just enough.

use std::sync::Arc;

use crate::uplink::format::{Format, Missing, Records};
use crate::uplink::topic::{Rules, Template};
use crate::uplink::{
    BoxFuture, ConnectError, Event, ListsTags, Message, Publisher, Traffic, Trial, Uplink, UplinkError, UplinkInfo,
    UplinkSpec, Way,
};

pub(super) struct Broker;

impl Uplink for Broker {
    fn info(&self) -> &'static UplinkInfo {
        const INFO: UplinkInfo = UplinkInfo {
            name: "broker",
            schemes: &["mqtt", "mqtts"],
            sample: "",
            options: OPTIONS,
            lists_tags: ListsTags::Formats,
        };
        &INFO
    }

    fn open(&self, spec: &UplinkSpec) -> Result<Way, Vec<UplinkError>> {
        let mut options = spec.url.options();
        options.parse("qos", "0 or 1", |text| matches!(text, "0" | "1").then_some(()));
        options.text("client_id");
        let mut errors: Vec<UplinkError> = Vec::new();
        if let Err(wrong) = options.finish(OPTIONS) {
            errors.extend(wrong.into_iter().map(UplinkError::from));
        }
        let topic = spec.topic.as_deref().unwrap_or("{gateway}");
        errors.extend(Template::parse(topic, &spec.gateway, Rules::Mqtt).err());
        if errors.is_empty() {
            Ok(Way { format: Box::new(Nowhere), publisher: Box::new(Nowhere) })
        } else {
            Err(errors)
        }
    }

    fn trial(&self, _: &UplinkSpec) -> Result<Trial, Vec<UplinkError>> {
        unreachable!("the configuration touches no network")
    }
}

const OPTIONS: &[(&str, &str)] = &[("qos", "0 or 1"), ("client_id", "the name of the session")];

/// The configuration opens no way; so nobody walks on this one.
struct Nowhere;

impl Format for Nowhere {
    fn begin(&mut self, _: Records) {}

    fn next(&mut self) -> Option<Message> {
        None
    }

    fn gap(&mut self, _: &Missing) -> Message {
        unreachable!("nothing is forwarded")
    }

    fn another(&self) -> Box<dyn Format> {
        Box::new(Nowhere)
    }
}

impl Publisher for Nowhere {
    fn endpoint(&self) -> &str {
        "nowhere"
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        unreachable!("the configuration touches no network")
    }

    fn room(&self) -> usize {
        0
    }

    fn send(&mut self, _: &Arc<Message>) {}

    fn events<'a>(&'a mut self, _: &'a mut Vec<Event>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}
