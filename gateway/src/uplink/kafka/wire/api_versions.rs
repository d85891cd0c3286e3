//! ApiVersions (18), version 0: which versions of which requests the broker understands.

use super::{Encoding, Malformed, Reader, Request, Writer};

/// Asks for all.
#[derive(Debug)]
pub struct ApiVersions;

/// The versions of one request, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiRange {
    /// The API's number.
    pub key: i16,
    /// The lowest version.
    pub min: i16,
    /// The highest version.
    pub max: i16,
}

impl Request for ApiVersions {
    const KEY: i16 = 18;
    const VERSION: i16 = 0;
    const ENCODING: Encoding = Encoding::Plain;
    type Answer = (i16, Vec<ApiRange>);

    fn write(&self, _out: &mut Writer) {}

    fn read(answer: &mut Reader) -> Result<(i16, Vec<ApiRange>), Malformed> {
        let error = answer.i16()?;
        let ranges = answer.array(|range| Ok(ApiRange { key: range.i16()?, min: range.i16()?, max: range.i16()? }))?;
        Ok((error, ranges))
    }
}
