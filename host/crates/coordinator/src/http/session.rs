//! `/v1/session/`.

use std::ops::RangeInclusive;
use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;

use super::answer::Answer;
use super::call::Call;
use super::context::Context;
use super::problem::Problem;
use super::shape::SessionShape;
use super::uuid;
use crate::duration;
use crate::fields::{self, DecodeError, Fields};
use crate::hub::Found;
use crate::store::{Behavior, NewSession, Refusal, ServiceCheck, Session, Store};

const TTL_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(24 * 3600);
const DEFAULT_LOCK_DELAY: Duration = Duration::from_secs(15);
/// A lock delay that is a number below this means seconds, otherwise
/// nanoseconds.
const SECONDS_BELOW: u64 = 1000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
struct Created<'a> {
    id: &'a str,
}

pub(super) async fn create(context: &Context, mut call: Call) -> Result<Answer, Problem> {
    // Like Consul, reads a body only if the request says its length.
    let body = match call.length {
        Some(1..) => Some(call.body("http_max_body").await?),
        _ => None,
    };
    let fields = match body {
        Some(body) => fields::json(&body).and_then(|body| Fields::of(body, "", "structs.Session")),
        None => Ok(Fields::default()),
    };
    let parsed = fields.and_then(Request::parse);
    let request = parsed.map_err(|error| Problem::decode(&error))?;
    let session = request.judge(&context.node.name)?;
    let (id, ttl) = (session.id.clone(), session.ttl);
    context
        .hub
        .write(|store, _| store.create_session(session))
        .await??;
    if let Some(ttl) = ttl {
        context.ttls.renew(&id, ttl);
    }
    Ok(Answer::json(&call.query, &Created { id: &id }))
}

/// A session as the client asked for it.
#[derive(Debug)]
struct Request {
    node: String,
    name: String,
    lock_delay: Duration,
    behavior: String,
    ttl: String,
    node_checks: Option<Vec<String>>,
    service_checks: Option<Vec<ServiceCheck>>,
    checks: Option<Vec<String>>,
}

impl Request {
    fn parse(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            node_checks: node_checks(&mut fields)?,
            service_checks: service_checks(&mut fields)?,
            node: fields.text("Node")?,
            name: fields.text("Name")?,
            lock_delay: lock_delay(&mut fields)?,
            behavior: fields.text("Behavior")?,
            ttl: fields.text("TTL")?,
            checks: fields.texts("Checks")?,
        })
    }

    fn judge(self, own_node: &str) -> Result<NewSession, Problem> {
        let behavior = match self.behavior.as_str() {
            "" | "release" => Behavior::Release,
            "delete" => Behavior::Delete,
            other => {
                let text = format!("Invalid Behavior setting '{other}'");
                return Err(Problem::internal(text));
            }
        };
        let ttl = ttl(&self.ttl)?;
        if !self.node.is_empty() && self.node != own_node {
            return Err(Refusal::UnknownNode.into());
        }
        Ok(NewSession {
            id: uuid::random(),
            name: self.name,
            lock_delay: self.lock_delay,
            behavior,
            ttl_text: self.ttl,
            ttl,
            node_checks: self.node_checks,
            service_checks: self.service_checks,
            checks: self.checks,
            create_index: 0,
        })
    }
}

fn node_checks(fields: &mut Fields) -> Result<Option<Vec<String>>, DecodeError> {
    match fields.take("NodeChecks") {
        // Absent means the default; null means none.
        None => Ok(Some(vec!["serfHealth".to_owned()])),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => fields::texts(value, "NodeChecks").map(Some),
    }
}

fn service_checks(fields: &mut Fields) -> Result<Option<Vec<ServiceCheck>>, DecodeError> {
    let given = fields.take("ServiceChecks");
    let Some(value) = given.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let wanted = "structs.ServiceCheck";
    let checks = fields::array(value, "ServiceChecks", wanted)?;
    let checks = checks.into_iter().map(|check| {
        let mut fields = Fields::of(check, "ServiceChecks", wanted)?;
        Ok(ServiceCheck {
            id: fields.text("ID")?,
            namespace: fields.text("Namespace")?,
        })
    });
    checks.collect::<Result<_, DecodeError>>().map(Some)
}

