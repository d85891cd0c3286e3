//! Subscriptions: making them, and the tasks that wait for what the server publishes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use driver_core::LinkError;
use opcua::client::Session as UaSession;
use opcua::client::UARequest;
use opcua::client::services::{CreateMonitoredItems, CreateSubscription, DeleteMonitoredItems, DeleteSubscriptions};
use opcua::client::services::{Publish, Republish, TransferSubscriptions};
use opcua::types::{
    AttributeId, CallMethodRequest, DataChangeFilter, DataChangeTrigger, DeadbandType, ExtensionObject, MethodId,
    MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId, NotificationMessage, ObjectTypeId,
    ReadValueId, StatusCode, SubscriptionAcknowledgement, TimestampsToReturn,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::request::Batch;
use super::{Fault, Session};
use crate::events;

/// Publish requests that wait at the server.
const WAITING: usize = 3;
/// Messages that wait here; beyond them no more are asked for, and the server's queues fill.
const MESSAGES_MAX: usize = 256;
/// How often a subscription without values is to be heard.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long the server keeps a subscription of which nothing is fetched.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long a Publish may wait at the server.
const PUBLISH_MAX: Duration = Duration::from_secs(60);
/// The pause after a Publish that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// A message of a subscription.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) subscription: u32,
    pub(crate) message: NotificationMessage,
    pub(crate) rest: Rest,
}

/// Whether the server had more to tell of a subscription when it sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    None,
    Waits,
}

/// The tasks that fetch what is published.
#[derive(Debug)]
pub(super) struct Publishers {
    pub(super) inbox: mpsc::Receiver<Published>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Publishers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Publishers {
    fn start(session: &Arc<UaSession>, acks: &Acks) -> Publishers {
        let (out, inbox) = mpsc::channel(MESSAGES_MAX);
        let tasks = (0..WAITING).map(|_| tokio::spawn(fetch(session.clone(), acks.clone(), out.clone()))).collect();
        Publishers { inbox, tasks }
    }
}

/// The messages that were handed over, for the next Publish to say so.
#[derive(Debug, Clone, Default)]
pub(super) struct Acks(Arc<Mutex<Vec<SubscriptionAcknowledgement>>>);

impl Acks {
    fn push(&self, ack: SubscriptionAcknowledgement) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
    }

    fn take(&self) -> Vec<SubscriptionAcknowledgement> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Fetches what is published until nobody wants it any more.
async fn fetch(session: Arc<UaSession>, acks: Acks, out: mpsc::Sender<Published>) {
    loop {
        let request = Publish::new(&session).acks(acks.take()).timeout(PUBLISH_MAX).send(session.channel());
        match tokio::time::timeout(PUBLISH_MAX + PAUSE, request).await {
            Ok(Ok(answer)) => {
                let (subscription, message) = (answer.subscription_id, answer.notification_message);
                let rest = if answer.more_notifications { Rest::Waits } else { Rest::None };
                if out.send(Published { subscription, message, rest }).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) if error.status() == StatusCode::BadTooManyPublishRequests => {
                // The server wants fewer of them: this one rests for as long as a subscription may be silent.
                tokio::time::sleep(SIGN_OF_LIFE).await;
            }
            Ok(Err(_)) => tokio::time::sleep(PAUSE).await,
            Err(_) => {}
        }
    }
}

/// What the server made of a subscription that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) id: u32,
    /// A living one is heard at least this often.
    pub(crate) silence_max: Duration,
}

/// One tag to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) node: NodeId,
    /// Comes back with each of its values; not 0.
    pub(crate) handle: u32,
    pub(crate) sampling: Duration,
    pub(crate) queue: u32,
    pub(crate) what: Watched,
}

/// What of a node is watched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Watched {
    /// Its value; changes up to the deadband, in the value's own unit, are not told.
    Value { deadband: Option<f64> },
    /// The events below it.
    Events,
    /// The events that say that the address space has changed.
    ModelChanges,
}

impl Watched {
    fn attribute(self) -> AttributeId {
        match self {
            Watched::Value { .. } => AttributeId::Value,
            Watched::Events | Watched::ModelChanges => AttributeId::EventNotifier,
        }
    }

    fn filter(self) -> ExtensionObject {
        match self {
            Watched::Value { deadband: None } => ExtensionObject::null(),
            Watched::Value { deadband: Some(width) } => ExtensionObject::from_message(DataChangeFilter {
                trigger: DataChangeTrigger::StatusValue,
                deadband_type: DeadbandType::Absolute as u32,
                deadband_value: width,
            }),
            Watched::Events => events::all(),
            Watched::ModelChanges => events::model_changes(),
        }
    }
}

impl Session {
    /// Makes a subscription that publishes each `interval`.
    pub(crate) async fn subscribe(&mut self, interval: Duration) -> Result<Made, Fault> {
        let counts = |time: Duration| u32::try_from(time.as_millis() / interval.as_millis().max(1)).unwrap_or(u32::MAX);
        let signs = counts(SIGN_OF_LIFE).max(1);
        let lifetime = counts(LIFETIME).max(signs.saturating_mul(3));
        let inner = self.inner.clone();
        let request = CreateSubscription::new(&inner)
            .publishing_interval(interval)
            .max_keep_alive_count(signs)
            .max_lifetime_count(lifetime)
            .send(inner.channel());
        let made = self.answer(request).await?;
        self.publish();
        let published = Duration::try_from_secs_f64(made.revised_publishing_interval / 1e3).unwrap_or(interval);
        let signs = published.saturating_mul(made.revised_max_keep_alive_count.max(1)).min(LIFETIME);
        Ok(Made { id: made.subscription_id, silence_max: signs + published * 2 + self.timeout })
    }

