//! A publisher that asks the registry before it connects.

use super::RegistrySpec;
use super::rest::number;
use crate::pipeline::command::{Answer, ReplyTo};
use crate::uplink::format::keyed::Registration;
use crate::uplink::{BoxFuture, ConnectError, Event, Message, Publisher, Traffic};

/// Another publisher, whose messages need a number from the registry.
pub(super) struct Registering {
    inner: Box<dyn Publisher>,
    spec: RegistrySpec,
    registration: Registration,
}

impl Registering {
    pub(super) fn new(inner: Box<dyn Publisher>, spec: RegistrySpec, registration: Registration) -> Registering {
        Registering { inner, spec, registration }
    }

    /// Asks once: what was told for a schema never changes.
    async fn ask(&mut self) -> Result<(), ConnectError> {
        if self.registration.id.get() != 0 {
            return Ok(());
        }
        match number(&self.spec, &self.registration).await {
            Ok(id) => {
                self.registration.id.set(id);
                Ok(())
            }
            Err(failure) => {
                let endpoint = self.spec.url.without_options().as_str().to_owned();
                Err(ConnectError { endpoint, cause: failure.cause, advice: failure.advice })
            }
        }
    }
}

impl Publisher for Registering {
    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn connect(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            self.ask().await?;
            self.inner.connect().await
        })
    }

    fn room(&self) -> usize {
        self.inner.room()
    }

    fn send(&mut self, message: &Message) {
        self.inner.send(message);
    }

    fn events<'a>(&'a mut self, events: &'a mut Vec<Event>) -> BoxFuture<'a, ()> {
        self.inner.events(events)
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }

    fn answer(&mut self, to: ReplyTo, answer: &Answer) {
        self.inner.answer(to, answer);
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
