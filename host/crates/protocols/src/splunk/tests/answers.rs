//! Answers.

use bytes::Bytes;

use super::MEMORY;
use crate::answer::{Answer, Verdict};
use crate::error::DecodeError;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};
use crate::rejected::{Rejected, Rejections};
use crate::splunk::{ack, answer};

#[test]
fn acknowledgements_are_true_for_every_id() {
    let ask = |body: &'static str| {
        let body = Bytes::from_static(body.as_bytes());
        let meter = Meter::new(MemoryBudget::new(MEMORY).reserve(), Client::default());
        let answer = meter.measure(|meter| ack::answer(&body, Some("c"), meter));
        answer.map(|(answer, _)| String::from_utf8(answer.body).unwrap())
    };
    let both = r#"{"acks":{"7":true,"8":true}}"#.to_owned();
    assert_eq!(ask(r#"{"acks":[7,8]}"#), Ok(both));
    assert_eq!(
        ask(r#" { "x":{}, "acks" : [ ] } "#),
        Ok(r#"{"acks":{}}"#.to_owned())
    );
    let most = r#"{"acks":{"18446744073709551615":true}}"#.to_owned();
    assert_eq!(ask(r#"{"acks":[18446744073709551615]}"#), Ok(most));
    for body in [
        "",
        "[]",
        "{}",
        "{\"acks\":7}",
        "{\"acks\":[-1]}",
        "{\"acks\":[1.5]}",
        "{\"acks\":[\"7\"]}",
        "{\"acks\":[7",
        "{\"acks\":[],\"acks\":[]}",
    ] {
        assert!(
            matches!(ask(body), Err(DecodeError::Malformed(_))),
            "{body}"
        );
    }
}

#[test]
fn the_answer_to_many_ids_is_bounded_and_charged() {
    let ask = |count: usize, memory: usize| {
        let id = u64::MAX.to_string();
        let body = Bytes::from(format!("{{\"acks\":[{}]}}", vec![id; count].join(",")));
        let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
        meter.measure(|meter| ack::answer(&body, Some("c"), meter))
    };
    let (answer, reservation) = ask(100_000, MEMORY).unwrap();
    assert!(reservation.spent() >= answer.body.capacity());
    let read: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read["acks"][u64::MAX.to_string()], true);
    assert!(matches!(
        ask(100_001, MEMORY),
        Err(DecodeError::Malformed(_))
    ));
    assert!(matches!(
        ask(100_000, 1 << 20),
        Err(DecodeError::Stopped(_))
    ));
    let mut meter = Meter::new(MemoryBudget::new(0).reserve(), Client::default());
    for channel in [None, Some("")] {
        let answer = ack::answer(&Bytes::from("{\"acks\":[1]}"), channel, &mut meter);
        assert_eq!(answer, Ok(answer::channel_missing()));
    }
}

fn said(answer: &Answer) -> (u16, &str) {
    (answer.status, std::str::from_utf8(&answer.body).unwrap())
}

#[test]
fn every_answer_has_splunks_code() {
    let none = Rejections::default();
    let settled = Verdict::Settled {
        total: 3,
        rejections: &none,
    };
    for (verdict, status, body) in [
        (settled, 200, r#"{"text":"Success","code":0}"#),
        (
            Verdict::Busy("full"),
            503,
            r#"{"text":"Server is busy","code":9}"#,
        ),
        (
            Verdict::Unknown("late"),
            503,
            r#"{"text":"Server is busy","code":9,"reason":"late"}"#,
        ),
        (
            Verdict::Stopping,
            503,
            r#"{"text":"Server is shutting down","code":23}"#,
        ),
        (
            Verdict::NoToken,
            401,
            r#"{"text":"Token is required","code":2}"#,
        ),
        (
            Verdict::WrongToken,
            403,
            r#"{"text":"Invalid token","code":4}"#,
        ),
        (
            Verdict::Malformed("No data"),
            400,
            r#"{"text":"No data","code":5}"#,
        ),
        (
            Verdict::Malformed("a \"b\""),
            400,
            r#"{"text":"Invalid data format","code":6,"invalid-event-number":0,"reason":"a \"b\""}"#,
        ),
        (
            Verdict::Malformed("Event field is required"),
            400,
            r#"{"text":"Event field is required","code":12,"invalid-event-number":0}"#,
        ),
        (
            Verdict::Malformed("Event field cannot be blank"),
            400,
            r#"{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}"#,
        ),
    ] {
        let answer = answer::answer(verdict, None);
        assert_eq!(said(&answer), (status, body));
        assert_eq!(answer.content_type, "application/json");
        let is_retried = answer.headers == [("retry-after", "1".to_owned())];
        assert_eq!(is_retried, status == 503, "{body}");
    }
    let ack = answer::answer(settled, Some(7));
    assert_eq!(
        said(&ack),
        (200, r#"{"text":"Success","code":0,"ackId":7}"#)
    );
    let healthy = answer::health(true);
    assert_eq!(
        said(&healthy),
        (200, r#"{"text":"HEC is healthy","code":17}"#)
    );
    assert_eq!(answer::health(false).status, 503);
    assert_eq!(said(&answer::options()), (200, ""));
    let invalid = answer::invalid_authorization();
    assert_eq!(
        said(&invalid),
        (401, r#"{"text":"Invalid authorization","code":3}"#)
    );
    let missing = answer::channel_missing();
    assert_eq!(
        said(&missing),
        (400, r#"{"text":"Data channel is missing","code":10}"#)
    );
    assert_eq!(answer::answer(Verdict::TooLarge(""), None).status, 413);
    assert_eq!(answer::answer(Verdict::Unsupported(""), None).status, 400);
}

#[test]
fn what_is_partly_refused_is_listed_in_an_answer_that_fits_into_any_buffer() {
    let rejections = |count: usize, reason: &str| {
        let mut rejected = Rejected::default();
        (0..count).for_each(|place| rejected.push(2 * place, reason));
        rejected.merge(Vec::new())
    };
    let answer = |rejections: &Rejections| {
        let verdict = Verdict::Settled {
            total: 9000,
            rejections,
        };
        answer::answer(verdict, Some(0))
    };
    let few = answer(&rejections(2, "no \"x\""));
    let expected = concat!(
        r#"{"text":"Success","code":0,"ackId":0,"rejected":["#,
        r#"{"index":0,"reason":"no \"x\""},{"index":2,"reason":"no \"x\""}]}"#
    );
    assert_eq!(said(&few), (200, expected));
    for reason in ["\u{1}".repeat(200), "é".repeat(200), String::new()] {
        let many = answer(&rejections(5000, &reason));
        assert!(many.body.len() < 3500, "{}", many.body.len());
        let read: serde_json::Value = serde_json::from_slice(&many.body).unwrap();
        assert_eq!(read["rejected-count"], 5000);
        assert_eq!(read["rejected"][1]["index"], 2);
    }
}
