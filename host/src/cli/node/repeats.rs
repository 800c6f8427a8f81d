//! The flags of `sluice node` about what clients send again.

use std::time::Duration;

use clap::Args;

use crate::cli::units;

/// What is remembered of requests with ids.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct RepeatsArgs {
    /// How many ids of messages are remembered, so that repeats are delivered once; 0 for none
    #[arg(long, env = "SLUICE_DEDUPE_IDS", default_value_t = 100_000)]
    pub(super) dedupe_ids: usize,

    /// How long they are remembered, with a replicated journal by all nodes
    #[arg(long, env = "SLUICE_DEDUPE_WINDOW", default_value = "2m", value_parser = dedupe_window)]
    pub(super) dedupe_window: Duration,
}

/// JetStream takes no shorter one.
const SHORTEST_WINDOW: Duration = Duration::from_millis(100);

fn dedupe_window(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        window if window >= SHORTEST_WINDOW => Ok(window),
        _ => Err("expected 100ms or more".to_owned()),
    }
}
