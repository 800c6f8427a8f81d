//! What the HTTP Event Collector says about a body. The codes:
//! <https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector>

use serde::Deserialize;

/// The token may not write to the index.
const INCORRECT_INDEX: u32 = 7;
/// The format, a missing event, a blank event, or the indexed fields.
const ABOUT_THE_EVENT: [u32; 4] = [6, 12, 13, 15];
/// The channel is missing or wrong, acknowledgement is off, or the token must not be in
/// the query.
const ABOUT_THE_CONFIG: [u32; 4] = [10, 11, 14, 16];

/// The body of an answer that is `400`.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    #[serde(default)]
    text: String,
    code: u32,
    /// The place of the first event that is at fault, from 0.
    #[serde(rename = "invalid-event-number")]
    number: Option<usize>,
}

/// Whose fault a `400` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Of the event at this place, which will never be taken.
    Event(usize),
    /// Of the index that is asked for, by the event at this place.
    Index(usize),
    /// Of the config here or there: nothing is wrong with the records.
    Config,
    /// Of some event.
    Unknown,
}

impl Said {
    pub(crate) fn fault(&self) -> Fault {
        match (self.code, self.number) {
            (INCORRECT_INDEX, Some(place)) => Fault::Index(place),
            (INCORRECT_INDEX, None) => Fault::Config,
            (code, _) if ABOUT_THE_CONFIG.contains(&code) => Fault::Config,
            (code, Some(place)) if ABOUT_THE_EVENT.contains(&code) => Fault::Event(place),
            _ => Fault::Unknown,
        }
    }

    pub(crate) fn reason(&self) -> String {
        format!("Splunk answered 400: {} (code {})", self.text, self.code)
    }
}
