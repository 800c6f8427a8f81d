//! Random histories: a real Consul and the embedded coordinator get the same
//! requests in the same order, and must give the same answers.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::subject::{Reply, Subject};

const STEPS: usize = 3000;
const KEYS: [&str; 7] = ["a", "a/", "a/b", "a/b/c", "a/d", "b", "zz"];
const PREFIXES: [&str; 6] = ["", "a", "a/", "a/b", "b", "none"];

/// One request. Sessions and indexes in it are names, which stand for different
/// values on each side.
#[derive(Debug)]
enum Step {
    Ask(Method, String, String),
    Create(Value),
}

/// Both sides, and what is known about them.
struct Pair {
    consul: Subject,
    embedded: Subject,
    /// The ids of each session, on Consul and on the embedded coordinator.
    sessions: Vec<[String; 2]>,
    /// The indexes that correspond to each other: Consul's, and the embedded
    /// one's.
    indexes: BTreeMap<u64, u64>,
    /// Whether a prefix was deleted with all its keys.
    trees_deleted: bool,
}

#[tokio::test]
async fn both_answer_the_same_whatever_is_asked() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("to repeat this history: SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let (consul, embedded) = tokio::join!(Subject::consul(), Subject::embedded());
    let mut pair = Pair {
        consul,
        embedded,
        sessions: Vec::new(),
        indexes: BTreeMap::new(),
        trees_deleted: false,
    };
    for number in 0..STEPS {
        let step = pair.any_step(&mut random);
        let what = format!("step {number}, {step:?}");
        pair.take(step, &what).await;
    }
    assert!(pair.indexes.len() > 100, "{}", pair.indexes.len());
}

impl Pair {
    fn any_step(&self, random: &mut SmallRng) -> Step {
        let key = *pick(random, &KEYS);
        let prefix = *pick(random, &PREFIXES);
        let value = pick(random, &["", "x", "y"]).to_string();
        let session = self.any_session(random);
        let flags = random.random_range(0..3);
        let ask = |method, path: String, body: String| Step::Ask(method, path, body);
        match random.random_range(0..100) {
            0..5 => Step::Create(json!({
                "LockDelay": "0s",
                "Behavior": pick(random, &["release", "delete"]),
            })),
            5..8 => ask(
                Method::PUT,
                format!("/v1/session/destroy/{session}"),
                String::new(),
            ),
            8..11 => ask(Method::GET, "/v1/session/list".to_owned(), String::new()),
            11..14 => ask(
                Method::PUT,
                format!("/v1/session/renew/{session}"),
                String::new(),
            ),
            14..24 => ask(Method::PUT, format!("/v1/kv/{key}?flags={flags}"), value),
            24..32 => {
                let cas = self.any_index(random);
                ask(Method::PUT, format!("/v1/kv/{key}?cas={cas}"), value)
            }
            32..42 => ask(
                Method::PUT,
                format!("/v1/kv/{key}?acquire={session}"),
                value,
            ),
            42..48 => {
                let path = format!("/v1/kv/{key}?release={session}&flags={flags}");
                ask(Method::PUT, path, value)
            }
            48..53 => ask(Method::DELETE, format!("/v1/kv/{key}"), String::new()),
            53..56 => {
                let cas = self.any_index(random);
                ask(
                    Method::DELETE,
                    format!("/v1/kv/{key}?cas={cas}"),
                    String::new(),
                )
            }
            56..58 => ask(
                Method::DELETE,
                format!("/v1/kv/{prefix}?recurse"),
                String::new(),
            ),
            58..75 => {
                let count = random.random_range(1..5);
                let steps = (0..count).map(|_| self.any_operation(random));
                let steps = Value::Array(steps.collect());
                ask(Method::PUT, "/v1/txn".to_owned(), steps.to_string())
            }
            75..85 => ask(Method::GET, format!("/v1/kv/{key}"), String::new()),
            85..92 => ask(
                Method::GET,
                format!("/v1/kv/{prefix}?recurse"),
                String::new(),
            ),
            92..96 => ask(Method::GET, format!("/v1/kv/{prefix}?keys"), String::new()),
            _ => {
                let path = format!("/v1/kv/{prefix}?keys&separator=/");
                ask(Method::GET, path, String::new())
            }
        }
    }

