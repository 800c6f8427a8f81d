//! The secrets that this process knows, so that they can be looked for.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The most bytes of a file that are read.
const FILE_MAX: u64 = 64 << 10;
/// The fewest characters of a word of a file that is taken for a secret by itself.
const WORD_MIN: usize = 8;
/// Consul's variables that hold a secret, or the file with one.
const VARIABLES: [&str; 2] = ["CONSUL_HTTP_TOKEN", "CONSUL_HTTP_AUTH"];
const FILE_VARIABLES: [&str; 1] = ["CONSUL_HTTP_TOKEN_FILE"];

/// The contents of these files, their lines, and their longer words; and what the
/// variables of Consul hold. A file that cannot be read holds nothing that could be
/// shown. Reads disks.
pub(crate) fn known_secrets<'a>(files: impl IntoIterator<Item = &'a Path>) -> Vec<String> {
    let mut secrets = Vec::new();
    for file in files {
        add_file(file, &mut secrets);
    }
    for name in FILE_VARIABLES {
        if let Some(file) = std::env::var_os(name) {
            add_file(file.as_ref(), &mut secrets);
        }
    }
    for value in VARIABLES
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
    {
        // A user and a password.
        secrets.extend(
            value
                .split_once(':')
                .map(|(_, password)| password.to_owned()),
        );
        secrets.push(value);
    }
    secrets
}

fn add_file(file: &Path, secrets: &mut Vec<String>) {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    if read.is_err() {
        return;
    }
    let text = String::from_utf8_lossy(&bytes);
    secrets.push(text.trim().to_owned());
    for line in text.lines().map(str::trim) {
        secrets.push(line.to_owned());
        let words =
            line.split(|letter: char| letter.is_whitespace() || "=:,\"'{}".contains(letter));
        secrets.extend(
            words
                .filter(|word| word.len() >= WORD_MIN)
                .map(str::to_owned),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Redaction;

    #[test]
    fn a_file_is_known_as_a_whole_and_in_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "AKIAEXAMPLE12\nkey = wJalrXUtnFEMI/K7\n").unwrap();
        let missing = folder.path().join("missing");
        let redaction = Redaction::of(known_secrets([file.as_path(), missing.as_path()]));
        for text in ["id AKIAEXAMPLE12.", "signed with wJalrXUtnFEMI/K7"] {
            assert!(redaction.text(text).contains("[redacted]"), "{text}");
        }
        assert_eq!(redaction.text("a key"), "a key");
    }
}
