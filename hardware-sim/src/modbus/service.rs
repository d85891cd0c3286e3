//! The plant as tokio-modbus wants to see it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_modbus::prelude::SlaveRequest;
use tokio_modbus::server::Service;
use tokio_modbus::{ExceptionCode, Response};

use super::Plant;
use super::answer::{Medium, answer, latency};

/// One connection's view of the plant.
pub(super) struct PlantService {
    plant: Plant,
    medium: Medium,
    _place: Place,
}

/// A place among the connections, free again when it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    /// None if `max` are taken.
    pub(super) fn take(taken: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let more = |n: usize| (n < max).then_some(n + 1);
        taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl PlantService {
    pub(super) fn new(plant: Plant, medium: Medium, place: Place) -> Self {
        Self { plant, medium, _place: place }
    }
}

impl Service for PlantService {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Pin<Box<dyn Future<Output = Result<Option<Response>, ExceptionCode>> + Send>>;

    fn call(&self, request: SlaveRequest<'static>) -> Self::Future {
        let (plant, medium) = (self.plant.clone(), self.medium);
        Box::pin(async move {
            let SlaveRequest { slave, request } = request;
            let latency = latency(&plant, slave, &request);
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            answer(&plant, medium, slave, &request)
        })
    }
}
