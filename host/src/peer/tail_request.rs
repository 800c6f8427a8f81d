//! What a client wants to see of the records that pass.

use serde::{Deserialize, Serialize};

use sluice_types::record_document::SeverityDocument;

/// Records per second that a client gets unless it asks for another number.
pub(crate) const LIMIT_DEFAULT: u32 = 100;
/// The most records per second that a client can ask for.
pub(crate) const LIMIT_MAX: u32 = 1000;
/// The most bytes of each text that is looked for.
const TEXT_BYTES_MAX: usize = 1024;
/// The most attributes that are looked for.
const ATTRIBUTES_MAX: usize = 16;

/// Asks a node for records as they pass. All conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct TailRequest {
    /// A part of the record's text, exactly as it is there.
    pub(crate) filter: Option<String>,
    /// The least severity. Records without one are not shown then.
    pub(crate) severity: Option<SeverityDocument>,
    /// Names of attributes, and the whole values as text.
    pub(crate) attributes: Vec<(String, String)>,
    /// Records per second.
    pub(crate) limit: u32,
    /// Whether a node that does not lead shows the records of the leader.
    /// Otherwise the answer ends when the node no longer leads.
    pub(crate) follow: bool,
}

impl Default for TailRequest {
    fn default() -> Self {
        Self {
            filter: None,
            severity: None,
            attributes: Vec::new(),
            limit: LIMIT_DEFAULT,
            follow: true,
        }
    }
}

impl TailRequest {
    /// Returns the request if it is within the limits.
    ///
    /// # Errors
    /// What is not, for the client.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let attributes = self.attributes.iter();
        let of_attributes = attributes.flat_map(|(name, value)| [name, value]);
        let texts = self.filter.iter().chain(of_attributes);
        if texts.map(String::len).max().unwrap_or(0) > TEXT_BYTES_MAX {
            return Err(format!(
                "a text to look for has more than {TEXT_BYTES_MAX} bytes"
            ));
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            return Err(format!(
                "there are more than {ATTRIBUTES_MAX} attributes to look for"
            ));
        }
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(format!("the limit must be from 1 to {LIMIT_MAX}"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_bounded() {
        let refusal = |change: fn(&mut TailRequest)| {
            let mut request = TailRequest::default();
            change(&mut request);
            request.checked().err()
        };
        assert_eq!(refusal(|_| {}), None);
        assert_eq!(refusal(|r| r.filter = Some("x".repeat(1024))), None);
        assert!(refusal(|r| r.filter = Some("x".repeat(1025))).is_some());
        assert!(refusal(|r| r.attributes = vec![("x".repeat(1025), String::new())]).is_some());
        assert!(refusal(|r| r.attributes = vec![Default::default(); 17]).is_some());
        for (limit, is_refused) in [(0, true), (1, false), (1000, false), (1001, true)] {
            let request = TailRequest {
                limit,
                ..TailRequest::default()
            };
            assert_eq!(request.checked().is_err(), is_refused, "{limit}");
        }
    }
}
