//! What a request takes of its client's quota.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::client::Sending;
use crate::http::problem::Problem;
use sluice_access::{Amount, Quota};
use sluice_types::record::LogRecord;

/// What a request takes of its client's quota: one record and the bytes that it
/// announces before its body is read, and then what it holds. So of many requests that
/// come at once, few are read. It is given back if this is dropped before
/// [`Self::keep`].
#[derive(Debug, Default)]
pub(crate) struct Charge {
    quota: Option<Arc<Quota>>,
    taken: Amount,
}

impl Charge {
    /// Lets a request in whose body has about so many bytes.
    ///
    /// # Errors
    /// How long the client must wait.
    pub(crate) fn begin(client: &Sending, bytes: usize) -> Result<Self, Duration> {
        let mut charge = Self {
            quota: client.as_ref().map(|client| Arc::clone(client.quota())),
            taken: Amount::default(),
        };
        let bytes = bytes.max(1);
        charge.exchange(Amount { records: 1, bytes })?;
        Ok(charge)
    }

    /// Takes what these records are instead.
    ///
    /// # Errors
    /// How long the client must wait.
    pub(crate) fn settle(&mut self, records: &[LogRecord]) -> Result<(), Duration> {
        if self.quota.is_none() {
            return Ok(());
        }
        let bytes = records.iter().map(LogRecord::size).sum();
        self.exchange(Amount {
            records: records.len(),
            bytes,
        })
    }

    /// The records are accepted.
    pub(crate) fn keep(mut self) {
        self.quota = None;
    }

    fn exchange(&mut self, amount: Amount) -> Result<(), Duration> {
        let Some(quota) = &self.quota else {
            return Ok(());
        };
        let before = std::mem::take(&mut self.taken);
        quota.exchange(before, amount)?;
        self.taken = amount;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(quota) = &self.quota {
            quota.give_back(self.taken);
        }
    }
}

/// Lets a request in whose body announces so many bytes, if the client has sent less
/// than its quota.
///
/// # Errors
/// [`Problem::Quota`], after a moment.
pub(super) async fn within_quota(client: &Sending, bytes: usize) -> Result<Charge, Problem> {
    let charge = Charge::begin(client, bytes);
    let Some(limited) = client.as_ref().filter(|_| charge.is_err()) else {
        return charge.map_err(Problem::Quota);
    };
    sleep(limited.quota().refusal_delay()).await;
    Charge::begin(client, bytes).map_err(Problem::Quota)
}
