//! `/v1/agent/`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::StatusCode;
use hyper::header::HeaderName;
use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use super::catalog_shape::{AgentServiceShape, CheckShape};
use super::context::{Context, DATACENTER};
use super::problem::Problem;
use super::registration::Registration;
use crate::check_target::Registrar;
use crate::fields;
use crate::hub::Found;
use crate::store::{Check, Service, Store};

const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");

pub(super) fn own(context: &Context, call: &Call) -> Answer {
    let node = &context.node;
    let own = json!({
        "Config": {
            "Datacenter": DATACENTER,
            "NodeName": node.name,
            "NodeID": node.id,
            "Revision": concat!("sluice-", env!("CARGO_PKG_VERSION")),
            "Server": true,
            // The version of Consul whose behavior this follows.
            "Version": "1.8.7",
        },
        "Member": {
            "Name": node.name,
            "Addr": node.address,
            "Port": node.port,
            "Tags": { "dc": DATACENTER, "role": "consul" },
            "Status": 1,
        },
        "Meta": { "consul-network-segment": "" },
    });
    Answer::json(&call.query, &own)
}

pub(super) async fn services(context: &Context, call: &Call) -> Result<Answer, Problem> {
    let read = context
        .hub
        .watch(None, Store::length_of_catalog, |store| store.services(None));
    let Found { snapshot, permit } = read.await?;
    let own = snapshot.value.iter().filter(|service| is_own(service));
    let shapes: BTreeMap<_, _> = own
        .map(|service| (&service.service.id, AgentServiceShape::new(service)))
        .collect();
    Ok(Answer::json(&call.query, &shapes).holding(permit))
}

/// The coordinator itself is in the catalog, but is not a registered service.
fn is_own(service: &Service) -> bool {
    service.service.id != "consul"
}

pub(super) async fn checks(context: &Context, call: &Call) -> Result<Answer, Problem> {
    let of_services = |check: &Check| check.service.is_some();
    let hub = &context.hub;
    let read = hub.watch(None, Store::length_of_catalog, |store| {
        store.checks(of_services)
    });
    let Found { snapshot, permit } = read.await?;
    let shapes = snapshot.value.iter().map(|check| {
        let shape = CheckShape::of_agent(&context.node.name, check);
        (&check.id, shape)
    });
    let shapes: BTreeMap<_, _> = shapes.collect();
    Ok(Answer::json(&call.query, &shapes).holding(permit))
}

pub(super) async fn service(context: &Context, id: &str, call: &Call) -> Result<Answer, Problem> {
    let service = context.hub.read(|store| store.service(id)).await?;
    let Some(service) = service.filter(is_own) else {
        let text = format!("unknown service ID: {id}");
        return Err(Problem::new(StatusCode::NOT_FOUND, text));
    };
    let hash = content_hash(&service);
    let shape = AgentServiceShape::with_hash(&service, hash.clone());
    let hash = hash.try_into();
    let hash: hyper::header::HeaderValue = hash.map_err(|_| Problem::internal("content hash"))?;
    Ok(Answer::json(&call.query, &shape).header(CONTENT_HASH, hash))
}

/// Changes when the service's registration does.
fn content_hash(service: &Service) -> String {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", service.service).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

pub(super) async fn register(context: &Context, mut call: Call) -> Result<Answer, Problem> {
    let body = call.body("http_max_body").await?;
    let parsed = fields::json(&body).and_then(Registration::parse);
    let registration = parsed.map_err(|error| Problem::decode(&error))?;
    let registrar = Registrar::new(call.connection.peer);
    let (service, checks) = registration.judge(registrar)?;
    let id = service.id.clone();
    let (new, definitions): (Vec<_>, Vec<_>) = checks.into_iter().unzip();
    let ids: Vec<String> = new.iter().map(|check| check.id.clone()).collect();
    context
        .hub
        .write(|store, _| store.register(service, new))
        .await??;
    for (check, definition) in ids.into_iter().zip(definitions) {
        context
            .checks
            .start(check, id.clone(), definition, registrar);
    }
    Ok(Answer::empty())
}

pub(super) async fn deregister(context: &Context, id: &str) -> Result<Answer, Problem> {
    if id.is_empty() {
        return Err(Problem::internal("ServiceID missing"));
    }
    if id != "consul" {
        let removed = context.hub.write(|store, now| store.deregister(now, id));
        for check in removed.await? {
            context.checks.stop(&check);
        }
    }
    Ok(Answer::empty())
}

pub(super) async fn deregister_check(context: &Context, id: &str) -> Result<Answer, Problem> {
    context
        .hub
        .write(|store, now| store.deregister_check(now, id))
        .await?;
    context.checks.stop(id);
    Ok(Answer::empty())
}
