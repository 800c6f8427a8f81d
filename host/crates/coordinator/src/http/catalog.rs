//! `/v1/catalog/`: one node with all services.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::answer::{Answer, Problem};
use super::call::Call;
use super::catalog_shape::{CatalogServiceShape, NodeServiceShape, NodeShape};
use super::{Context, health};
use crate::store::{Interest, Service, Snapshot};

pub(super) async fn nodes(context: &Context, call: &Call) -> Result<Answer, Problem> {
    let patience = call.query.patience()?;
    let seen = context.hub.watch(patience, |store| store.node()).await?;
    let shapes = [NodeShape::new(&context.node, seen.value)];
    Ok(Answer::json(&call.query, &shapes).catalog(&call.query, seen.index))
}

/// The names of all services, each with the tags of all its instances.
pub(super) async fn services(context: &Context, call: &Call) -> Result<Answer, Problem> {
    let patience = call.query.patience()?;
    let watched = context.hub.watch(patience, |store| store.services(None));
    let seen = watched.await?;
    let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Service { service, .. } in &seen.value {
        let of_name = tags.entry(&service.name).or_default();
        of_name.extend(service.tags.iter().map(String::as_str));
    }
    Ok(Answer::json(&call.query, &tags).catalog(&call.query, seen.index))
}

pub(super) async fn service(context: &Context, name: &str, call: &Call) -> Result<Answer, Problem> {
    if name.is_empty() {
        return Err(Problem::bad_request("Missing service name"));
    }
    let patience = call.query.patience()?;
    let watched = context
        .hub
        .watch(patience, |store| store.services(Some(name)));
    let seen = watched.await?;
    let tagged = seen
        .value
        .iter()
        .filter(|service| health::is_tagged(service, &call.query));
    let shapes: Vec<_> = tagged
        .map(|service| CatalogServiceShape::new(&context.node, service))
        .collect();
    Ok(Answer::json(&call.query, &shapes).catalog(&call.query, seen.index))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeWithServices<'a> {
    node: NodeShape<'a>,
    services: BTreeMap<&'a str, NodeServiceShape<'a>>,
}

pub(super) async fn node(context: &Context, name: &str, call: &Call) -> Result<Answer, Problem> {
    if name.is_empty() {
        return Err(Problem::bad_request("Missing node name"));
    }
    if name != context.node.name {
        return Ok(Answer::json(&call.query, &()).catalog(&call.query, 1));
    }
    let patience = call.query.patience()?;
    let watched = context.hub.watch(patience, |store| {
        let services = store.services(None);
        Snapshot {
            index: services.index,
            value: (store.node().value, services.value),
            interest: Interest::Catalog,
        }
    });
    let seen = watched.await?;
    let (index, services) = &seen.value;
    let services = services
        .iter()
        .map(|service| (service.service.id.as_str(), NodeServiceShape::new(service)));
    let shape = NodeWithServices {
        node: NodeShape::new(&context.node, *index),
        services: services.collect(),
    };
    Ok(Answer::json(&call.query, &shape).catalog(&call.query, seen.index))
}