    /// Begins to fetch what is published.
    pub(crate) fn publish(&mut self) {
        if self.publishers.is_none() {
            self.publishers = Some(Publishers::start(&self.inner, &self.acks));
        }
    }

    /// Tells the server, with the next Publish, that it need not keep a message any longer.
    pub(crate) fn acknowledge(&self, subscription_id: u32, sequence_number: u32) {
        self.acks.push(SubscriptionAcknowledgement { subscription_id, sequence_number });
    }

    /// Takes over a subscription from a session that is gone (Part 4, 5.14.7). Gives the numbers of the messages that the
    /// server still keeps of it; it tells every value anew.
    pub(crate) async fn transfer(&mut self, id: u32) -> Result<Vec<u32>, Fault> {
        let inner = self.inner.clone();
        let request =
            TransferSubscriptions::new(&inner).subscription(id).send_initial_values(true).send(inner.channel());
        let result = self.answer(request).await?.results.into_iter().flatten().next();
        match result {
            Some(result) if result.status_code.is_good() => Ok(result.available_sequence_numbers.unwrap_or_default()),
            Some(result) => Err(Fault::Refused(result.status_code)),
            None => Err(Fault::Refused(StatusCode::BadUnknownResponse)),
        }
    }

    /// Ends a subscription; that the server does not know it any more is no fault.
    pub(crate) async fn unsubscribe(&mut self, id: u32) -> Result<(), Fault> {
        let inner = self.inner.clone();
        let request = DeleteSubscriptions::new(&inner).subscription(id).send(inner.channel());
        self.answer(request).await.map(drop)
    }

    /// Has the server watch these tags; for each its own number of the item, or why not.
    pub(crate) async fn watch(&mut self, subscription: u32, tags: &[Watch]) -> Batch<Result<u32, StatusCode>> {
        let item = |tag: &Watch| MonitoredItemCreateRequest {
            item_to_monitor: ReadValueId {
                node_id: tag.node.clone(),
                attribute_id: tag.what.attribute() as u32,
                ..ReadValueId::default()
            },
            monitoring_mode: MonitoringMode::Reporting,
            requested_parameters: MonitoringParameters {
                client_handle: tag.handle,
                sampling_interval: tag.sampling.as_secs_f64() * 1e3,
                queue_size: tag.queue,
                discard_oldest: true,
                filter: tag.what.filter(),
            },
        };
        let inner = self.inner.clone();
        let request = CreateMonitoredItems::new(subscription, &inner)
            .timestamps_to_return(TimestampsToReturn::Both)
            .items_to_create(tags.iter().map(item).collect())
            .send(inner.channel());
        let made = self.answer(request).await?;
        if made.results.len() != tags.len() {
            return Err(Fault::Refused(StatusCode::BadUnknownResponse));
        }
        let result = |made: opcua::types::MonitoredItemCreateResult| {
            if made.status_code.is_bad() { Err(made.status_code) } else { Ok(made.monitored_item_id) }
        };
        Ok(made.results.into_iter().map(|made| result(made.result)).collect())
    }

    /// Has the server watch these items no more.
    pub(crate) async fn unwatch(&mut self, subscription: u32, items: Vec<u32>) -> Result<(), Fault> {
        let inner = self.inner.clone();
        let request = DeleteMonitoredItems::new(subscription, &inner).items_to_delete(items).send(inner.channel());
        self.answer(request).await.map(drop)
    }

    /// A message that was missed, once more.
    pub(crate) async fn republish(&mut self, subscription: u32, number: u32) -> Result<NotificationMessage, Fault> {
        let inner = self.inner.clone();
        let request = Republish::new(subscription, number, &inner).send(inner.channel());
        self.answer(request).await.map(|answer| answer.notification_message)
    }

    /// Has the server tell all conditions that hold (Part 9, 5.5.7). One that has none refuses, and that is all right.
    pub(crate) async fn refresh_conditions(&mut self, subscription: u32) -> Result<(), LinkError> {
        let refresh = CallMethodRequest {
            object_id: ObjectTypeId::ConditionType.into(),
            method_id: MethodId::ConditionType_ConditionRefresh.into(),
            input_arguments: Some(vec![subscription.into()]),
        };
        let inner = self.inner.clone();
        match self.answer(inner.call(vec![refresh])).await {
            Err(Fault::Over(over)) => Err(over),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The next message that has arrived, without waiting.
    pub(crate) fn published(&mut self) -> Option<Published> {
        self.publishers.as_mut()?.inbox.try_recv().ok()
    }

    /// Waits for a message.
    pub(crate) async fn wait_published(&mut self) -> Published {
        match &mut self.publishers {
            Some(publishers) => match publishers.inbox.recv().await {
                Some(published) => published,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// Whether the library has ended the session.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}
