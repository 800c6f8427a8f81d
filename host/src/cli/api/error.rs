//! Why a node does not do what it is asked by a route for people.

use std::path::PathBuf;

use thiserror::Error;

/// The token of `--token-file` cannot be used.
#[derive(Debug, Error)]
pub(in crate::cli) enum TokenError {
    #[error("read the token file {}", .file.display())]
    Read {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("use the token file {}: it is empty; write the token into it", .0.display())]
    Empty(PathBuf),
    #[error(
        "use the token file {}: it must hold one token of visible ASCII characters and nothing \
         else", .0.display()
    )]
    NotOne(PathBuf),
}

/// A node did not do what it was asked.
#[derive(Debug, Error)]
pub(in crate::cli) enum ApiError {
    #[error(
        "use the address {0}: expected one like https://node-a:3000, without a path and without a \
         user or password; a token goes into --token-file"
    )]
    Url(String),
    #[error(
        "find a node of the cluster {0} to ask: Consul names none that answers; name one with --url"
    )]
    NoNode(String),
    #[error("find the node {wanted} in the cluster {cluster}: Consul does not name it")]
    NoSuchNode { wanted: String, cluster: String },
    #[error("find a node by Consul; without Consul, name one with --url")]
    Consul(#[source] sluice_consul::Error),
    #[error("set up an HTTP client")]
    Setup(#[source] reqwest::Error),
    #[error("ask the node at {base}")]
    Transport {
        base: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("ask the node at {base}: it did not answer in time")]
    Slow { base: String },
    /// 401 without a token.
    #[error(
        "ask the node at {base}: it wants a token with the scope {scope:?}; give the file that \
         holds one with --token-file"
    )]
    NoToken { base: String, scope: &'static str },
    /// 401 with a token.
    #[error(
        "ask the node at {base}: it does not know the token in {file}; this needs one with the \
         scope {scope:?} in the node's --tokens"
    )]
    WrongToken {
        base: String,
        file: String,
        scope: &'static str,
    },
    #[error("ask the node at {base}: this needs the scope {scope:?}, and it answered: {text}")]
    Forbidden {
        base: String,
        scope: &'static str,
        text: String,
    },
    #[error("ask the node at {base}: it does not know {path}; is it of an earlier version?")]
    NoRoute { base: String, path: String },
    #[error("ask the node at {base}: it answered {status}: {text}")]
    Status {
        base: String,
        /// The HTTP status.
        status: u16,
        text: String,
    },
    #[error("read the answer of the node at {base}")]
    Shape {
        base: String,
        #[source]
        cause: serde_json::Error,
    },
}

impl ApiError {
    /// Whether the node refuses it to this client, and not in general.
    pub(in crate::cli) const fn is_denied(&self) -> bool {
        matches!(
            self,
            Self::NoToken { .. } | Self::WrongToken { .. } | Self::Forbidden { .. }
        )
    }
}
