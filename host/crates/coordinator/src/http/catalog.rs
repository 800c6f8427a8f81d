//! `/v1/catalog/`: one node with all services.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::answer::Answer;
use super::call::Call;
use super::catalog_shape::{CatalogServiceShape, NodeServiceShape, NodeShape};
use super::context::Context;
use super::health;
use super::problem::Problem;
use crate::hub::Found;
use crate::store::{Interest, Service, Snapshot, Store};

pub(super) async fn nodes(context: &Context, call: &Call) -> Result<Answer, Problem> {
    let blocking = call.query.blocking()?;
    let watched = context.hub.watch(blocking, |_, _| 0, |store| store.node());
    let snapshot = watched.await?.snapshot;
    let shapes = [NodeShape::new(&context.node, snapshot.value)];
    Ok(Answer::json(&call.query, &shapes).catalog(&call.query, snapshot.index))
}

/// The names of all services, each with the tags of all its instances.
pub(super) async fn services(context: &Context, call: &Call) -> Result<Answer, Problem> {
    let blocking = call.query.blocking()?;
    let watched = context
        .hub
        .watch(blocking, Store::length_of_catalog, |store| {
            store.services(None)
        });
    let Found { snapshot, permit } = watched.await?;
    let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Service { service, .. } in &snapshot.value {
        let of_name = tags.entry(&service.name).or_default();
        of_name.extend(service.tags.iter().map(String::as_str));
    }
    Ok(Answer::json(&call.query, &tags)
        .catalog(&call.query, snapshot.index)
        .holding(permit))
}

pub(super) async fn service(context: &Context, name: &str, call: &Call) -> Result<Answer, Problem> {
    if name.is_empty() {
        return Err(Problem::bad_request("Missing service name"));
    }
    let blocking = call.query.blocking()?;
    let watched = context
        .hub
        .watch(blocking, Store::length_of_catalog, |store| {
            store.services(Some(name))
        });
    let Found { snapshot, permit } = watched.await?;
    let tagged = snapshot
        .value
        .iter()
        .filter(|service| health::is_tagged(service, &call.query));
    let shapes: Vec<_> = tagged
        .map(|service| CatalogServiceShape::new(&context.node, service))
        .collect();
    Ok(Answer::json(&call.query, &shapes)
        .catalog(&call.query, snapshot.index)
        .holding(permit))
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
    let blocking = call.query.blocking()?;
    let watched = context
        .hub
        .watch(blocking, Store::length_of_catalog, |store| {
            let services = store.services(None);
            Snapshot {
                index: services.index,
                value: (store.node().value, services.value),
                interest: Interest::Catalog,
            }
        });
    let Found { snapshot, permit } = watched.await?;
    let (index, services) = &snapshot.value;
    let services = services
        .iter()
        .map(|service| (service.service.id.as_str(), NodeServiceShape::new(service)));
    let shape = NodeWithServices {
        node: NodeShape::new(&context.node, *index),
        services: services.collect(),
    };
    Ok(Answer::json(&call.query, &shape)
        .catalog(&call.query, snapshot.index)
        .holding(permit))
}
