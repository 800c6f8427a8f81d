//! A stream: who takes its requests, which sink runs, and what becomes of the
//! journal when another node leads.

mod door;
mod handover;
mod swap;
mod takeover;
mod tenure;

pub use door::Door;
pub use handover::Handovers;
pub use takeover::{NotNow, Takeover};
pub use tenure::Tenures;
