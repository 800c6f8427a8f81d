//! Who leads, as Consul says.

use crate::consul::{Client, Error};
use crate::leader::LeaderAddress;

/// The key of a cluster's lock, unless another is given.
pub(super) fn leader_key(given: Option<&str>, cluster: &str) -> String {
    given.map_or_else(|| format!("{cluster}/leader"), str::to_owned)
}

/// Who leads, by the key: only while it is held.
///
/// # Errors
/// No usable answer from Consul.
pub(super) async fn leader(consul: &Client, key: &str) -> Result<Option<LeaderAddress>, Error> {
    let entry = consul.read(key, None).await?.value;
    let held = entry.filter(|entry| entry.session.is_some());
    Ok(held.and_then(|entry| LeaderAddress::from_value(&entry.value)))
}
