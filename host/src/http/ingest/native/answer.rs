//! The answers to acknowledged requests.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use serde::Serialize;

use crate::http::charged_body::charged;
use crate::http::ingest::repeated::DUPLICATE;
use crate::http::ingest::service::Settled;
use crate::http::problem::{EPOCH, Problem};
use crate::http::response::{JSON, TEXT};
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::rejected::{Rejected, Rejections};

/// The answer for one message.
pub(super) fn single(settled: Settled) -> Result<Response, Problem> {
    match settled.rejected.into_iter().next() {
        Some(rejection) => Err(Problem::Refused(rejection.reason)),
        None => Ok(acknowledged(settled.epoch, TEXT, "OK".into())),
    }
}

/// The answer for many messages. `total` includes the rejected ones. It is
/// charged to the reservation until it is sent.
pub(super) fn many(
    epoch: u64,
    total: usize,
    rejections: &Rejections,
    reservation: Reservation,
) -> Response {
    let body = charged(document(total, rejections), reservation);
    acknowledged(epoch, JSON, body)
}

/// The answer for records that another node or the command line sent.
pub(in crate::http) fn to_peer(total: usize, settled: Settled) -> Response {
    let rejections = Rejected::default().merge(settled.rejected);
    let body = document(total, &rejections).into();
    acknowledged(settled.epoch, JSON, body)
}

fn document(total: usize, rejections: &Rejections) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer<'a> {
        accepted: usize,
        rejected: Vec<Place<'a>>,
        /// Only if there are more than are listed.
        #[serde(skip_serializing_if = "Option::is_none")]
        rejected_total: Option<usize>,
    }
    #[derive(Serialize)]
    struct Place<'a> {
        index: usize,
        reason: &'a str,
    }
    let places = rejections.listed.iter().map(|r| Place {
        index: r.index,
        reason: &r.reason,
    });
    let is_cut = rejections.listed.len() < rejections.total;
    let answer = Answer {
        accepted: total - rejections.total,
        rejected: places.collect(),
        rejected_total: is_cut.then_some(rejections.total),
    };
    // Texts and numbers always have a JSON form.
    serde_json::to_vec(&answer).unwrap_or_default()
}

fn acknowledged(epoch: u64, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.reserve(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(EPOCH, HeaderValue::from(epoch));
    response
}

/// The same answer to a request that was acknowledged before.
pub(super) fn repeated(mut response: Response) -> Response {
    let name = HeaderName::from_static(DUPLICATE);
    let value = HeaderValue::from_static("true");
    response.headers_mut().insert(name, value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_protocols::memory_budget::{Exhausted, MemoryBudget};

    fn rejections(count: usize) -> Rejections {
        let mut rejected = Rejected::default();
        (0..count).for_each(|place| rejected.push(place, &"x".repeat(1000)));
        rejected.merge(Vec::new())
    }

    fn answer(rejected: usize) -> serde_json::Value {
        let rejections = rejections(rejected);
        serde_json::from_slice(&document(rejected + 2, &rejections)).unwrap()
    }

    #[test]
    fn an_answer_for_many_messages_is_charged_until_it_is_sent() {
        const MEMORY: usize = 100_000;
        let budget = MemoryBudget::new(MEMORY);
        let answer = many(1, 1000, &rejections(1000), budget.reserve());
        assert_eq!(budget.reserve().spend(MEMORY), Err(Exhausted::Now));
        drop(answer);
        assert_eq!(budget.reserve().spend(MEMORY), Ok(()));
    }

    #[test]
    fn rejections_are_listed_up_to_a_thousand_and_counted_beyond() {
        let none = serde_json::json!({"accepted": 2, "rejected": []});
        assert_eq!(answer(0), none);
        for (rejected, listed) in [(1000, 1000), (1001, 1000), (99_999, 1000)] {
            let answer = answer(rejected);
            assert_eq!(answer["accepted"], 2);
            let places = answer["rejected"].as_array().unwrap();
            assert_eq!((places.len(), &places[0]["index"]), (listed, &0.into()));
            let total = answer
                .get("rejected_total")
                .and_then(|total| total.as_u64());
            assert_eq!(
                total,
                (rejected > listed).then(|| rejected.try_into().unwrap())
            );
            assert!(answer.to_string().len() < 300_000);
        }
    }
}
