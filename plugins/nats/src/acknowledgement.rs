//! What JetStream says about a message.

use serde::Deserialize;
use sluice_sink::Failure;

/// Where nobody listens on a subject.
const NO_RESPONDERS: u16 = 503;
/// The message, or its headers, are larger than the stream permits.
const TOO_LARGE: [u32; 2] = [10054, 10097];

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Acknowledgement {
    stream: String,
    seq: u64,
    error: Option<Refused>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Refused {
    code: u32,
    err_code: u32,
    description: String,
}

/// What an answer means for the record.
///
/// # Errors
/// The stream does not have it.
pub(crate) fn judge(status: Option<u16>, payload: &[u8]) -> Result<(), Failure> {
    if status == Some(NO_RESPONDERS) {
        let reason = "no JetStream stream takes the subject (no responders)";
        return Err(Failure::retryable(reason));
    }
    let said: Acknowledgement = serde_json::from_slice(payload).unwrap_or_default();
    match said.error {
        Some(error) => {
            let Refused {
                code,
                err_code,
                description,
            } = error;
            let reason = format!("JetStream answered {code} ({err_code}): {description}");
            match TOO_LARGE.contains(&err_code) {
                true => Err(Failure::permanent(reason)),
                false => Err(Failure::retryable(reason)),
            }
        }
        None if !said.stream.is_empty() && said.seq > 0 => Ok(()),
        None => {
            let text = String::from_utf8_lossy(payload);
            let shown: String = text.chars().take(80).collect();
            Err(Failure::retryable(format!(
                "something that is not JetStream has answered: {shown:?}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(judge(None, br#"{"stream":"L","seq":1}"#), Ok(()));
        let repeat = br#"{"stream":"L","domain":"d","seq":1,"duplicate":true}"#;
        assert_eq!(judge(None, repeat), Ok(()));
        for (status, text, is_retryable, said) in [
            (Some(503), "", true, "no responders"),
            (
                None,
                r#"{"error":{"code":503,"err_code":10077,"description":"full"},"seq":0}"#,
                true,
                "503 (10077): full",
            ),
            (
                None,
                r#"{"error":{"code":400,"err_code":10054,"description":"size"},"stream":"L","seq":0}"#,
                false,
                "size",
            ),
            (None, "+OK", true, "not JetStream"),
            (None, r#"{"stream":"L","seq":0}"#, true, "not JetStream"),
            (None, "", true, "not JetStream"),
        ] {
            let failure = judge(status, text.as_bytes()).unwrap_err();
            assert_eq!(failure.is_retryable(), is_retryable, "{failure:?}");
            assert!(failure.reason().contains(said), "{failure:?}");
        }
    }
}
