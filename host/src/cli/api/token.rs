//! The token of `--token-file`.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reqwest::header::HeaderValue;

use super::error::TokenError;

/// The most bytes of the file.
const FILE_MAX: u64 = 64 << 10;
/// The bit of a file's mode that lets every user read it.
const OTHERS_READ: u32 = 0o004;

/// A token that is sent as a Bearer.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// Reads a file that holds one token. Warns on stderr if every user of this
    /// machine can read it.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token.
    pub(super) fn read(file: &Path) -> Result<Self, TokenError> {
        let cause = |cause| TokenError::Read {
            file: file.to_owned(),
            cause,
        };
        let mut opened = File::open(file).map_err(cause)?;
        let mode = opened.metadata().map_err(cause)?.permissions().mode();
        let mut text = Vec::new();
        let mut bounded = opened.by_ref().take(FILE_MAX);
        bounded.read_to_end(&mut text).map_err(cause)?;
        let token = text.trim_ascii();
        if token.is_empty() {
            return Err(TokenError::Empty(file.to_owned()));
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::NotOne(file.to_owned()));
        }
        if mode & OTHERS_READ != 0 {
            eprintln!(
                "sluice: every user of this machine can read the token in {}; close it with chmod \
                 600",
                file.display()
            );
        }
        Ok(Self(String::from_utf8_lossy(token).into_owned()))
    }

    /// The value of the header `Authorization`, which is shown in no message.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_holds_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let missing = Token::read(&file).unwrap_err();
        assert!(matches!(missing, TokenError::Read { .. }), "{missing:?}");
        for (content, is_empty) in [("", true), (" \n", true), ("a b", false), ("é", false)] {
            fs::write(&file, content).unwrap();
            let error = Token::read(&file).unwrap_err();
            let found = matches!(error, TokenError::Empty(_));
            assert_eq!(found, is_empty, "{content:?}: {error:?}");
        }
        fs::write(&file, "abc-123\n").unwrap();
        let token = Token::read(&file).unwrap();
        assert_eq!(token.header().unwrap(), "Bearer abc-123");
        assert!(!format!("{token:?} {:?}", token.header()).contains("abc"));
    }
}