    fn any_operation(&self, random: &mut SmallRng) -> Value {
        let verbs = [
            "set",
            "cas",
            "lock",
            "unlock",
            "get",
            "get-tree",
            "check-index",
            "check-session",
            "check-not-exists",
            "delete",
            "delete-tree",
            "delete-cas",
        ];
        let mut fields = Map::new();
        let verb = *pick(random, &verbs);
        fields.insert("Verb".to_owned(), verb.into());
        fields.insert("Key".to_owned(), (*pick(random, &KEYS)).into());
        fields.insert(
            "Value".to_owned(),
            (*pick(random, &["", "eA==", "eQ=="])).into(),
        );
        fields.insert("Flags".to_owned(), random.random_range(0..3).into());
        fields.insert("Session".to_owned(), self.any_session(random).into());
        // The name of an index. Each side gets its own number for it.
        fields.insert("Index".to_owned(), self.any_index(random).into());
        json!({ "KV": fields })
    }

    /// The name of a recent session, or of one that never existed.
    fn any_session(&self, random: &mut SmallRng) -> String {
        let from = self.sessions.len().saturating_sub(4);
        match self.sessions.len() {
            0 => "{nobody}".to_owned(),
            _ if random.random_ratio(1, 20) => "{nobody}".to_owned(),
            count => format!("{{{}}}", random.random_range(from..count)),
        }
    }

    /// The name of an index, usually a recent one.
    fn any_index(&self, random: &mut SmallRng) -> String {
        let late: Vec<_> = self.indexes.keys().rev().take(8).collect();
        match late.len() {
            0 => "<0>".to_owned(),
            _ if random.random_ratio(1, 4) => "<0>".to_owned(),
            _ => format!("<{}>", pick(random, &late)),
        }
    }

    async fn take(&mut self, step: Step, what: &str) {
        let (method, path, body) = match step {
            Step::Ask(method, path, body) => (method, path, body),
            Step::Create(body) => {
                let (consul, embedded) = (&self.consul, &self.embedded);
                let ids = [
                    consul.session(body.clone()).await,
                    embedded.session(body).await,
                ];
                self.sessions.push(ids);
                return;
            }
        };
        let is_list = path.contains("?recurse") || path.contains("?keys");
        let is_delete = method == Method::DELETE;
        self.trees_deleted |= is_list && is_delete || body.contains("delete-tree");
        let asked = |side: usize| {
            let said = |text: &str| self.spoken(text, side);
            (said(&path), said(&body))
        };
        let ((path, body), (path_too, body_too)) = (asked(0), asked(1));
        let mut consul = self.consul.ask(method.clone(), &path, body).await;
        let mut embedded = self.embedded.ask(method, &path_too, body_too).await;
        if is_list && consul.status == 404 && self.trees_deleted {
            // After `a` was deleted with everything that begins with it, Consul
            // gives the empty list of `a/b` an index from before that.
            for reply in [&mut consul, &mut embedded] {
                assert!(reply.headers.remove("X-Consul-Index").is_some(), "{what}");
            }
        }
        self.compare(&consul, &embedded, what);
    }

    /// The text with the names replaced by the values of this side.
    fn spoken(&self, text: &str, side: usize) -> String {
        let nobody = "00000000-0000-0000-0000-000000000000";
        let mut spoken = text.replace("{nobody}", nobody);
        for (number, ids) in self.sessions.iter().enumerate() {
            spoken = spoken.replace(&format!("{{{number}}}"), &ids[side]);
        }
        spoken = spoken.replace("\"<0>\"", "0").replace("<0>", "0");
        for (consul, embedded) in &self.indexes {
            let name = format!("<{consul}>");
            let index = [consul, embedded][side].to_string();
            spoken = spoken
                .replace(&format!("\"{name}\""), &index)
                .replace(&name, &index);
        }
        spoken
    }

