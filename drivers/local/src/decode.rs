//! Raw numbers of chips to quantities: the arithmetic of data sheets and standards.

pub(crate) mod bme280;
pub(crate) mod rtd;
