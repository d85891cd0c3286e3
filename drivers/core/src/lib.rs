//! The driver contract and what every driver shares.
