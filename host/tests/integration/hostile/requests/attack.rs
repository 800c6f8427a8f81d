//! Requests that are made to cost much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The default of `--max-body`.
pub(in crate::hostile) const BODY: usize = 16 << 20;

/// A hostile request.
#[derive(Clone)]
pub(in crate::hostile) struct Attack {
    pub(in crate::hostile) name: &'static str,
    pub(in crate::hostile) path: &'static str,
    /// Lines of the head, each with its end.
    pub(in crate::hostile) headers: &'static str,
    pub(in crate::hostile) content_type: &'static str,
    /// The `content-encoding`; empty for none.
    pub(in crate::hostile) encoding: &'static str,
    pub(in crate::hostile) body: Vec<u8>,
    /// How long the client waits for each part of its answer.
    pub(in crate::hostile) patience: Duration,
    /// Whether the client takes its answer.
    pub(in crate::hostile) reads: bool,
}

pub(in crate::hostile) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

pub(in crate::hostile) fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

/// A zstd frame that asks for a window of 128 MiB.
fn wide_zstd(body: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

impl Attack {
    pub(in crate::hostile) fn new(
        name: &'static str,
        content_type: &'static str,
        body: &[u8],
    ) -> Self {
        Self {
            name,
            path: "/api/v1/logs",
            headers: "",
            content_type,
            encoding: "gzip",
            body: gzip(body),
            patience: Duration::from_secs(60),
            reads: true,
        }
    }

    pub(in crate::hostile) fn in_zstd(self, body: Vec<u8>) -> Self {
        Self {
            encoding: "zstd",
            body,
            ..self
        }
    }

    pub(in crate::hostile) fn uncompressed(self, body: String) -> Self {
        Self {
            encoding: "identity",
            body: body.into(),
            ..self
        }
    }

    pub(in crate::hostile) fn without_reading(self) -> Self {
        Self {
            reads: false,
            ..self
        }
    }

    /// Sends it; the status of the answer, if it is read and there is one.
    pub(in crate::hostile) fn send(&self, address: &str) -> (TcpStream, Option<u16>) {
        let mut stream = TcpStream::connect(address).unwrap();
        let timeout = Some(self.patience);
        stream.set_read_timeout(timeout).unwrap();
        stream.set_write_timeout(timeout).unwrap();
        let encoding = match self.encoding {
            "" => String::new(),
            encoding => format!("content-encoding: {encoding}\r\n"),
        };
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{}content-type: {}\r\n\
             {encoding}content-length: {}\r\n\r\n",
            self.path,
            self.headers,
            self.content_type,
            self.body.len()
        );
        // It may be refused before its end.
        drop(stream.write_all(&[head.as_bytes(), &self.body].concat()));
        let mut answer = Vec::new();
        if self.reads {
            drop(stream.read_to_end(&mut answer));
        }
        let status = answer
            .get(9..12)
            .and_then(|status| std::str::from_utf8(status).ok())
            .and_then(|status| status.parse().ok());
        (stream, status)
    }
}

pub(in crate::hostile) const LINES: &str = "text/plain";
pub(in crate::hostile) const NDJSON: &str = "application/x-ndjson";
pub(in crate::hostile) const JSON: &str = "application/json";

/// One line per attack.
pub(in crate::hostile) fn attacks() -> Vec<Attack> {
    let attributes = format!("{{\"m\":1{}}}", ",\"\":1".repeat(2_800_000));
    let fields = (0..1000).map(|n| format!(",\"k{n}\":{n}"));
    let wide = format!("{{\"m\":1{}}}\n", fields.collect::<String>());
    let wide = wide.repeat(BODY / wide.len());
    let time = format!("{{\"time\":\"{}\"}}", "x".repeat(BODY - 100));
    let controls = format!("{{\"time\":\"{}\"}}", "\\u0001".repeat(BODY / 6 - 100));
    let bad = "x\n".repeat(99_999);
    let newlines = format!("{}a\n", "\n".repeat(BODY - 2));
    let object = format!("{}{{}}\n", "\n".repeat(BODY - 3));
    let escapes = format!("{{\"m\":\"{}\"}}", "\\n".repeat(BODY / 2 - 100));
    let names = format!("{{{}\"a\":1}}", "\"\\n\":1,".repeat(BODY / 8));
    let objects = "{}\n".repeat(BODY / 3);
    let numbers = format!("[1{}]", ",1".repeat(BODY / 2 - 10));
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)).repeat(80_000);
    let text = format!("\"{}\"", "\\u0001".repeat(BODY / 6 - 100));
    let bomb = vec![b'x'; 8 * BODY];
    vec![
        Attack::new("2.8 million attributes", NDJSON, attributes.as_bytes()),
        Attack::new(
            "the same in an array",
            JSON,
            format!("[{attributes}]").as_bytes(),
        ),
        Attack::new("the same in zstd", NDJSON, &[]).in_zstd(zstd(attributes.as_bytes())),
        Attack::new("1000 attributes each", NDJSON, wide.as_bytes()),
        Attack::new("a time of 16 MiB", NDJSON, time.as_bytes()),
        Attack::new("a time of 16 MiB, unread", JSON, time.as_bytes()).without_reading(),
        Attack::new("a time of control characters", NDJSON, controls.as_bytes()),
        Attack::new("99,999 bad lines", NDJSON, bad.as_bytes()),
        Attack::new("99,999 bad lines, unread", NDJSON, bad.as_bytes()).without_reading(),
        Attack::new("a line among newlines", LINES, newlines.as_bytes()),
        Attack::new("an object among newlines", NDJSON, object.as_bytes()),
        Attack::new("newlines as they are", LINES, &[]).uncompressed(newlines),
        Attack::new("a text of escapes", NDJSON, escapes.as_bytes()),
        Attack::new("names of escapes", NDJSON, names.as_bytes()),
        Attack::new("empty objects", NDJSON, objects.as_bytes()),
        Attack::new("numbers", JSON, numbers.as_bytes()),
        Attack::new("nesting", NDJSON, nested.as_bytes()),
        Attack::new("a text that is no object", NDJSON, text.as_bytes()),
        Attack::new("a gzip bomb", LINES, &bomb),
        Attack::new("a zstd bomb", LINES, &[]).in_zstd(zstd(&bomb)),
        Attack::new("a window of 128 MiB", LINES, &[]).in_zstd(wide_zstd(&bomb[..BODY])),
        Attack {
            body: gzip(&[]).repeat(400_000),
            ..Attack::new("empty gzip members", LINES, &[])
        },
    ]
}
