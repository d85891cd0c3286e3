//! What every uplink is given: its place in the log, its quarantine, what it may ask of the readings that went before.

use std::path::Path;
use std::sync::Arc;

use super::StartError;
use crate::config::UplinkConfig;
use crate::pipeline::command::desk::Desk;
use crate::pipeline::deliver::{UplinkSetup, way};
use crate::pipeline::forward::backlog::{Backlog, Stored};
use crate::pipeline::forward::counters::Counters;
use crate::pipeline::forward::leap::Leap;
use crate::pipeline::forward::quarantine::Quarantine;
use crate::pipeline::forward::replay::Jobs;
use crate::pipeline::redate::Redate;
use crate::pipeline::store::StoreHandle;
use crate::uplink::{Delivered, Hold, Site, UplinkSpec};

/// What all uplinks are given.
pub(super) struct North<'a> {
    pub(super) gateway: &'a str,
    pub(super) buffer: &'a Path,
    pub(super) site: &'a Site,
    pub(super) log: &'a StoreHandle,
    pub(super) redate: &'a Arc<Redate>,
    pub(super) desk: &'a Desk,
}

impl North<'_> {
    pub(super) fn setup(&self, uplink: &UplinkConfig, counters: Arc<Counters>) -> Result<UplinkSetup, StartError> {
        let identity = self.log.identity();
        let log = Stored { store: self.log.clone(), uplink: (&*uplink.name).into() };
        let (delivered, hold): (Delivered, Hold) = (delivered_of(&log), hold_of(&log));
        let spec = uplink.spec(self.gateway, &identity.gateway_text());
        let spec = UplinkSpec {
            site: Some(self.site.clone()),
            epoch: identity.epoch,
            delivered: Some(delivered),
            hold: Some(hold),
            ..spec
        };
        if let Some(cause) = way(&spec).err().and_then(|errors| errors.into_iter().next()) {
            return Err(StartError::Uplink { uplink: uplink.name.clone(), cause });
        }
        Ok(UplinkSetup {
            spec,
            drain: uplink.drain,
            log,
            quarantine: Quarantine::beside(self.buffer, &uplink.name),
            leap: Leap::beside(self.buffer, &uplink.name),
            jobs: Jobs::beside(self.buffer),
            redate: self.redate.clone(),
            counters,
            desk: self.desk.clone(),
        })
    }
}

/// What an uplink may ask of its log at any time.
fn delivered_of(log: &Stored) -> Delivered {
    let log = log.clone();
    Arc::new(move || {
        let log = log.clone();
        Box::pin(async move { log.cursor().await.unwrap_or_default() })
    })
}

fn hold_of(log: &Stored) -> Hold {
    let log = log.clone();
    Arc::new(move |seqs| log.store.hold(&log.uplink, seqs))
}
