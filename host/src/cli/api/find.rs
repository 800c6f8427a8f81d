//! Which node is asked.

use std::time::Duration;

use reqwest::Url;
use tokio::time::timeout;

use super::client::ApiClient;
use super::error::ApiError;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::http::admin::Status;
use crate::peer::node_name;
use sluice_access::Scope;
use sluice_consul::{Client, Config};
use sluice_types::readable;

/// The time for a node to say that it is there.
const PROBE_LIMIT: Duration = Duration::from_secs(3);
/// The most nodes that are tried.
const TRIED_MAX: usize = 10;

impl ApiClient {
    /// The client for a command with `--url` or `--token-file`; `None` for one that
    /// signs its requests with the cluster's secret.
    ///
    /// # Errors
    /// The flags cannot be used, or there is no node.
    pub(in crate::cli) async fn open(args: &ClusterArgs) -> Result<Option<Self>, Failure> {
        Self::open_at(args, None).await
    }

    /// The same for the node of this name, if one is wanted.
    ///
    /// # Errors
    /// As above, or there is no such node.
    pub(in crate::cli) async fn open_at(
        args: &ClusterArgs,
        wanted: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        match args.url.is_none() && args.token_file.is_none() {
            true => Ok(None),
            false => Self::find(args, wanted).await.map(Some),
        }
    }

    /// The client for the node of this name, or else for any.
    ///
    /// # Errors
    /// As above.
    pub(in crate::cli) async fn find(
        args: &ClusterArgs,
        wanted: Option<&str>,
    ) -> Result<Self, Failure> {
        if let Some(url) = &args.url {
            return Self::new(base(url)?, args);
        }
        let addresses = addresses(args, wanted).await?;
        let urls = addresses.iter().take(TRIED_MAX).filter_map(|address| {
            let url = format!("{}://{address}", args.scheme());
            base(&url).ok()
        });
        let mut client: Option<Self> = None;
        for url in urls {
            let candidate = match &client {
                Some(client) => client.at(url),
                None => Self::new(url, args)?,
            };
            if addresses.len() == 1 || candidate.is_there().await {
                return Ok(candidate);
            }
            client = Some(candidate);
        }
        Err(ApiError::NoNode(readable::source(&args.name)).into())
    }

    /// Whether the node answers.
    async fn is_there(&self) -> bool {
        let node = self.of_node();
        let asking = node.get::<Status>("/api/v1/status", &[], Scope::Read);
        matches!(timeout(PROBE_LIMIT, asking).await, Ok(Ok(_)))
    }
}

/// Where the nodes are according to Consul: the leader first.
async fn addresses(args: &ClusterArgs, wanted: Option<&str>) -> Result<Vec<String>, Failure> {
    let consul = Client::new(Config::from_env()?)?;
    let leader = args.leader(&consul).await.map_err(ApiError::Consul)?;
    let instances = consul.instances(&args.name, None).await;
    let instances = instances.map_err(ApiError::Consul)?.value;
    let mut addresses: Vec<_> = instances
        .iter()
        .filter(|instance| wanted.is_none_or(|wanted| node_name(&args.name, instance) == wanted))
        .map(sluice_consul::Instance::host_and_port)
        .collect();
    if let Some(wanted) = wanted
        && addresses.is_empty()
    {
        return Err(ApiError::NoSuchNode {
            wanted: readable::source(wanted),
            cluster: readable::source(&args.name),
        }
        .into());
    }
    let leads = |address: &String| leader.as_ref().is_some_and(|it| it.address == *address);
    addresses.sort_by_key(|address| !leads(address));
    Ok(addresses)
}

/// A node's address, without anything behind it.
fn base(text: &str) -> Result<Url, ApiError> {
    let refused = || ApiError::Url(readable::source(&without_user(text)));
    let url = Url::parse(text).map_err(|_| refused())?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    match is_web && is_bare && is_anonymous {
        true => Ok(url),
        false => Err(refused()),
    }
}

/// What stands before `@` may be a password.
fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let (before, after) = (text.get(..scheme), text.get(at..));
            format!(
                "{}://…{}",
                before.unwrap_or_default(),
                after.unwrap_or_default()
            )
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        for good in [
            "http://127.0.0.1:3000",
            "https://node-a",
            "http://[::1]:3000/",
        ] {
            assert!(base(good).is_ok(), "{good}");
        }
        for wrong in [
            "node-a:3000",
            "ftp://node-a",
            "http://node-a/ui/",
            "http://node-a?x=1",
            "http://u:hunter2@node-a",
            "",
        ] {
            let error = base(wrong).unwrap_err().to_string();
            assert!(error.contains("https://node-a:3000"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
