//! What a simulated server permits.

/// The limits of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpcUaConfig {
    /// The most operations of one call: reads, writes, browses, monitored items. More are refused as a whole.
    pub operations_max: usize,
    /// The most monitored items of one subscription.
    pub items_max: usize,
    /// The most sessions.
    pub sessions_max: usize,
    /// The most subscriptions of one session.
    pub subscriptions_max: usize,
    /// The fastest sampling and publishing, milliseconds; not below 100.
    pub interval_min_ms: u32,
}

impl Default for OpcUaConfig {
    /// A large server.
    fn default() -> Self {
        Self {
            operations_max: 10_000,
            items_max: 100_000,
            sessions_max: 100,
            subscriptions_max: 100,
            interval_min_ms: 100,
        }
    }
}
