//! What the store's answers mean.

use sluice_sink::Failure;
use sluice_sink::http::{Answer, Verdict};

/// A store says this of an object that is larger than any that it takes, with `400`.
const TOO_LARGE: &str = "EntityTooLarge";

/// Whether the object is stored.
///
/// # Errors
/// What the store said. A store does not look into objects, so only their size can be
/// wrong; all else can be mended while the records wait.
pub(crate) fn check(mut answer: Answer) -> Result<(), Failure> {
    let text = answer.text().into_owned();
    let code = element(&text, "Code");
    let verdict = match answer.status {
        200..=299 => Verdict::Taken,
        413 => Verdict::Refuse,
        _ if code == Some(TOO_LARGE) => Verdict::Refuse,
        _ => Verdict::Retry,
    };
    if let Some(code) = code {
        // The rest may repeat the request, with the id of the key and its token.
        let message = element(&text, "Message").unwrap_or_default();
        answer.body = format!("{code}: {message}").into_bytes();
    }
    answer.check_with(|_| verdict).map(drop)
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}
