//! What is wrong with the settings of a node.

use std::path::PathBuf;

use thiserror::Error;

/// A problem that the command line's parser cannot find.
#[derive(Debug, Error)]
pub(super) enum SettingError {
    #[error("read the token file {}", .file.display())]
    TokenFile {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("use the token in {}: it is empty or not plain ASCII", .0.display())]
    Token(PathBuf),
    #[error("listen for clients: the list of --listen is empty")]
    NoListen,
    #[error("serve HTTPS: --tls-cert and --tls-key go together, and only one of them is set")]
    HalfTls,
    #[error("check the certificates of clients: --tls-client-ca needs --tls-cert and --tls-key")]
    ClientCaWithoutTls,
    #[error("find the directory {} of --allow-dir", .directory.display())]
    AllowDir {
        directory: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("use --journal: {0}")]
    Journal(#[from] sluice_jetstream::ServersError),
    #[error("find the working directory")]
    WorkingDirectory(#[source] std::io::Error),
    #[error("use the host name {0:?} as this node's name; give another with --name")]
    HostName(String),
}
