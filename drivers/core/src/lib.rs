//! The driver contract, and what every driver shares.
//!
//! A [`Driver`] turns a URL and a list of tags into planned [`Device`]s without touching the network, then opens a
//! [`Connection`] that polls them. A [`Line`] joins the three behind one object-safe face and holds the rules that every
//! driver obeys: one reading for each tag that was due, and a connection that is dropped after its first link error.
//! The modules stand in the order in which one should read them: the contract, what is asked of it, what it answers, how
//! addresses and types are written, and the pure parts that drivers share.
//!
//! Nothing here knows an uplink, a buffer or a gateway: these crates are a library of their own, with which a Rust
//! program reads any PLC by URL.

mod driver;
mod line;

mod error;
mod spec;
mod url;

mod quality;
mod reading;
mod tag;
mod tap;
mod text;
mod time;
mod value;

mod address;
mod calendar;
mod data_type;
mod order;

mod codec;
mod fingerprint;
pub mod glob;
mod receive;
mod scale;
mod span;

#[cfg(feature = "testkit")]
pub mod testkit;

#[cfg(test)]
mod corpus;

pub use address::{AddressError, AddressParts, ELEMENTS_MAX, STRING_MAX, Typed, nearest, parse_type};
pub use calendar::Date;
pub use codec::{Decoder, Field, Layout};
pub use data_type::DataType;
pub use driver::{
    BrowseError, Connection, Contact, Device, Driver, DriverInfo, Entry, EntryKind, Fact, FarCertificate, FoundTag,
    Plan, PlannedRequest, Reports, TagText, WriteOutcome,
};
pub use error::{LinkError, Place, SpecError, WriteError};
pub use fingerprint::fingerprint;
pub use line::{AnyDriver, BoxFuture, Line};
pub use order::Order;
pub use quality::{Level, Quality, Reason};
pub use reading::{Reading, Readings, Tense};
pub use receive::ReceiveBuffer;
pub use scale::{Scale, Target};
pub use span::{CostModel, Piece, Point, Span, spans};
pub use spec::{DeviceSpec, LineSpec, TagSpec, TagSpecs, WatchSpec};
pub use tag::{GroupId, TagId};
pub use tap::{Tap, Watch, Way};
pub use text::parse_value;
pub use time::{Clock, ClockState, SystemClock, Timestamp};
pub use url::{EndpointUrl, Options, parse_duration};
pub use value::Value;
