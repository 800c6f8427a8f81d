//! Sluice's own protocol: `POST /api/v1/log` and `POST /api/v1/logs`.

pub mod decode;
#[cfg(test)]
mod fuzz;
pub(crate) mod record_json;
