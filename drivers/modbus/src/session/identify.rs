//! Reading a device's whole identification, which it may hand out in several parts.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Session, TransactError};
use crate::wire::{IdentificationLevel, Mismatch, Request, Response};

/// Most parts that are asked for; a device that announces more goes in circles.
const PARTS_MAX: usize = 64;

/// What a device says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Object ids with their texts, in the device's order; 0 is the vendor, 1 the product code, 2 the revision.
    pub objects: Vec<(u8, String)>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// Reads the identification with as many requests as the device needs, all before `deadline`.
    ///
    /// # Errors
    /// See [`TransactError`]. Many devices do not know the function and refuse with exception 01.
    pub async fn identify(
        &mut self,
        unit: u8,
        level: IdentificationLevel,
        deadline: Instant,
    ) -> Result<Identity, TransactError> {
        let mut identity = Identity::default();
        let mut object = 0;
        for _ in 0..PARTS_MAX {
            let request = Request::ReadDeviceIdentification { level, object };
            let Response::Identification(part) = self.transact(unit, &request, deadline).await? else { break };
            identity.objects.extend(part.objects().map(|(id, text)| (id, String::from_utf8_lossy(text).into_owned())));
            match part.next_object {
                Some(next) if next > object => object = next,
                Some(_) => break,
                None => return Ok(identity),
            }
        }
        Err(TransactError::Timeout { dropped: Some(Mismatch::Content) })
    }
}
