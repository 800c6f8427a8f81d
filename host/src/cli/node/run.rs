//! Runs a node.

use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use super::args::NodeArgs;
use super::config;
use crate::cli::coordinator::reached_at;
use crate::cli::failure::Failure;
use crate::cli::log;
use crate::cli::parent::end_with;
use crate::cli::runtime;
use crate::cli::signals::until_signal;
use crate::config::Config;
use crate::descriptors::coordinator_connections;
use crate::diagnostics::Setting;
use crate::node::Node;
use sluice_consul as consul;
use sluice_coordinator::{Coordinator, CoordinatorConfig};

/// The time for what still runs to be dropped when the node has ended. What does
/// not end by then is stuck in a system call.
const UNWIND_LIMIT: Duration = Duration::from_secs(1);

/// Runs a node until a signal ends it. `settings` are its flags as they are shown.
pub(in crate::cli) fn run(args: NodeArgs, settings: Vec<Setting>) -> Result<ExitCode, Failure> {
    args.parent.map_or(Ok(()), end_with)?;
    let log = log::start(args.log_format)?;
    let embedded = args.embedded_coordinator;
    let hosts = args.coordinator_host.clone();
    let runtime = runtime::single_threaded()?;
    let mut config = config::from_args(args, settings, log.recent(), runtime.handle())?;
    // Lives longer than the node, which releases its lock at the end.
    let _coordinator = match embedded {
        Some(listen) => Some(start_coordinator(listen, hosts, &mut config)?),
        None => None,
    };
    let result = runtime.block_on(async {
        let control = &config.control;
        let (name, cluster) = (control.node.clone(), control.cluster.clone());
        let mut signal = pin!(until_signal());
        // Building compiles the first sink, which may take long.
        let node = tokio::select! {
            node = Node::build(config) => node?,
            () = &mut signal => {
                tracing::info!("stopped by a signal before the node could serve");
                return Ok(());
            }
        };
        for (address, speech) in node.addresses() {
            tracing::info!(
                name,
                cluster,
                %address,
                protocol = %speech,
                version = env!("CARGO_PKG_VERSION"),
                "listening"
            );
        }
        node.run(signal).await
    });
    // A compilation that is dropped now was not interrupted by a crash, and says
    // so on disk.
    runtime.shutdown_timeout(UNWIND_LIMIT);
    result?;
    Ok(ExitCode::SUCCESS)
}

/// Starts a coordinator, and points the node at it.
fn start_coordinator(
    listen: SocketAddr,
    hosts: Vec<String>,
    config: &mut Config,
) -> Result<Coordinator, Failure> {
    config.coordinator_connections = coordinator_connections();
    let coordinator = Coordinator::start(&CoordinatorConfig {
        listen,
        data_dir: config.data_dir.path().join("coordinator"),
        hosts,
        connections: config.coordinator_connections,
    })?;
    tracing::info!(address = %coordinator.address(), "coordinating");
    let address = reached_at(&coordinator);
    // It knows no TLS and no tokens, whatever the variables say.
    let is_address = |name| (name == "CONSUL_HTTP_ADDR").then(|| address.to_string());
    config.control.consul = consul::Config::from_variables(is_address)?;
    Ok(coordinator)
}
