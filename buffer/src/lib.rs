//! The store-and-forward log.
