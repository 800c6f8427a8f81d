//! `/v1/health/`: services with their checks.

use serde::Serialize;

use super::answer::Answer;
use super::call::Call;
use super::catalog_shape::{CheckShape, NodeServiceShape, NodeShape, status_name};
use super::context::Context;
use super::problem::Problem;
use super::query::Query;
use crate::hub::Found;
use crate::store::{Check, CheckStatus, Service, Snapshot, Store};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Instance<'a> {
    node: NodeShape<'a>,
    service: NodeServiceShape<'a>,
    checks: Vec<CheckShape<'a>>,
}

pub(super) async fn service(context: &Context, name: &str, call: &Call) -> Result<Answer, Problem> {
    if name.is_empty() {
        return Err(Problem::bad_request("Missing service name"));
    }
    let passing_only = match call.query.get("passing") {
        None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => false,
        Some("" | "1" | "t" | "T" | "true" | "True" | "TRUE") => true,
        Some(_) => return Err(Problem::bad_request("Invalid value for ?passing")),
    };
    let blocking = call.query.blocking()?;
    let watched = context
        .hub
        .watch(blocking, Store::length_of_catalog, |store| {
            let instances = store.instances(name);
            Snapshot {
                index: instances.index,
                value: (instances.value, store.node().value),
                interest: instances.interest,
            }
        });
    let Found { snapshot, permit } = watched.await?;
    let (instances, node_index) = &snapshot.value;
    let shown = instances.iter().filter(|(service, checks)| {
        let passes = checks
            .iter()
            .all(|check| check.status == CheckStatus::Passing);
        is_tagged(service, &call.query) && (passes || !passing_only)
    });
    let shapes: Vec<_> = shown
        .map(|(service, checks)| Instance {
            node: NodeShape::new(&context.node, *node_index),
            service: NodeServiceShape::new(service),
            checks: shapes(context, checks),
        })
        .collect();
    Ok(Answer::json(&call.query, &shapes)
        .catalog(&call.query, snapshot.index)
        .holding(permit))
}

pub(super) async fn checks(context: &Context, name: &str, call: &Call) -> Result<Answer, Problem> {
    if name.is_empty() {
        return Err(Problem::bad_request("Missing service name"));
    }
    let of_service =
        |check: &Check| matches!(&check.service, Some((_, service, _)) if service == name);
    watch(context, call, of_service).await
}

pub(super) async fn state(context: &Context, state: &str, call: &Call) -> Result<Answer, Problem> {
    if state.is_empty() {
        return Err(Problem::bad_request("Missing check state"));
    }
    let in_state = |check: &Check| state == "any" || state == status_name(check.status);
    watch(context, call, in_state).await
}

pub(super) async fn node(context: &Context, name: &str, call: &Call) -> Result<Answer, Problem> {
    if name.is_empty() {
        return Err(Problem::bad_request("Missing node name"));
    }
    watch(context, call, |_| name == context.node.name).await
}

async fn watch(
    context: &Context,
    call: &Call,
    are: impl Fn(&Check) -> bool,
) -> Result<Answer, Problem> {
    let blocking = call.query.blocking()?;
    let hub = &context.hub;
    let watched = hub.watch(blocking, Store::length_of_catalog, |store| {
        store.checks(&are)
    });
    let Found { snapshot, permit } = watched.await?;
    let shapes = shapes(context, &snapshot.value);
    Ok(Answer::json(&call.query, &shapes)
        .catalog(&call.query, snapshot.index)
        .holding(permit))
}

fn shapes<'a>(context: &'a Context, checks: &'a [Check]) -> Vec<CheckShape<'a>> {
    let shape = |check| CheckShape::new(&context.node.name, check);
    checks.iter().map(shape).collect()
}

/// Whether the service has all tags that the query names.
pub(super) fn is_tagged(service: &Service, query: &Query) -> bool {
    let mut wanted = query.all("tag").filter(|tag| !tag.is_empty());
    wanted.all(|wanted| {
        service
            .service
            .tags
            .iter()
            .any(|tag| tag.eq_ignore_ascii_case(wanted))
    })
}
