//! Why a node cannot start, or had to end.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::http::ServerError;
use crate::http::ingest::ForwardError;
use crate::listeners::ListenError;
use crate::plugin::PreparerError;
use crate::stream::StreamError;
use crate::tls::TlsError;
use crate::traces::TracesError;
use sluice_access::AccessError;
use sluice_consul as consul;
use sluice_leadership::ControlError;

/// Why a node cannot start, or had to end.
#[derive(Debug, Error)]
pub(crate) enum NodeError {
    #[error("open the trace file {}", .path.display())]
    Trace {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("start the threads that serve connections")]
    Threads(#[source] io::Error),
    #[error("take over stdout")]
    Stdout(#[source] io::Error),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Forward(#[from] ForwardError),
    #[error(transparent)]
    Preparer(#[from] PreparerError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error("set up the connection to Consul")]
    Consul(#[source] consul::Error),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("keep {0} running; this is a defect, please report it")]
    Ended(&'static str),
}
