//! Attacks on nodes and on the embedded coordinator: each costs only itself.

mod authority;
mod compilation;
mod connections;
mod coordinator;
mod delivery;
mod disk;
mod plugins;
mod requests;
