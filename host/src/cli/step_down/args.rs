//! The arguments of `sluice step-down`.

use clap::Args;

use crate::cli::cluster::ClusterArgs;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice step-down             the leader finishes its work, and another node takes over
  sluice step-down --stream audit --to b    the same for the stream audit
  sluice step-down --to b      b takes over; another node only if b does not within 3 s
  sluice step-down --url https://node-a:3000 --token-file token    without access to Consul

The leader accepts nothing new, finishes what it has within its --drain-timeout, and then releases
the lock. Nothing that was acknowledged is lost. It leads again only if no other node takes the lock
within 10 s, or if the next leader stops.
The exit code is 0 once the next leader serves, 1 if none does in time or it is not the one of --to.";

#[derive(Debug, Args)]
pub(in crate::cli) struct StepDownArgs {
    /// The node that should lead next
    #[arg(long, value_name = "NODE")]
    pub(in crate::cli) to: Option<String>,

    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArgs,
}
