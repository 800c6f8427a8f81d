//! Bindings generated from `wit/`, one file per version. Only this crate sees
//! them.

pub(crate) mod v0_1;
pub(crate) mod v0_2;
