//! The files of a bundle, before they are put into an archive: without secrets, and
//! each with a line that says what it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use super::archive::Archive;
use crate::diagnostics::Redaction;

/// The most bytes of a name in a path.
const NAME_MAX: usize = 64;

pub(super) struct Contents {
    archive: Archive,
    redaction: Redaction,
    /// What each file is.
    listed: Vec<(String, String)>,
    folders: BTreeSet<String>,
}

impl Contents {
    pub(super) const fn new(archive: Archive, redaction: Redaction) -> Self {
        Self {
            archive,
            redaction,
            listed: Vec::new(),
            folders: BTreeSet::new(),
        }
    }

    pub(super) const fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Adds a text.
    ///
    /// # Errors
    /// The path is too long.
    pub(super) fn text(&mut self, path: &str, what: &str, text: &str) -> io::Result<()> {
        self.listed.push((path.to_owned(), what.to_owned()));
        let text = self.redaction.text(text);
        self.archive.add(path, text.as_bytes())
    }

    /// Adds a document as JSON for people.
    ///
    /// # Errors
    /// As above.
    pub(super) fn json(
        &mut self,
        path: &str,
        what: &str,
        document: &impl Serialize,
    ) -> io::Result<()> {
        let text = serde_json::to_string_pretty(document)? + "\n";
        self.text(path, what, &text)
    }

    /// The folder of a node, whose name may be anything.
    pub(super) fn folder(&mut self, node: &str) -> String {
        let plain = file_name(node);
        let mut folder = format!("nodes/{plain}");
        let mut number = 2;
        while !self.folders.insert(folder.clone()) {
            folder = format!("nodes/{plain}-{number}");
            number += 1;
        }
        folder
    }

    /// Adds the list of all files, below this text, and ends the archive.
    ///
    /// # Errors
    /// It cannot be compressed.
    pub(super) fn end(mut self, about: &str) -> io::Result<Vec<u8>> {
        let width = self.listed.iter().map(|(path, _)| path.len()).max();
        let width = width.unwrap_or_default();
        let mut text = about.to_owned();
        for (path, what) in &self.listed {
            // Writing to a string does not fail.
            _ = writeln!(text, "{path:<width$}  {what}");
        }
        let text = self.redaction.text(&text);
        self.archive.add("MANIFEST.txt", text.as_bytes())?;
        self.archive.end()
    }
}

/// A name as a part of a path, which leads nowhere else and that no shell obeys.
pub(super) fn file_name(name: &str) -> String {
    let plain = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => character,
        _ => '_',
    };
    let name: String = name.chars().take(NAME_MAX).map(plain).collect();
    match name.trim_start_matches(['.', '-']) {
        "" => "_".to_owned(),
        plain => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn names_lead_nowhere_else() {
        for (name, expected) in [
            ("node-1.a", "node-1.a"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "_"),
            ("", "_"),
            ("-rf", "rf"),
            ("é\n", "__"),
        ] {
            assert_eq!(file_name(name), expected);
        }
    }

    #[test]
    fn every_file_is_listed_and_none_has_a_secret() {
        let redaction = Redaction::of(["hunter2".to_owned()]);
        let mut contents = Contents::new(Archive::new("bundle", 1), redaction);
        let folders = ["a/b", "a_b"].map(|name| contents.folder(name));
        assert_eq!(folders, ["nodes/a_b", "nodes/a_b-2"]);
        contents.text("a.txt", "a text", "with hunter2").unwrap();
        let document = serde_json::json!({"password": "hunter2"});
        contents.json("b.json", "a document", &document).unwrap();
        let packed = contents.end("about hunter2\n\n").unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut files = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.push((entry.path().unwrap().display().to_string(), text));
        }
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["bundle/a.txt", "bundle/b.json", "bundle/MANIFEST.txt"]
        );
        assert!(files.iter().all(|(_, text)| !text.contains("hunter2")));
        let manifest = &files[2].1;
        assert!(
            manifest.contains("a.txt   a text\nb.json  a document\n"),
            "{manifest}"
        );
    }
}
