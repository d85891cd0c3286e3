//! Work that blocks, away from the thread that polls.

use std::time::Duration;

use driver_core::LinkError;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::LocalEndpoint;

/// A bus that is lent to a thread for each piece of work.
pub(crate) struct Worker<B> {
    /// Gone while a piece of work has not come back: then the connection is over.
    bus: Option<B>,
    endpoint: String,
    patience: Duration,
}

impl<B: Send + 'static> Worker<B> {
    pub(crate) fn new(endpoint: &LocalEndpoint, bus: B) -> Worker<B> {
        Worker { bus: Some(bus), endpoint: endpoint.to_string(), patience: endpoint.timeout }
    }

    /// Does the work; what takes too long is left to end by itself, and the bus is opened anew.
    pub(crate) async fn run<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut B) -> R + Send + 'static,
    ) -> Result<R, LinkError> {
        let Some(mut bus) = self.bus.take() else { return Err(self.lost("an earlier request has not come back")) };
        let task = spawn_blocking(move || {
            let result = work(&mut bus);
            (bus, result)
        });
        match timeout(self.patience, task).await {
            Ok(Ok((bus, result))) => {
                self.bus = Some(bus);
                Ok(result)
            }
            Ok(Err(cause)) => Err(self.lost(&cause.to_string())),
            Err(_) => Err(LinkError::Timeout {
                endpoint: self.endpoint.clone(),
                after_ms: u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX),
                advice: "a chip may hold the bus: look at its supply and wiring, or allow more with timeout=",
            }),
        }
    }

    pub(crate) fn lost(&self, cause: &str) -> LinkError {
        LinkError::Lost { endpoint: self.endpoint.clone(), cause: cause.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_does_not_come_back_in_time_ends_the_connection() {
        let endpoint = LocalEndpoint::parse(&"w1:///?timeout=20ms".parse().expect("a URL"), None).expect("an endpoint");
        let mut worker = Worker::new(&endpoint, 7);
        assert_eq!(worker.run(|bus| *bus + 1).await.ok(), Some(8));
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let late = worker.run(move |_| wait.recv().is_err()).await;
        assert!(matches!(late, Err(LinkError::Timeout { after_ms: 20, .. })));
        drop(release);
        assert!(matches!(worker.run(|bus| *bus).await, Err(LinkError::Lost { .. })));
    }
}
