//! Sluice's own protocol: `POST /api/v1/log` and `POST /api/v1/logs`.

mod answer;
mod decode;
mod format;
#[cfg(test)]
mod fuzz;
mod handlers;
mod record_json;
mod time;

pub(in crate::http) use answer::to_peer;
pub(in crate::http) use handlers::routes;
