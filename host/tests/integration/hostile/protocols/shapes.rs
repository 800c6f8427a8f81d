//! What is hostile in many protocols.

use std::time::Duration;

use crate::hostile::requests::attack::{Attack, gzip, zstd};

/// The largest body and message of the nodes that are attacked here.
pub(super) const BODY: usize = 4 << 20;

/// Clients wait for an answer for at least so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// As many of this as a body holds, between these.
pub(super) fn filled(before: &[u8], unit: &[u8], after: &[u8]) -> Vec<u8> {
    let count = (BODY - before.len() - after.len()) / unit.len();
    [before, &unit.repeat(count), after].concat()
}

/// The same, with another number in each. `#` stands for it.
fn numbered(before: &str, unit: &str, after: &str) -> Vec<u8> {
    let mut body = String::with_capacity(BODY);
    body.push_str(before);
    let (front, back) = unit.split_once('#').unwrap();
    let mut number = 0;
    while body.len() + unit.len() + after.len() + 10 < BODY {
        body.push_str(front);
        body.push_str(&format!("{number:x}"));
        body.push_str(back);
        number += 1;
    }
    body.push_str(after);
    body.into_bytes()
}

/// The route of a protocol.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) headers: &'static str,
}

impl Route {
    pub(super) const fn new(path: &'static str, content_type: &'static str) -> Self {
        Self {
            path,
            content_type,
            headers: "",
        }
    }

    /// A request with this body in zstd, which says so.
    pub(super) fn attack(self, name: &'static str, body: &[u8]) -> Attack {
        self.encoded(name, "zstd", zstd(body))
    }

    /// A request with a body that is said to be in an encoding.
    pub(super) fn encoded(
        self,
        name: &'static str,
        encoding: &'static str,
        body: Vec<u8>,
    ) -> Attack {
        Attack {
            name,
            path: self.path,
            headers: self.headers,
            content_type: self.content_type,
            encoding,
            body,
            patience: PATIENCE,
            reads: true,
        }
    }

    /// Bodies that unpack to more than may be, or seem to.
    pub(super) fn bombs(self) -> Vec<Attack> {
        let bomb = vec![b'x'; 8 * BODY];
        // Four GiB, and a literal of four bytes.
        let claim = b"\xff\xff\xff\xff\x0f\x0cabcd".to_vec();
        // As much as may be, and nothing of it.
        let empty_claim = b"\x80\x80\x80\x02".to_vec();
        vec![
            self.encoded("a gzip bomb", "gzip", gzip(&bomb)),
            self.encoded("a bomb in a bomb", "gzip", gzip(&gzip(&bomb))),
            self.encoded("a zstd bomb", "zstd", zstd(&bomb)),
            self.encoded("empty members", "gzip", gzip(&[]).repeat(200_000)),
            self.encoded("a length that is too large", "snappy", claim),
            self.encoded("a length without content", "snappy", empty_claim),
        ]
    }

    /// Objects of JSON that are made to cost much, between these. They are
    /// members of an object, each with a comma behind it.
    pub(super) fn members(self, before: &str, after: &str) -> Vec<Attack> {
        let attack = |name, body: Vec<u8>| self.attack(name, &body);
        let filled = |front: &str, unit: &str, back: &str| {
            let (before, after) = (format!("{before}{front}"), format!("{back}{after}"));
            filled(before.as_bytes(), unit.as_bytes(), after.as_bytes())
        };
        let deep = "[".repeat(BODY / 4) + &"]".repeat(BODY / 4);
        let names = numbered(before, "\"k#\":\"\",", after);
        vec![
            attack("names that differ", names),
            attack("a name again and again", filled("", "\"\":\"\",", "")),
            attack("a long name", filled("\"", "n", "\":\"\",")),
            attack("a name of escapes", filled("\"", "\\u0001", "\":\"\",")),
            attack("a text of escapes", filled("\"a\":\"", "\\u0001", "\",")),
            attack(
                "nested texts of escapes",
                filled("\"a\":[\"", "\\u0001", "\"],"),
            ),
            attack("nested empty objects", filled("\"a\":[", "{},", "0],")),
            attack("nested numbers", filled("\"a\":{\"b\":[", "1e9,", "0]},")),
            attack(
                "deep nesting",
                format!("{before}\"a\":{deep},{after}").into_bytes(),
            ),
            attack("nesting without an end", filled("\"a\":", "[{\"a\":", "")),
        ]
    }
}
