//! Splunk's HTTP Event Collector: what its clients send to
//! `/services/collector`, and what they read of an answer.

pub mod ack;
pub mod answer;
pub mod event;
#[cfg(test)]
mod fuzz;
mod payload;
pub mod raw;
pub mod route;
#[cfg(test)]
mod tests;

use sluice_types::record::Text;

/// Attributes that have what an event says of its origin.
const HOST: Text = Text::from_static("host.name");
const SOURCE: Text = Text::from_static("splunk.source");
const SOURCETYPE: Text = Text::from_static("splunk.sourcetype");
const INDEX: Text = Text::from_static("splunk.index");
