//! A client over HTTP, which sends its next request when it has the answer.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::node::HTTP;
use crate::progress::{PATIENCE, Progress};

/// A request that is sent again and again.
pub(crate) struct Http {
    request: Vec<u8>,
    /// The status of its answer.
    status: u16,
}

impl Http {
    pub(crate) fn new(path: &str, content_type: &str, body: &[u8], status: u16) -> Self {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {HTTP}\r\nuser-agent: sluice-bench\r\n\
             content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
        );
        let request = [head.as_bytes(), body].concat();
        Self { request, status }
    }

    pub(crate) fn run(&self, progress: &Progress) -> io::Result<()> {
        let connection = TcpStream::connect(HTTP)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let mut answers = BufReader::with_capacity(64 << 10, &connection);
        let mut body = Vec::new();
        while !progress.is_over() {
            (&connection).write_all(&self.request)?;
            progress.sent();
            let status = read_answer(&mut answers, &mut body)?;
            if status != self.status {
                let body = String::from_utf8_lossy(&body);
                return Err(io::Error::other(format!("status {status}: {body}")));
            }
            progress.answered();
        }
        Ok(())
    }
}

/// Reads an answer, and returns its status.
fn read_answer(answers: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<u16> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status: {line:?}")))?;
    let mut length = 0;
    loop {
        line.clear();
        answers.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            None if line == "\r\n" => break,
            None => return Err(io::Error::other(format!("no header: {line:?}"))),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            Some((name, _)) if name.eq_ignore_ascii_case("transfer-encoding") => {
                return Err(io::Error::other("the answer has no length"));
            }
            Some(_) => {}
        }
    }
    body.clear();
    body.resize(length, 0);
    answers.read_exact(body)?;
    Ok(status)
}
