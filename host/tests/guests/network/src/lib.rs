//! A sink for tests. With `{"post": URL}` as its config it posts each batch as
//! JSON lines. Without, it does what each message says, such as
//! `GET http://127.0.0.1/`, and prints what came of it.

#![cfg(target_family = "wasm")]

mod bindings;
mod http;
mod tcp;

use std::cell::RefCell;

#[expect(unsafe_code, reason = "the canonical ABI passes raw pointers")]
mod export {
    use crate::{Network, bindings};

    bindings::export!(Network with_types_in bindings);
}

use bindings::exports::sluice::sink::sink::Guest;
use bindings::sluice::sink::types::{Batch, Delivery, Failure, Refusal, Retry};

struct Network;

thread_local! {
    /// Where batches are posted to.
    static POST: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Guest for Network {
    fn open(config: String) -> Result<(), Failure> {
        let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
        let post = config.get("post").and_then(serde_json::Value::as_str);
        POST.set(post.map(str::to_owned));
        Ok(())
    }

    fn write(_delivery: Delivery, batch: &Batch) -> Result<Vec<Refusal>, Failure> {
        let url = POST.with_borrow(Clone::clone);
        match url {
            Some(url) => post(&url, &batch.json_lines())?,
            None => {
                for record in batch.records() {
                    println!("{}: {}", record.body, tried(&record.body));
                }
            }
        }
        Ok(Vec::new())
    }

    fn close() {}
}

fn post(url: &str, body: &[u8]) -> Result<(), Failure> {
    let reason = match http::request("POST", url, body) {
        Ok((200..=299, _)) => return Ok(()),
        Ok((status, _)) => format!("the destination answered {status}"),
        Err(error) => error,
    };
    let after_ms = None;
    Err(Failure::Retryable(Retry { reason, after_ms }))
}

/// What came of what a message says.
fn tried(message: &str) -> String {
    let Some((act, target)) = message.split_once(' ') else {
        return "nothing to try".to_owned();
    };
    let result = match act {
        "TCP" => tcp::exchange(target),
        "LOOKUP" => tcp::look_up(target),
        "UDP" => tcp::udp(),
        "LISTEN" => tcp::listen(target),
        "MANY" => http::many(target),
        "FORGE" => http::forge(target),
        "TRACED" => http::traced(target),
        "CUT" => http::cut_off(target),
        method if target.contains("://") => http::request(method, target, &[])
            .map(|(status, body)| format!("{status} {}", String::from_utf8_lossy(&body))),
        _ => return "nothing to try".to_owned(),
    };
    match result {
        Ok(text) => format!("done: {}", text.replace('\n', " ")),
        Err(error) => format!("failed: {error}"),
    }
}
