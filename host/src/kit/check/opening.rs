//! `open`: with the sink's config, without one, and with nonsense.

use std::time::Instant;

use sluice_types::outcome::{Failure, WriteError};

use super::bench::Bench;
use super::report::Finding;
use crate::kit::workbench::KitError;

const OPEN: &str = "open";
const NO_CONFIG: &str = "open without a config";
const NONSENSE: &str = "open with a wrong config";
/// What no sink can want.
const WRONG: [&str; 2] = ["\"text\"", r#"{"sluice-check-no-such-field":1}"#];

pub(super) async fn checks(bench: &mut Bench<'_>) -> Result<Vec<Finding>, KitError> {
    Ok(vec![
        own_config(bench).await?,
        no_config(bench).await?,
        nonsense(bench).await?,
    ])
}

async fn own_config(bench: &mut Bench<'_>) -> Result<Finding, KitError> {
    let started = Instant::now();
    let opened = bench.open().await?;
    let took = started.elapsed();
    Ok(match opened {
        Ok(instance) => {
            bench.peak_memory = instance.memory();
            Finding::passed(OPEN, format!("in {:.1} ms", took.as_secs_f64() * 1e3))
        }
        Err(error) => Finding::failed(OPEN, format!("{error}; is --config right?")),
    })
}

async fn no_config(bench: &Bench<'_>) -> Result<Finding, KitError> {
    if bench.config.is_empty() {
        return Ok(Finding::passed(NO_CONFIG, "as above"));
    }
    Ok(match bench.open_with("").await? {
        Ok(_) => Finding::passed(NO_CONFIG, "it has defaults"),
        Err(WriteError::Failed(Failure::Permanent(reason))) if !reason.trim().is_empty() => {
            Finding::passed(NO_CONFIG, format!("refused: {reason}"))
        }
        Err(error) => wrong_end(NO_CONFIG, &error),
    })
}

async fn nonsense(bench: &Bench<'_>) -> Result<Finding, KitError> {
    let mut taken = Vec::new();
    let mut refused = String::new();
    for config in WRONG {
        match bench.open_with(config).await? {
            Ok(_) => taken.push(config),
            Err(WriteError::Failed(Failure::Permanent(reason))) if !reason.trim().is_empty() => {
                refused = reason;
            }
            Err(error) => return Ok(wrong_end(NONSENSE, &error)),
        }
    }
    Ok(match taken.as_slice() {
        [] => Finding::passed(NONSENSE, format!("refused: {refused}")),
        taken => Finding::noted(
            NONSENSE,
            format!(
                "it opens with {}, so nobody is told of a mistake in a config; refuse what you do \
                 not know",
                taken.join(" and ")
            ),
        ),
    })
}

/// A mistake in a config stays one: only `permanent` with a reason says that.
fn wrong_end(check: &'static str, error: &WriteError) -> Finding {
    let detail = match error {
        WriteError::Broken(broken) => {
            format!("{broken}; answer permanent with what is wrong with the config")
        }
        WriteError::Failed(Failure::Permanent(_)) => {
            "it gives no reason; say what is wrong with the config".to_owned()
        }
        WriteError::Failed(failure) => format!(
            "{failure}; answer permanent: nodes try again for ever what is retryable, and a wrong \
             config stays wrong"
        ),
    };
    Finding::failed(check, detail)
}
