//! What nodes tell each other of dead letters, in bounded answers.

use serde::{Deserialize, Serialize};

use sluice_delivery::{Cause, Letter};
use sluice_types::plugin::Identity;

/// Which dead letters are asked for. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct LetterQuery {
    /// A part of the source or the digest of the sink.
    pub(crate) plugin: Option<String>,
    /// A part of the reason.
    pub(crate) reason: Option<String>,
    /// A part of the record's text.
    pub(crate) text: Option<String>,
    /// None that was set aside before this time, in RFC 3339.
    pub(crate) since: Option<String>,
    /// Only those that come after this one in the order of pages, the latest first:
    /// the time and the id of the last letter of the page before. Nodes of the version
    /// before do not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<(String, String)>,
    /// How many letters at most.
    pub(crate) limit: usize,
}

/// A dead letter without its record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct LetterHead {
    pub(crate) id: String,
    /// When it was set aside, in RFC 3339.
    pub(crate) time: String,
    pub(crate) cause: Cause,
    /// The beginning of the reason.
    pub(crate) reason: String,
    /// The sink.
    pub(crate) plugin: Identity,
    /// The beginning of the record's text.
    pub(crate) body: String,
}

impl LetterHead {
    /// Its place in the order of pages.
    pub(crate) fn place(&self) -> (&str, &str) {
        (&self.time, &self.id)
    }

    /// For a page that goes on after it.
    pub(crate) fn cursor(&self) -> (String, String) {
        (self.time.clone(), self.id.clone())
    }
}

/// The latest letters that a query admits, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct LetterPage {
    pub(crate) letters: Vec<LetterHead>,
    /// Whether there are more, or may be: not all could be read in time.
    pub(crate) more: bool,
}

/// Letters that were asked for by their ids.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct ReadLetters {
    /// Those that there are, in the order of the ids.
    pub(crate) letters: Vec<Letter>,
    /// How many of the ids were looked at. The rest did not fit.
    pub(crate) looked_at: usize,
}
