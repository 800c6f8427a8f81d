//! Requests and answers of HTTP/1.1, byte by byte as a client writes them.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A connection of HTTP.
pub(super) struct Connection(BufReader<TcpStream>);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: String,
    /// Names in lower case, and values.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, which is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(header, _)| header == name)?;
        Some(&found.1)
    }
}

impl Connection {
    pub(super) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request, and reads its answer.
    pub(super) async fn ask(&mut self, head: &[String], body: &[u8]) -> Result<Answer, String> {
        let says = |what: &str| head.iter().any(|line| line.eq_ignore_ascii_case(what));
        let mut text = String::new();
        for line in head {
            let line = line.replace("ength: ?", &format!("ength: {}", body.len()));
            text.push_str(&line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let written = self.0.write_all(text.as_bytes()).await;
        written.map_err(|error| error.to_string())?;
        if says("expect: 100-continue") {
            let answer = self.head().await?;
            if answer.status != "100" {
                return Err(format!("{answer:?} before the body"));
            }
        }
        let written = match says("transfer-encoding: chunked") {
            true => self.0.write_all(&in_chunks(body)).await,
            false => self.0.write_all(body).await,
        };
        written.map_err(|error| error.to_string())?;
        let mut answer = self.head().await?;
        let has_body = !head[0].starts_with("HEAD ") && answer.status != "204";
        if has_body {
            let length = answer.header("content-length").ok_or("no content-length")?;
            answer.body = vec![0; length.parse().unwrap()];
            let reading = self.0.read_exact(&mut answer.body).await;
            reading.map_err(|error| error.to_string())?;
        }
        Ok(answer)
    }

    async fn head(&mut self) -> Result<Answer, String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            match self.0.read_line(&mut line).await {
                Ok(0) | Err(_) => return Err(format!("the connection ended after {lines:?}")),
                Ok(_) if line == "\r\n" => break,
                Ok(_) => lines.push(line.trim_end().to_owned()),
            }
        }
        let status = lines.first().and_then(|line| line.split(' ').nth(1));
        let headers = lines
            .iter()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Ok(Answer {
            status: status.unwrap_or_default().to_owned(),
            headers: headers.collect(),
            body: Vec::new(),
        })
    }
}

/// A body in two chunks.
fn in_chunks(body: &[u8]) -> Vec<u8> {
    let (first, second) = body.split_at(body.len() / 2);
    let mut all = Vec::new();
    for part in [first, second] {
        all.extend(format!("{:x}\r\n", part.len()).into_bytes());
        all.extend([part, b"\r\n"].concat());
    }
    all.extend(b"0\r\n\r\n");
    all
}
