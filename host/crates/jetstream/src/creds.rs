//! Files with the credentials of a user: a JWT and the seed of its key.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use async_nats::Auth;
use nkeys::KeyPair;

/// Reads such a file.
pub(crate) fn read(file: &Path) -> io::Result<(String, KeyPair)> {
    let text = fs::read_to_string(file)?;
    let invalid = |reason: &str| io::Error::new(ErrorKind::InvalidData, reason);
    let (jwt, seed) = parts(&text).ok_or_else(|| {
        invalid("expected a JWT and a seed, each between lines such as -----BEGIN …-----")
    })?;
    let key = KeyPair::from_seed(seed).map_err(|_| invalid("the seed is not valid"))?;
    Ok((jwt.to_owned(), key))
}

/// Reads such a file, and signs what a server asks to be signed.
pub(crate) fn sign(file: &Path, nonce: &[u8]) -> io::Result<Auth> {
    let (jwt, key) = read(file)?;
    let mut auth = Auth::new();
    auth.jwt = Some(jwt);
    auth.signature = Some(key.sign(nonce).map_err(io::Error::other)?);
    Ok(auth)
}

/// The JWT and the seed: the lines after those that begin a part.
fn parts(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.lines().map(str::trim);
    let mut part = || {
        lines.find(|line| line.starts_with("---") && line.contains("BEGIN"))?;
        lines.find(|line| !line.is_empty())
    };
    Some((part()?, part()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found_between_lines_of_dashes() {
        let file = "-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n\n\
                    ***** IMPORTANT *****\nA seed is a secret.\n\n\
                    -----BEGIN USER NKEY SEED-----\r\nSUAI\r\n------END USER NKEY SEED------\n";
        assert_eq!(parts(file), Some(("eyJ0", "SUAI")));
        let half = file.split_once("*****").unwrap().0;
        for wrong in ["", "SUAI", half] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
