//! The file of tokens, which is read again when it changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

use crate::scope::Scope;
use crate::tokens::Tokens;
use sluice_types::error_chain::chain;
use sluice_types::stamp::Stamp;

/// How often the file is looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The most bytes of the file: about 20,000 clients.
const MAX_BYTES: u64 = 4 << 20;

/// Why a file of tokens cannot be used.
#[derive(Debug, Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("read the tokens in {}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is too large.
    #[error("read the tokens in {}: it is larger than {MAX_BYTES} bytes", .0.display())]
    Large(PathBuf),
    /// It is not in the right form.
    #[error("use the tokens in {}: {what}", .file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and the remedy.
        what: String,
    },
}

/// Reads a file of tokens, and reads it again when it changes.
#[derive(Debug)]
pub struct Keeper {
    file: PathBuf,
    /// That of the content that is used.
    stamp: Option<Stamp>,
    /// Why the file cannot be used now, which is logged once.
    failure: Option<String>,
    /// Clients that are not in the file.
    others: Tokens,
    tokens: watch::Sender<Arc<Tokens>>,
}

impl Keeper {
    /// Reads the file. `others` are clients besides those of the file.
    ///
    /// # Errors
    /// The file cannot be read, or is not in the right form.
    pub fn open(file: PathBuf, others: Tokens) -> Result<Self, TokensError> {
        let stamp = Stamp::of(&file);
        let tokens = read(&file, &others, &Tokens::default())?;
        let (tokens, _) = watch::channel(Arc::new(tokens));
        Ok(Self {
            file,
            stamp,
            failure: None,
            others,
            tokens,
        })
    }

    /// The clients as of now.
    pub(crate) fn tokens(&self) -> watch::Receiver<Arc<Tokens>> {
        self.tokens.subscribe()
    }

    /// Looks after the file each second until nobody needs its clients any more. A
    /// file that cannot be used changes nothing, and is logged once.
    pub async fn keep(mut self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = self.tokens.closed() => return,
            }
            let looking = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            // It only fails when the runtime ends.
            let Ok(keeper) = looking.await else { return };
            self = keeper;
        }
    }

    pub(crate) fn look(&mut self) {
        let found = Stamp::of(&self.file);
        if found.is_some() && found == self.stamp {
            self.failure = None;
            return;
        }
        let before = Arc::clone(&self.tokens.borrow());
        match read(&self.file, &self.others, &before) {
            Ok(tokens) => {
                tracing::info!(clients = tokens.len(), "the file of tokens has changed");
                self.tokens.send_replace(Arc::new(tokens));
                (self.stamp, self.failure) = (found, None);
            }
            Err(error) => {
                let error = chain(&error);
                if self.failure.as_ref() != Some(&error) {
                    tracing::error!(error, "using the tokens as they were before");
                    self.failure = Some(error);
                }
            }
        }
    }
}

fn read(file: &Path, others: &Tokens, before: &Tokens) -> Result<Tokens, TokensError> {
    let failed = |cause| TokensError::Read {
        file: file.to_owned(),
        cause,
    };
    if fs::metadata(file).map_err(failed)?.len() > MAX_BYTES {
        return Err(TokensError::Large(file.to_owned()));
    }
    let content = fs::read_to_string(file).map_err(failed)?;
    let parsed = Tokens::parse(&content, before).map_err(|error| TokensError::Content {
        file: file.to_owned(),
        what: chain(&error),
    })?;
    Ok(others.clone().joined(parsed))
}

impl Tokens {
    /// The client of `--token-file`, which may send.
    #[must_use]
    pub fn single(token: &str) -> Self {
        let mut tokens = Self::default();
        tokens.add_token("token-file", token, &[Scope::Send]);
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn content(name: &str) -> String {
        format!("[[token]]\nname = \"{name}\"\nsha256 = \"{DIGEST}\"\nscopes = [\"send\"]\n")
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_read_again_and_a_broken_one_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.toml");
        fs::write(&file, content("web")).unwrap();
        let mut keeper = Keeper::open(file.clone(), Tokens::single("other")).unwrap();
        let tokens = keeper.tokens();
        let name = |tokens: &watch::Receiver<Arc<Tokens>>| {
            let tokens = tokens.borrow();
            tokens
                .by_token(b"secret")
                .map(|client| client.name().to_string())
        };
        assert_eq!(name(&tokens).as_deref(), Some("web"));
        assert!(tokens.borrow().by_token(b"other").is_some());
        fs::write(&file, content("another")).unwrap();
        keeper.look();
        assert_eq!(name(&tokens).as_deref(), Some("another"));
        fs::write(&file, "[[token]]\nname = 1").unwrap();
        keeper.look();
        assert_eq!(name(&tokens).as_deref(), Some("another"));
        fs::remove_file(&file).unwrap();
        keeper.look();
        assert_eq!(name(&tokens).as_deref(), Some("another"));
        assert!(tokens.borrow().by_token(b"other").is_some());
        fs::write(&file, "").unwrap();
        keeper.look();
        assert_eq!(name(&tokens), None);
        drop(tokens);
        keeper.keep().await;
    }

    #[test]
    fn a_file_of_the_same_length_and_time_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, new) = (
            folder.path().join("tokens.toml"),
            folder.path().join("new.toml"),
        );
        fs::write(&file, content("web")).unwrap();
        fs::write(&new, content("new")).unwrap();
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        let opened = fs::File::options().write(true).open(&new).unwrap();
        opened.set_modified(time).unwrap();
        let mut keeper = Keeper::open(file.clone(), Tokens::default()).unwrap();
        fs::rename(&new, &file).unwrap();
        keeper.look();
        let tokens = keeper.tokens();
        let tokens = tokens.borrow();
        assert_eq!(&**tokens.by_token(b"secret").unwrap().name(), "new");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Keeper::open("/nowhere/tokens.toml".into(), Tokens::default()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/tokens.toml"));
    }
}
