//! Reads the files of TLS again when they change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::acceptor::Tls;
use super::configs::{Configs, TlsUse};
use super::error::TlsError;
use super::files::{Stamps, TlsFiles};
use sluice_types::error_chain::chain;

/// How often the files are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the files of TLS, and reads them again when they change. Connections that are
/// open stay as they are.
#[derive(Debug)]
pub(crate) struct TlsKeeper {
    files: TlsFiles,
    /// Those of the files that are used.
    stamps: Stamps,
    /// Why the files cannot be used now, which is logged once.
    failure: Option<String>,
    configs: watch::Sender<Arc<Configs>>,
}

impl TlsKeeper {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        let (configs, _) = watch::channel(Arc::new(files.read()?));
        Ok(Self {
            files,
            stamps,
            failure: None,
            configs,
        })
    }

    /// Accepts connections with the latest certificate.
    pub(crate) fn tls(&self, used: TlsUse) -> Tls {
        Tls {
            configs: self.configs.subscribe(),
            used,
        }
    }

    /// Looks after the files each second until nobody accepts connections any more.
    /// Files that cannot be used change nothing, and are logged once.
    pub(crate) async fn keep(mut self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = self.configs.closed() => return,
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

    fn look(&mut self) {
        let found = self.files.stamps();
        if found == self.stamps {
            self.failure = None;
            return;
        }
        match self.files.read() {
            Ok(configs) => {
                tracing::info!("the certificate has changed");
                self.configs.send_replace(Arc::new(configs));
                (self.stamps, self.failure) = (found, None);
            }
            // Certificate and key are written one after the other.
            Err(error) => {
                let error = chain(&error);
                if self.failure.as_ref() != Some(&error) {
                    tracing::warn!(error, "using the certificate as it was before");
                    self.failure = Some(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Authority;

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let files = authority.issue(folder.path(), "one.test");
        let mut keeper = TlsKeeper::open(files.clone()).unwrap();
        let tls = keeper.tls(TlsUse::Http);
        assert_eq!(authority.name_shown(&tls, "one.test").await, Ok(()));
        authority.issue(folder.path(), "two.test");
        keeper.look();
        assert_eq!(authority.name_shown(&tls, "two.test").await, Ok(()));
        assert!(authority.name_shown(&tls, "one.test").await.is_err());
        std::fs::write(&files.key, "no key").unwrap();
        keeper.look();
        assert_eq!(authority.name_shown(&tls, "two.test").await, Ok(()));
    }
}
