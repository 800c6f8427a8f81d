//! What is said when another node leads.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;

use super::args::StepDownArgs;
use super::error::StepDownError;
use crate::cli::failure::Failure;
use sluice_types::readable;

/// How long the next leader may take to serve, beyond the drain timeout.
pub(super) const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(15);

/// Says who leads now, after this node was asked.
///
/// # Errors
/// It is not the node that should.
pub(super) fn report(
    args: &StepDownArgs,
    before: &str,
    (node, epoch): (&str, u64),
    started: Instant,
) -> Result<ExitCode, Failure> {
    let took = started.elapsed().as_millis();
    match &args.to {
        Some(wanted) if wanted != node => Err(StepDownError::AnotherLeads {
            wanted: wanted.clone(),
            took: node.to_owned(),
        }
        .into()),
        _ => {
            let (node, before) = (readable::source(node), readable::source(before));
            println!("{node} leads now, epoch {epoch}, {took} ms after {before} was asked");
            Ok(ExitCode::SUCCESS)
        }
    }
}
