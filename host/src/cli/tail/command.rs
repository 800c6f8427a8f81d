//! The arguments of `sluice tail`, and the way from one node to the next.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::error::TailError;
use super::printer::Printer;
use super::source::Source;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::signals::Signals;
use crate::cli::{color, runtime};
use crate::peer::{LIMIT_DEFAULT, TailRequest};
use sluice_types::backoff::Backoff;
use sluice_types::error_chain::chain;
use sluice_types::record::Severity;
use sluice_types::record_document::SeverityDocument;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice tail                                       every record, with its outcome and latency
  sluice tail --filter timeout --severity warn
  sluice tail --attribute service.name=checkout --attribute http.status=503
  sluice tail --json --limit 1000 | jq -r .reason   one JSON object per record
  sluice tail --url https://node-a:3000 --token-file token    without access to Consul

Records are shown when the sink has answered for them: delivered, retried (they are offered again),
refused, dead letter or unknown. The latency is the time since a node received the record. Of more
than --limit records per second, or more than the terminal takes, a sample is shown, and stderr says
how many were skipped. The command goes on when another node takes the lead, until it is
interrupted.";

/// The pauses between attempts to reach a node.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(in crate::cli) struct TailArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// Only records whose text contains this, exactly as it is written
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Only records of at least this severity: trace, debug, info, warn, error or fatal
    #[arg(long, value_parser = severity)]
    severity: Option<SeverityDocument>,

    /// Only records with this attribute; repeatable, all must be there
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,

    /// The most records per second, up to 1000
    #[arg(long, default_value_t = LIMIT_DEFAULT)]
    limit: u32,

    /// Ask this node instead of the leader; it shows what passes on the leader
    #[arg(long, conflicts_with = "url")]
    node: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

fn severity(name: &str) -> Result<SeverityDocument, String> {
    let severity = sluice_protocols::severity::of_name(name).unwrap_or(Severity::Unspecified);
    SeverityDocument::of(severity)
        .ok_or_else(|| "expected trace, debug, info, warn, error or fatal".to_owned())
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let (name, value) = pair.ok_or_else(|| "expected NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(in crate::cli) fn run(args: &TailArgs) -> Result<ExitCode, Failure> {
    runtime::block_on(args.run())
}

impl TailArgs {
    async fn run(&self) -> Result<ExitCode, Failure> {
        let request = self.request()?;
        let mut signals = Signals::listen().map_err(TailError::Signals)?;
        tokio::select! {
            () = signals.next() => Ok(ExitCode::SUCCESS),
            ended = self.watch(&request) => ended.map(|()| ExitCode::SUCCESS),
        }
    }

    fn request(&self) -> Result<TailRequest, TailError> {
        let request = TailRequest {
            filter: self.filter.clone(),
            severity: self.severity,
            attributes: self.attributes.clone(),
            limit: self.limit,
            follow: true,
        };
        request.checked().map_err(TailError::Asked)
    }

    /// Ends when nobody reads stdout any more.
    ///
    /// # Errors
    /// The first node cannot be reached. Later, another attempt is made.
    async fn watch(&self, request: &TailRequest) -> Result<(), Failure> {
        let printer = Printer {
            json: self.json,
            in_color: color::is_wanted(),
        };
        let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
        let mut source = self.open(request).await?;
        loop {
            let why = loop {
                match source.next().await {
                    Ok(Some(events)) => match printer.print(&events) {
                        Ok(()) => backoff.reset(),
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                        Err(error) => return Err(TailError::Print(error).into()),
                    },
                    Ok(None) => break "it has ended".to_owned(),
                    Err(error) => break chain(&*error).to_string(),
                }
            };
            eprintln!(
                "sluice: lost the node {}: {why}; looking for one",
                source.node
            );
            source = self.reopen(request, &mut backoff).await;
        }
    }

    /// Tries until a node answers, and says why none does.
    async fn reopen(&self, request: &TailRequest, backoff: &mut Backoff) -> Source {
        let mut said = String::new();
        loop {
            tokio::time::sleep(backoff.next(None)).await;
            let error = match self.open(request).await {
                Ok(source) => return source,
                Err(error) => chain(&*error).to_string(),
            };
            if error != said {
                eprintln!("sluice: failed to {error}");
                said = error;
            }
        }
    }

    async fn open(&self, request: &TailRequest) -> Result<Source, Failure> {
        Source::open(&self.cluster, self.node.as_deref(), request).await
    }
}
