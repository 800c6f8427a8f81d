//! Registries of the distribution specification, and in them the Wasm artifacts
//! that `wkg` writes and reads: a manifest, a config and one layer, the component.

mod authorization;
mod client;
mod credentials;
mod error;
mod manifest;
mod media_types;
mod pull;
mod push;
mod session;
#[cfg(test)]
mod tests;

pub(crate) use client::Registry;
pub(crate) use error::RegistryError;
pub(crate) use pull::Layer;
