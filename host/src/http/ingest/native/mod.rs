//! Sluice's own protocol: `POST /api/v1/log` and `POST /api/v1/logs`.

mod answer;
mod format;
mod handlers;

pub(in crate::http) use answer::to_peer;
pub(in crate::http) use handlers::{is_own, of_node, routes};
