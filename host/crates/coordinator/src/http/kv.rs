//! `/v1/kv/`.

use std::sync::Arc;

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, StatusCode};

use super::answer::Answer;
use super::call::Call;
use super::context::Context;
use super::json_list;
use super::problem::Problem;
use super::query::Query;
use super::shape::KeyShape;
use crate::hub::Found;
use crate::store::{Draft, Entry, Put, Store};

pub(super) async fn answer(context: &Context, key: &str, call: Call) -> Result<Answer, Problem> {
    let query = &call.query;
    let is_list = query.has("recurse") || query.has("keys");
    let needs_key = match call.method {
        Method::GET => !is_list,
        Method::DELETE => !query.has("recurse"),
        _ => true,
    };
    if key.is_empty() && needs_key {
        return Err(Problem::bad_request("Missing key name"));
    }
    match call.method {
        Method::PUT => put(context, key, call).await,
        Method::DELETE => delete(context, key, query).await,
        _ if query.has("keys") => keys(context, key, query).await,
        _ if query.has("recurse") => list(context, key, query).await,
        _ => get(context, key, query).await,
    }
}

async fn get(context: &Context, key: &str, query: &Query) -> Result<Answer, Problem> {
    let blocking = query.blocking()?;
    let weigh = |store: &Store, _| store.weight_of(key);
    let watched = context.hub.watch(blocking, weigh, |store| store.key(key));
    let Found { snapshot, permit } = watched.await?;
    let Some(entry) = snapshot.value else {
        return Ok(absent(snapshot.index));
    };
    let answer = if query.has("raw") {
        let sandbox = HeaderValue::from_static("sandbox");
        let no_sniff = HeaderValue::from_static("nosniff");
        Answer::of(entry.value, "text/plain")
            .header(CONTENT_SECURITY_POLICY, sandbox)
            .header(X_CONTENT_TYPE_OPTIONS, no_sniff)
    } else {
        Answer::json(query, &[KeyShape::new(key, &entry)])
    };
    Ok(answer.index(snapshot.index).holding(permit))
}

async fn list(context: &Context, prefix: &str, query: &Query) -> Result<Answer, Problem> {
    let Found { snapshot, permit } = watch_under(context, prefix, query).await?;
    if snapshot.value.is_empty() {
        return Ok(absent(snapshot.index));
    }
    let answer = if permit.is_held() {
        let is_pretty = query.has("pretty");
        let mut entries = snapshot.value.into_iter();
        Answer::json_parts(json_list::list(is_pretty, move |part| {
            let (key, entry) = entries.next()?;
            json_list::item(is_pretty, &KeyShape::new(&key, &entry), part)
        }))
    } else {
        let keys = snapshot.value.iter();
        let shapes: Vec<_> = keys.map(|(key, entry)| KeyShape::new(key, entry)).collect();
        Answer::json(query, &shapes)
    };
    Ok(answer.index(snapshot.index).holding(permit))
}

async fn keys(context: &Context, prefix: &str, query: &Query) -> Result<Answer, Problem> {
    let Found { snapshot, permit } = watch_under(context, prefix, query).await?;
    // The empty prefix always has a list, even an empty one.
    if snapshot.value.is_empty() && !prefix.is_empty() {
        return Ok(absent(snapshot.index));
    }
    let separator = query.get("separator").filter(|text| !text.is_empty());
    let (separator, prefix) = (separator.map(str::to_owned), prefix.len());
    let mut latest: Option<String> = None;
    let mut entries = snapshot.value.into_iter();
    let next = move || loop {
        let (key, _) = entries.next()?;
        let key = up_to(&key, prefix, separator.as_deref());
        if latest.as_deref() != Some(key) {
            latest = Some(key.to_owned());
            return latest.clone();
        }
    };
    let answer = if permit.is_held() {
        let (is_pretty, mut next) = (query.has("pretty"), next);
        Answer::json_parts(json_list::list(is_pretty, move |part| {
            json_list::item(is_pretty, &next()?, part)
        }))
    } else {
        let keys: Vec<String> = std::iter::from_fn(next).collect();
        Answer::json(query, &keys)
    };
    Ok(answer.index(snapshot.index).holding(permit))
}

/// The key up to and including the first separator after the prefix.
fn up_to<'a>(key: &'a str, prefix: usize, separator: Option<&str>) -> &'a str {
    let end = separator.and_then(|separator| {
        let position = key.get(prefix..)?.find(separator)?;
        key.get(..prefix + position + separator.len())
    });
    end.unwrap_or(key)
}

async fn watch_under(
    context: &Context,
    prefix: &str,
    query: &Query,
) -> Result<Found<Vec<(Arc<str>, Arc<Entry>)>>, Problem> {
    let blocking = query.blocking()?;
    let weigh = |store: &Store, most| store.weight_under(prefix, most);
    let watched = context
        .hub
        .watch(blocking, weigh, |store| store.keys_under(prefix));
    Ok(watched.await?)
}

fn absent(index: u64) -> Answer {
    Answer::empty().status(StatusCode::NOT_FOUND).index(index)
}

async fn put(context: &Context, key: &str, mut call: Call) -> Result<Answer, Problem> {
    let query = &call.query;
    refuse_conflicts(query, &["cas", "acquire", "release"])?;
    let flags = query.number("flags")?.unwrap_or_default();
    let how = match (query.get("acquire"), query.get("release")) {
        (Some(session), _) => Put::Acquire(session.to_owned()),
        (None, Some(session)) => Put::Release(session.to_owned()),
        (None, None) => query.number("cas")?.map_or(Put::Always, Put::Cas),
    };
    let value = call.body("kv_max_value_size").await?;
    let draft = Draft { value, flags };
    let written = context
        .hub
        .write(|store, now| store.put(now, key, draft, &how))
        .await??;
    Ok(Answer::json(&call.query, &written))
}

async fn delete(context: &Context, key: &str, query: &Query) -> Result<Answer, Problem> {
    refuse_conflicts(query, &["recurse", "cas"])?;
    let cas = query.number("cas")?;
    let is_tree = query.has("recurse");
    let is_gone = context
        .hub
        .write(|store, _| match is_tree {
            true => {
                store.delete_under(key);
                true
            }
            false => store.delete(key, cas),
        })
        .await?;
    Ok(Answer::json(query, &is_gone))
}

/// Refuses more than one of these parameters.
fn refuse_conflicts(query: &Query, names: &[&str]) -> Result<(), Problem> {
    let mut found: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{name}={}", query.get(name)?)))
        .collect();
    if found.len() < 2 {
        return Ok(());
    }
    found.sort();
    let text = format!("Conflicting flags: {}", found.join("&"));
    Err(Problem::bad_request(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_separator_after_the_prefix() {
        assert_eq!(up_to("s/b/c", 2, Some("/")), "s/b/");
        assert_eq!(up_to("s/b/c", 1, Some("/")), "s/");
        assert_eq!(up_to("s/a", 2, Some("/")), "s/a");
        assert_eq!(up_to("s/a", 0, None), "s/a");
    }
}
