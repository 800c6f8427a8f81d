//! Every route, and the function that answers it.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::answer::Answer;
use super::answer_body::AnswerBody;
use super::call::Call;
use super::connection::Connection;
use super::context::{Context, DATACENTER};
use super::problem::{Problem, allow};
use super::query::{Query, cleaned, decode};
use super::{agent, catalog, health, kv, session, txn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Kv,
    Txn,
    SessionCreate,
    SessionDestroy,
    SessionRenew,
    SessionInfo,
    SessionNode,
    SessionList,
    AgentSelf,
    AgentServices,
    AgentChecks,
    AgentService,
    AgentRegister,
    AgentDeregister,
    AgentCheckDeregister,
    CatalogDatacenters,
    CatalogNodes,
    CatalogServices,
    CatalogService,
    CatalogNode,
    HealthService,
    HealthChecks,
    HealthState,
    HealthNode,
    StatusLeader,
    StatusPeers,
}

/// All routes. A name follows where the path ends with a slash. Longer paths
/// come before those that they start with.
const ROUTES: [(&str, Route); 26] = [
    ("kv/", Route::Kv),
    ("txn", Route::Txn),
    ("session/create", Route::SessionCreate),
    ("session/destroy/", Route::SessionDestroy),
    ("session/renew/", Route::SessionRenew),
    ("session/info/", Route::SessionInfo),
    ("session/node/", Route::SessionNode),
    ("session/list", Route::SessionList),
    ("agent/self", Route::AgentSelf),
    ("agent/services", Route::AgentServices),
    ("agent/checks", Route::AgentChecks),
    ("agent/service/register", Route::AgentRegister),
    ("agent/service/deregister/", Route::AgentDeregister),
    ("agent/service/", Route::AgentService),
    ("agent/check/deregister/", Route::AgentCheckDeregister),
    ("catalog/datacenters", Route::CatalogDatacenters),
    ("catalog/nodes", Route::CatalogNodes),
    ("catalog/services", Route::CatalogServices),
    ("catalog/service/", Route::CatalogService),
    ("catalog/node/", Route::CatalogNode),
    ("health/service/", Route::HealthService),
    ("health/checks/", Route::HealthChecks),
    ("health/state/", Route::HealthState),
    ("health/node/", Route::HealthNode),
    ("status/leader", Route::StatusLeader),
    ("status/peers", Route::StatusPeers),
];

impl Route {
    /// Finds the route of a path, and returns the name that follows it.
    fn find(path: &str) -> Option<(Self, &str)> {
        let path = path.strip_prefix("/v1/")?;
        ROUTES.iter().find_map(|(pattern, route)| {
            let name = path.strip_prefix(pattern)?;
            (pattern.ends_with('/') || name.is_empty()).then_some((*route, name))
        })
    }

    const fn methods(self) -> &'static [Method] {
        match self {
            Self::Kv => &[Method::GET, Method::PUT, Method::DELETE],
            Self::Txn
            | Self::SessionCreate
            | Self::SessionDestroy
            | Self::SessionRenew
            | Self::AgentRegister
            | Self::AgentDeregister
            | Self::AgentCheckDeregister => &[Method::PUT],
            _ => &[Method::GET],
        }
    }
}

pub(super) async fn answer(
    context: Arc<Context>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    connection.begin_request();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match dispatch(&context, &connection, request).await {
        Ok(answer) => answer.into_response(),
        Err(problem) => problem.into_response(),
    };
    let body = response.body_mut();
    body.limit_time(|time| connection.limit_time(time));
    tracing::debug!(%method, path, status = response.status().as_u16(), "answered");
    Ok(response)
}

async fn dispatch(
    context: &Context,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    context.hosts.check(&request)?;
    let uri = request.uri().clone();
    if let Some(clean) = cleaned(uri.path()) {
        let query = uri.query().map(|query| format!("?{query}"));
        return Err(Problem::moved(clean + query.as_deref().unwrap_or_default()));
    }
    let path = decode(uri.path(), false);
    let path = path.ok_or_else(|| Problem::bad_request("the path is no text in UTF-8"))?;
    let (route, name) = Route::find(&path).ok_or_else(Problem::not_found)?;
    let methods = route.methods();
    if request.method() == Method::OPTIONS {
        let allowed: Result<HeaderValue, _> = allow(methods).try_into();
        let allowed = allowed.map_err(|_| Problem::internal("OPTIONS"))?;
        return Ok(Answer::empty().header(ALLOW, allowed));
    }
    if !methods.contains(request.method()) {
        return Err(Problem::method(request.method(), methods));
    }
    let query = Query::parse(uri.query().unwrap_or_default());
    query.check_datacenter(DATACENTER)?;
    if query.get("filter").is_some_and(|filter| !filter.is_empty()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "the embedded coordinator does not support ?filter",
        ));
    }
    let bodies = Arc::clone(&context.large_bodies);
    let call = Call::new(request, query, Arc::clone(connection), bodies);
    run(context, route, name, call).await
}

async fn run(context: &Context, route: Route, name: &str, call: Call) -> Result<Answer, Problem> {
    match route {
        Route::Kv => kv::answer(context, name, call).await,
        Route::Txn => txn::run(context, call).await,
        Route::SessionCreate => session::create(context, call).await,
        Route::SessionDestroy => session::destroy(context, name, &call).await,
        Route::SessionRenew => session::renew(context, name, &call).await,
        Route::SessionInfo => session::info(context, name, &call).await,
        Route::SessionNode => session::list(context, Some(name), &call).await,
        Route::SessionList => session::list(context, None, &call).await,
        Route::AgentSelf => Ok(agent::own(context, &call)),
        Route::AgentServices => agent::services(context, &call).await,
        Route::AgentChecks => agent::checks(context, &call).await,
        Route::AgentService => agent::service(context, name, &call).await,
        Route::AgentRegister => agent::register(context, call).await,
        Route::AgentDeregister => agent::deregister(context, name).await,
        Route::AgentCheckDeregister => agent::deregister_check(context, name).await,
        Route::CatalogDatacenters => Ok(Answer::json(&call.query, &[DATACENTER])),
        Route::CatalogNodes => catalog::nodes(context, &call).await,
        Route::CatalogServices => catalog::services(context, &call).await,
        Route::CatalogService => catalog::service(context, name, &call).await,
        Route::CatalogNode => catalog::node(context, name, &call).await,
        Route::HealthService => health::service(context, name, &call).await,
        Route::HealthChecks => health::checks(context, name, &call).await,
        Route::HealthState => health::state(context, name, &call).await,
        Route::HealthNode => health::node(context, name, &call).await,
        Route::StatusLeader => Ok(Answer::json(&call.query, &context.node.server)),
        Route::StatusPeers => Ok(Answer::json(&call.query, &[&context.node.server])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_routes() {
        let found = |path| Route::find(path);
        assert_eq!(found("/v1/kv/a/b"), Some((Route::Kv, "a/b")));
        assert_eq!(found("/v1/kv/"), Some((Route::Kv, "")));
        assert_eq!(
            found("/v1/agent/service/register"),
            Some((Route::AgentRegister, ""))
        );
        assert_eq!(
            found("/v1/agent/service/x"),
            Some((Route::AgentService, "x"))
        );
        for path in [
            "/v1/",
            "/v1/nonsense",
            "/v1/txnx",
            "/v1/session/foo",
            "/",
            "/v2/kv/a",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
