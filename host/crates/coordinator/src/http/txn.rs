//! `/v1/txn`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::context::Context;
use super::problem::Problem;
use super::query::Query;
use super::shape::KeyShape;
use crate::fields::{self, DecodeError, Fields};
use crate::store::{Draft, Operation, OperationError, OperationResult, RESULTS_MAX, Store, Verb};

/// The most operations in one transaction.
const MAX_OPERATIONS: usize = 64;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome<'a> {
    results: Option<Vec<Shown<'a>>>,
    errors: Option<Vec<Failed<'a>>>,
    #[serde(flatten)]
    read: Option<ReadShape>,
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(rename = "KV")]
    kv: KeyShape<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failed<'a> {
    op_index: usize,
    what: &'a str,
}

/// What Consul adds to a transaction that only reads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReadShape {
    index: u64,
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
}

pub(super) async fn run(context: &Context, mut call: Call) -> Result<Answer, Problem> {
    call.query.blocking()?;
    let body = call.body("txn_max_req_len").await?;
    let operations = parse(&body)
        .map_err(|error| Problem::bad_request(format!("Failed to parse body: {error}")))?;
    if operations.len() > MAX_OPERATIONS {
        let count = operations.len();
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Transaction contains too many operations ({count} > {MAX_OPERATIONS})"),
        ));
    }
    let reads_only = !operations.iter().any(|operation| operation.verb.writes());
    let permit = context.hub.turn(|store| length(store, &operations)).await;
    let outcome = context
        .hub
        .write(|store, now| store.transact(now, &operations))
        .await?;
    let answer = answer(&call.query, &outcome, reads_only).holding(permit);
    Ok(match reads_only {
        true => answer.fresh(),
        false => answer,
    })
}

/// About how many bytes the operations that read return, in all.
fn length(store: &Store, operations: &[Operation]) -> usize {
    let mut sum = 0;
    for operation in operations {
        sum += match operation.verb {
            Verb::Get => store.weight_of(&operation.key),
            Verb::GetTree => store.weight_under(&operation.key, RESULTS_MAX),
            _ => 0,
        };
        if sum > RESULTS_MAX {
            break;
        }
    }
    sum
}

fn answer(
    query: &Query,
    outcome: &Result<Vec<OperationResult>, Vec<OperationError>>,
    reads_only: bool,
) -> Answer {
    let read = reads_only.then_some(ReadShape {
        index: 0,
        last_contact: 0,
        known_leader: true,
        consistency_level: "",
    });
    match outcome {
        Ok(results) => {
            let shown = results.iter().map(|result| Shown {
                kv: match result.with_value {
                    true => KeyShape::new(&result.key, &result.entry),
                    false => KeyShape::without_value(&result.key, &result.entry),
                },
            });
            let outcome = Outcome {
                results: Some(shown.collect()),
                errors: None,
                read,
            };
            Answer::json(query, &outcome)
        }
        Err(errors) => {
            let failed = errors.iter().map(|error| Failed {
                op_index: error.position,
                what: &error.what,
            });
            let outcome = Outcome {
                results: None,
                errors: Some(failed.collect()),
                read,
            };
            Answer::json(query, &outcome).status(StatusCode::CONFLICT)
        }
    }
}

fn parse(body: &[u8]) -> Result<Vec<Operation>, DecodeError> {
    let steps = fields::array(fields::json(body)?, "", "api.TxnOps")?;
    let operations = steps.into_iter().map(|step| {
        let mut wrapped = Fields::of(step, "", "api.TxnOp")?;
        let kv = wrapped.take("KV").filter(|kv| !kv.is_null());
        for other in ["Node", "Service", "Check"] {
            if wrapped.take(other).is_some_and(|value| !value.is_null()) {
                return Err(DecodeError::new(format!(
                    "the embedded coordinator does not support {other} in transactions"
                )));
            }
        }
        wrapped.finish()?;
        kv.map(operation).transpose()
    });
    operations.filter_map(Result::transpose).collect()
}

fn operation(value: Value) -> Result<Operation, DecodeError> {
    let mut fields = Fields::of(value, "KV", "api.KVTxnOp")?;
    let operation = Operation {
        verb: Verb::from_name(&fields.text("Verb")?),
        key: fields.text("Key")?,
        draft: Draft {
            value: decoded(&fields.text("Value")?)?,
            flags: fields.unsigned("Flags")?,
        },
        index: fields.unsigned("Index")?,
        session: fields.text("Session")?,
    };
    // Accepted and ignored: there is one namespace.
    fields.take("Namespace");
    fields.finish()?;
    Ok(operation)
}

fn decoded(value: &str) -> Result<Bytes, DecodeError> {
    let decoded = STANDARD.decode(value).map(Bytes::from);
    decoded.map_err(|error| {
        let position = match error {
            base64::DecodeError::InvalidByte(position, _)
            | base64::DecodeError::InvalidLastSymbol(position, _) => position,
            _ => value.len(),
        };
        DecodeError::new(format!("illegal base64 data at input byte {position}"))
    })
}
