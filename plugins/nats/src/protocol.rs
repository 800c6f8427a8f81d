//! What a server says.

use serde::Deserialize;

/// The longest line of a server: its INFO lists what it knows of its cluster.
const LINE_MAX: usize = 64 << 10;
/// The longest acknowledgement, in bytes.
const PAYLOAD_MAX: usize = 64 << 10;

/// Something that a server has said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Info(Info),
    Ping,
    Pong,
    /// A message to a subject of ours.
    Message {
        subject: String,
        /// The status in the headers, such as `503` where nobody listens.
        status: Option<u16>,
        payload: Vec<u8>,
    },
    Error(String),
    /// What needs no answer.
    Ok,
}

/// The beginning of a connection.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Info {
    pub(crate) headers: bool,
    pub(crate) max_payload: Option<usize>,
    pub(crate) tls_required: bool,
    pub(crate) version: String,
}

/// The bytes of a server, of which a part may be missing yet.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    bytes: Vec<u8>,
    read: usize,
}

impl Arrived {
    pub(crate) fn push(&mut self, more: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(more);
    }

    /// What was said next; `None` if not all of it has arrived.
    ///
    /// # Errors
    /// What is not understood.
    pub(crate) fn next(&mut self) -> Result<Option<Said>, String> {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        match parse(rest)? {
            Some((said, length)) => {
                self.read += length;
                Ok(Some(said))
            }
            None => Ok(None),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Option<(Said, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return match bytes.len() > LINE_MAX {
            true => Err("the server sent a line that is too long".to_owned()),
            false => Ok(None),
        };
    };
    let (line, rest) = bytes.split_at(end);
    let rest = rest.get(2..).unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let (verb, arguments) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
    let arguments = arguments.trim();
    let said = match verb.to_ascii_uppercase().as_str() {
        "INFO" => {
            let info = serde_json::from_str(arguments);
            Said::Info(info.map_err(|error| format!("failed to read INFO: {error}"))?)
        }
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "+OK" => Said::Ok,
        "-ERR" => Said::Error(arguments.trim_matches('\'').to_owned()),
        verb @ ("MSG" | "HMSG") => {
            let has_headers = verb == "HMSG";
            let message = parse_message(arguments, has_headers, rest)?;
            return Ok(message.map(|(said, length)| (said, end + 2 + length)));
        }
        _ => {
            return Err(format!(
                "the server said {:?}",
                line.get(..80).unwrap_or(&line)
            ));
        }
    };
    Ok(Some((said, end + 2)))
}

/// `<subject> <sid> [reply] [headers] <size>`, and what follows the line.
fn parse_message(
    arguments: &str,
    has_headers: bool,
    rest: &[u8],
) -> Result<Option<(Said, usize)>, String> {
    let wrong = || format!("the server said MSG {arguments:?}");
    let mut words = arguments.split_ascii_whitespace();
    let subject = words.next().ok_or_else(wrong)?.to_owned();
    let mut sizes = words.rev();
    let mut size = || -> Option<usize> { sizes.next()?.parse().ok() };
    let total = size()
        .filter(|size| *size <= PAYLOAD_MAX)
        .ok_or_else(wrong)?;
    let headers = if has_headers {
        size().ok_or_else(wrong)?
    } else {
        0
    };
    let Some(content) = rest.get(..total + 2) else {
        return Ok(None);
    };
    let Some((headers, payload)) = content
        .get(..total)
        .and_then(|c| c.split_at_checked(headers))
    else {
        return Err(wrong());
    };
    // `NATS/1.0 503` and what it is called.
    let status = headers
        .strip_prefix(b"NATS/1.0 ")
        .and_then(|text| text.get(..3));
    let status = status.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let said = Said::Message {
        subject,
        status,
        payload: payload.to_vec(),
    };
    Ok(Some((said, total + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Said> {
        // In any pieces, the same is said.
        let mut said: Option<Vec<Said>> = None;
        for size in [1, 7, text.len()] {
            let mut arrived = Arrived::default();
            let mut now = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                arrived.push(piece);
                while let Some(one) = arrived.next().unwrap() {
                    now.push(one);
                }
            }
            if let Some(before) = &said {
                assert_eq!(&now, before);
            }
            said = Some(now);
        }
        said.unwrap()
    }

    #[test]
    fn everything_that_a_server_says_is_read() {
        let message = |subject: &str, status, payload: &str| Said::Message {
            subject: subject.to_owned(),
            status,
            payload: payload.as_bytes().to_vec(),
        };
        let said = all(
            "INFO {\"headers\":true,\"max_payload\":1024,\"version\":\"2.9.10\",\"x\":1} \r\n\
             PING\r\nPONG\r\n+OK\r\n-ERR 'Authorization Violation'\r\n\
             MSG a.1 1 5\r\nhe\r\no\r\nHMSG a.2 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n\
             HMSG a.3 1 b 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nxy\r\nPING\r\n",
        );
        assert_eq!(
            said,
            [
                Said::Info(Info {
                    headers: true,
                    max_payload: Some(1024),
                    tls_required: false,
                    version: "2.9.10".to_owned(),
                }),
                Said::Ping,
                Said::Pong,
                Said::Ok,
                Said::Error("Authorization Violation".to_owned()),
                message("a.1", None, "he\r\no"),
                message("a.2", Some(503), ""),
                message("a.3", None, "xy"),
                Said::Ping,
            ]
        );
    }

    #[test]
    fn what_is_not_nats_is_an_error() {
        for wrong in [
            "HTTP/1.1 400 Bad Request\r\n",
            "INFO x\r\n",
            "MSG a 1 x\r\n",
            "MSG a 1 99999999\r\n",
            "HMSG a 1 9 2\r\nab\r\n",
        ] {
            let mut arrived = Arrived::default();
            arrived.push(wrong.as_bytes());
            assert!(arrived.next().is_err(), "{wrong}");
        }
        let mut arrived = Arrived::default();
        arrived.push(&vec![b'x'; LINE_MAX + 1]);
        assert!(arrived.next().is_err());
    }
}
