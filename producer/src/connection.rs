//! A minimal HTTP/1.1 connection, because the load generator must cost less than
//! what it measures.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the load generator needs of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How many records the body lists as rejected.
    pub(crate) rejected: usize,
    pub(crate) location: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(authority: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(4096),
        })
    }

    /// Sends a whole request and reads the whole answer. Returns the connection
    /// too if it can be used again.
    pub(crate) async fn exchange(mut self, request: &[u8]) -> io::Result<(Answer, Option<Self>)> {
        self.stream.write_all(request).await?;
        self.received.clear();
        loop {
            if let Some((answer, keep)) = parse(&self.received)? {
                return Ok((answer, keep.then_some(self)));
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The answer, and whether the connection stays open. `None` if there is more
/// to read.
fn parse(bytes: &[u8]) -> io::Result<Option<(Answer, bool)>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response
        .parse(bytes)
        .map_err(|error| invalid(&error.to_string()))?
    {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let header = |name: &str| {
        let found = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length: usize = header("content-length")
        .map_or(Ok(0), str::parse)
        .map_err(|_| invalid("the answer's content-length is not a number"))?;
    let Some(body) = bytes.get(head..head + length) else {
        return Ok(None);
    };
    let keep = !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let answer = Answer {
        status: response.code.unwrap_or_default(),
        rejected: count(body, b"\"index\":"),
        location: header("location").map(str::to_owned),
    };
    Ok(Some((answer, keep)))
}

fn count(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len())
        .filter(|window| *window == what)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_returned_when_it_is_complete() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK";
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).unwrap().is_none(), "{end}");
        }
        let (answer, keep) = parse(whole).unwrap().unwrap();
        assert_eq!((answer.status, answer.rejected, keep), (200, 0, true));
        let close = b"HTTP/1.1 503 no\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert!(!parse(close).unwrap().unwrap().1);
        assert!(parse(b"nonsense\r\n\r\n").is_err());
    }
}