    #[track_caller]
    fn compare(&mut self, consul: &Reply, embedded: &Reply, what: &str) {
        let seen = format!("{what}\n{}\n{}", consul.text(), embedded.text());
        assert_eq!(consul.status, embedded.status, "{seen}");
        let indexes = [consul, embedded].map(|reply| reply.header("X-Consul-Index"));
        match indexes {
            [Some(consul), Some(embedded)] => self.stand_for_each_other(
                consul.parse().unwrap(),
                embedded.parse().unwrap(),
                &format!("the header of {seen}"),
            ),
            [None, None] => {}
            _ => panic!("{indexes:?} {seen}"),
        }
        let bodies = [consul, embedded].map(|reply| serde_json::from_slice::<Value>(&reply.body));
        match bodies {
            [Ok(mut consul), Ok(mut embedded)] => {
                for (side, body) in [&mut consul, &mut embedded].into_iter().enumerate() {
                    self.forget_ids(body, side);
                }
                sort_sessions(&mut consul);
                sort_sessions(&mut embedded);
                self.same(&consul, &embedded, &seen);
            }
            _ => assert_eq!(self.plain(consul, 0), self.plain(embedded, 1), "{seen}"),
        }
    }

    /// The body with session ids replaced by their names, and without indexes.
    fn plain(&self, reply: &Reply, side: usize) -> String {
        let mut body = Value::String(reply.text().trim().to_owned());
        self.forget_ids(&mut body, side);
        body.to_string()
    }

    fn forget_ids(&self, value: &mut Value, side: usize) {
        match value {
            Value::String(text) => {
                for (number, ids) in self.sessions.iter().enumerate() {
                    *text = text.replace(&ids[side], &format!("{{{number}}}"));
                }
                if let Some((before, _)) = text.split_once("current modify index") {
                    *text = before.to_owned();
                }
            }
            Value::Array(values) => values
                .iter_mut()
                .for_each(|value| self.forget_ids(value, side)),
            Value::Object(fields) => {
                // Each side has its own node name.
                fields.remove("Node");
                fields
                    .values_mut()
                    .for_each(|value| self.forget_ids(value, side));
            }
            _ => {}
        }
    }

    fn same(&mut self, consul: &Value, embedded: &Value, seen: &str) {
        match (consul, embedded) {
            (Value::Array(ones), Value::Array(others)) => {
                assert_eq!(ones.len(), others.len(), "{seen}");
                for (one, other) in ones.iter().zip(others) {
                    self.same(one, other, seen);
                }
            }
            (Value::Object(ones), Value::Object(others)) => {
                let names =
                    |fields: &Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(ones), names(others), "{seen}");
                for (name, one) in ones {
                    let other = &others[name];
                    match name.as_str() {
                        "CreateIndex" | "ModifyIndex" => self.stand_for_each_other(
                            one.as_u64().unwrap(),
                            other.as_u64().unwrap(),
                            seen,
                        ),
                        _ => self.same(one, other, seen),
                    }
                }
            }
            _ => assert_eq!(consul, embedded, "{seen}"),
        }
    }

    /// Records that these indexes correspond. Equal indexes must be equal on
    /// both sides, and later ones later on both.
    fn stand_for_each_other(&mut self, consul: u64, embedded: u64, seen: &str) {
        let before = self.indexes.range(..consul).next_back();
        let after = self.indexes.range(consul + 1..).next();
        let fits = before.is_none_or(|(_, before)| *before < embedded)
            && after.is_none_or(|(_, after)| embedded < *after)
            && self
                .indexes
                .get(&consul)
                .is_none_or(|known| *known == embedded);
        assert!(
            fits,
            "{consul} is {:?}, between {before:?} and {after:?}, not {embedded}: {seen}",
            self.indexes.get(&consul)
        );
        self.indexes.insert(consul, embedded);
    }
}

/// Sessions are listed in the order of their ids, which are random.
fn sort_sessions(value: &mut Value) {
    if let Value::Array(values) = value
        && values.iter().all(|value| value.get("TTL").is_some())
    {
        values.sort_by_key(|value| value["ID"].as_str().map(|id| (id.len(), id.to_owned())));
    }
}

fn pick<'a, T>(random: &mut SmallRng, values: &'a [T]) -> &'a T {
    &values[random.random_range(0..values.len())]
}
