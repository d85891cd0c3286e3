//! The plant as tokio-modbus wants to see it.

use std::future::Future;
use std::pin::Pin;

use tokio_modbus::prelude::SlaveRequest;
use tokio_modbus::server::Service;
use tokio_modbus::{ExceptionCode, Response};

use super::Plant;
use super::answer::{Medium, answer, latency};
use crate::place::Place;

/// One connection's view of the plant.
pub(super) struct PlantService {
    plant: Plant,
    medium: Medium,
    _place: Place,
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