fn lock_delay(fields: &mut Fields) -> Result<Duration, DecodeError> {
    let given = fields.duration("LockDelay")?;
    Ok(match given {
        None => DEFAULT_LOCK_DELAY,
        Some(number) if number > Duration::ZERO && number.as_nanos() < SECONDS_BELOW.into() => {
            Duration::from_secs(u64::from(number.subsec_nanos()))
        }
        Some(delay) => delay,
    })
}

fn ttl(text: &str) -> Result<Option<Duration>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let ttl = duration::parse(text).ok_or_else(|| {
        let text = format!("Session TTL '{text}' invalid: time: invalid duration {text:?}");
        Problem::internal(text)
    })?;
    match ttl {
        Duration::ZERO => Ok(None),
        ttl if TTL_RANGE.contains(&ttl) => Ok(Some(ttl)),
        ttl => Err(Problem::internal(format!(
            "Invalid Session TTL '{}', must be between [10s=24h0m0s]",
            ttl.as_nanos()
        ))),
    }
}

pub(super) async fn destroy(context: &Context, id: &str, call: &Call) -> Result<Answer, Problem> {
    named(id)?;
    context
        .hub
        .write(|store, now| store.destroy_session(now, id))
        .await??;
    context.ttls.forget(id);
    Ok(Answer::json(&call.query, &true))
}

pub(super) async fn renew(context: &Context, id: &str, call: &Call) -> Result<Answer, Problem> {
    named(id)?;
    let session = context.hub.read(|store| store.session(id)).await??.value;
    let Some(session) = session else {
        let text = format!("Session id '{id}' not found");
        return Err(Problem::new(StatusCode::NOT_FOUND, text));
    };
    if let Some(ttl) = session.ttl {
        context.ttls.renew(id, ttl);
    }
    let shape = SessionShape::new(&context.node.name, &session);
    Ok(Answer::json(&call.query, &[shape]))
}

pub(super) async fn info(context: &Context, id: &str, call: &Call) -> Result<Answer, Problem> {
    named(id)?;
    let blocking = call.query.blocking()?;
    // Refuses an id that is not a UUID without waiting.
    context.hub.read(|store| store.session(id)).await??;
    let read = |store: &Store| store.session_by_id(id);
    let weigh = |store: &Store, _| store.weight_of_session(id);
    let watched = context.hub.watch(blocking, weigh, read);
    let Found { snapshot, permit } = watched.await?;
    Ok(list_answer(context, call, snapshot.value.as_slice(), snapshot.index).holding(permit))
}

/// All sessions, or those of a node.
pub(super) async fn list(
    context: &Context,
    node: Option<&str>,
    call: &Call,
) -> Result<Answer, Problem> {
    if node == Some("") {
        return Err(Problem::bad_request("Missing node name"));
    }
    let blocking = call.query.blocking()?;
    let hub = &context.hub;
    let weigh = |store: &Store, _| store.weight_of_sessions();
    let watched = hub.watch(blocking, weigh, |store| store.sessions());
    let Found {
        mut snapshot,
        permit,
    } = watched.await?;
    if node.is_some_and(|node| node != context.node.name) {
        snapshot.value.clear();
    }
    Ok(list_answer(context, call, &snapshot.value, snapshot.index).holding(permit))
}

fn list_answer(context: &Context, call: &Call, sessions: &[Session], index: u64) -> Answer {
    let shape = |session| SessionShape::new(&context.node.name, session);
    let shapes: Vec<_> = sessions.iter().map(shape).collect();
    Answer::json(&call.query, &shapes).index(index)
}

fn named(id: &str) -> Result<(), Problem> {
    match id.is_empty() {
        true => Err(Problem::bad_request("Missing session")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_seconds() {
        let delay = |text: &str| {
            let value = serde_json::from_str(text).unwrap();
            lock_delay(&mut Fields::of(value, "", "").unwrap()).unwrap()
        };
        assert_eq!(delay("{}"), Duration::from_secs(15));
        assert_eq!(delay(r#"{"LockDelay":"0s"}"#), Duration::ZERO);
        assert_eq!(delay(r#"{"LockDelay":4}"#), Duration::from_secs(4));
        assert_eq!(delay(r#"{"LockDelay":3000000000}"#), Duration::from_secs(3));
    }
}
