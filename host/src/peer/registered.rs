//! The nodes that are registered with Consul.

use sluice_consul::Instance;

/// The name of the node that this instance of the cluster's service is.
pub(crate) fn node_name<'a>(cluster: &str, instance: &'a Instance) -> &'a str {
    let id = instance.id.as_str();
    let name = id
        .strip_prefix(cluster)
        .and_then(|name| name.strip_prefix('-'));
    name.unwrap_or(id)
}
