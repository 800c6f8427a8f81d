//! How the ids of requests are remembered.

use std::sync::Arc;
use std::time::Duration;

use super::id_log::IdLog;

/// How the ids of requests are remembered.
#[derive(Clone, Debug)]
pub struct IdTerms {
    /// Where they are kept.
    pub log: Arc<dyn IdLog>,
    /// How many are remembered.
    pub capacity: usize,
    /// For how long.
    pub window: Duration,
}
