//! What a client sends, and what comes of it.
//!
//! The first line of a file names the client. Then come sections, each of which
//! begins with a line such as `=== http gzip`:
//!
//! - `http`: a request: its head, an empty line, and its body, if it has one. The
//!   length `?` is that of the body as it is sent.
//! - `grpc`: the metadata of a call, an empty line, and its message.
//! - `forward`, `relp`, `syslog`, `gelf`: what is written to a connection. All of a
//!   file is for one connection.
//! - `syslog-udp`, `gelf-udp`: a datagram.
//! - `answer`: what comes back of what is above. Of HTTP: the status, headers, an
//!   empty line, and texts of which the body has each. Of a connection: the bytes.
//! - `records`: what the sink writes, a record per line.
//!
//! A body is as it is in the file, without the last line feed. With the word
//! `escaped`, it has `\n`, `\\` and `\x00` for bytes, and the ends of lines mean
//! nothing. [`payload`](super::payload) has the other words.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::payload::{packed, unescaped};

/// The file of a client.
#[derive(Debug)]
pub(super) struct Recording {
    /// That of the file.
    pub(super) name: String,
    /// The client, its version and what it does.
    pub(super) title: String,
    pub(super) sections: Vec<Section>,
    pub(super) records: Vec<Value>,
}

/// One of its sections.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) kind: String,
    /// The lines before the first empty one, where there is a head.
    pub(super) head: Vec<String>,
    /// As it is sent or received.
    pub(super) body: Vec<u8>,
    pub(super) is_in_chunks: bool,
}

impl Recording {
    pub(super) fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        let (title, sections) = text
            .split_once("\n=== ")
            .unwrap_or_else(|| panic!("{name}"));
        let mut sections: Vec<_> = sections.split("\n=== ").collect();
        let last = sections
            .pop()
            .and_then(|last| last.strip_prefix("records\n"));
        let records = last.unwrap_or_else(|| panic!("{name} ends without records"));
        let records = records
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{name}: {line}")));
        Self {
            title: title.trim_start_matches("# ").to_owned(),
            sections: sections.into_iter().map(Section::parse).collect(),
            records: records.collect(),
            name,
        }
    }
}

impl Section {
    fn parse(text: &str) -> Self {
        let (line, text) = text.split_once('\n').unwrap_or((text, ""));
        let mut words: Vec<_> = line.split(' ').collect();
        let kind = words.remove(0).to_owned();
        let is_escaped = words.first() == Some(&"escaped");
        // An answer in bytes is that of a connection.
        let has_head = matches!(&*kind, "http" | "grpc") || kind == "answer" && !is_escaped;
        let (head, body) = match (has_head, text.split_once("\n\n")) {
            (false, _) => ("", text),
            (true, Some(parts)) => parts,
            (true, None) => (text, ""),
        };
        let body = match is_escaped {
            true => unescaped(body),
            false => body.into(),
        };
        let is_in_chunks = words.last() == Some(&"chunks");
        let packing = &words[usize::from(is_escaped)..words.len() - usize::from(is_in_chunks)];
        Self {
            kind,
            head: head.lines().map(str::to_owned).collect(),
            body: packing.iter().fold(body, |body, how| packed(how, &body)),
            is_in_chunks,
        }
    }
}
