use super::*;
use crate::memory_budget::MemoryBudget;
use crate::meter::{Client, Meter};
use crate::rejected::Rejected;
use sluice_types::rejection::REASONS_MAX;

fn items(actions: &[Action], refused_by_decoder: &[usize]) -> Items {
    let mut meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
    let mut items = Items::default();
    for (place, action) in actions.iter().enumerate() {
        items.push(*action, &mut meter);
        if refused_by_decoder.contains(&place) {
            items.refuse_last();
        }
    }
    items
}

fn by_sink(indexes: impl IntoIterator<Item = usize>) -> Vec<Rejection> {
    let rejection = |index| Rejection {
        index,
        reason: format!("no \"{index}\""),
        is_kept: false,
    };
    indexes.into_iter().map(rejection).collect()
}

/// The body of the answer to a settled bulk request.
fn settled(items: &Items, rejections: &Rejections) -> String {
    let total = items.len();
    let verdict = Verdict::Settled { total, rejections };
    let Reply::Answer(answer) = bulk(items, 3, verdict, NotNow::NoAnswer) else {
        panic!("no answer");
    };
    assert_eq!(
        (answer.status, answer.content_type),
        (200, "application/json")
    );
    assert!(answer.body.capacity() <= bulk_size(items, rejections));
    product_is_told(&answer);
    String::from_utf8(answer.body).unwrap()
}

fn product_is_told(answer: &Answer) {
    let header = ("x-elastic-product", "Elasticsearch".to_owned());
    assert!(answer.headers.contains(&header));
}

#[test]
fn a_success_has_the_keys_in_the_order_that_clients_search() {
    let items = items(&[Action::Create, Action::Index, Action::Update], &[]);
    assert_eq!(
        settled(&items, &Rejections::default()),
        "{\"took\":3,\"errors\":false,\"items\":[{\"create\":{\"status\":201}},\
         {\"index\":{\"status\":201}},{\"update\":{\"status\":200}}]}"
    );
    let none = Items::default();
    let empty = "{\"took\":3,\"errors\":false,\"items\":[]}";
    assert_eq!(settled(&none, &Rejections::default()), empty);
}

#[test]
fn refused_documents_are_items_with_a_type_and_a_reason() {
    let mut items = items(&[Action::Create, Action::Delete, Action::Index], &[1]);
    let mut rejected = Rejected::default();
    rejected.push(1, "gone");
    let by_sink = by_sink([1]);
    items.refuse(&by_sink);
    assert_eq!(
        settled(&items, &rejected.merge(by_sink)),
        "{\"took\":3,\"errors\":true,\"items\":[{\"create\":{\"status\":201}},\
         {\"delete\":{\"status\":400,\"error\":{\"type\":\"document_parsing_exception\",\
         \"reason\":\"gone\"}}},{\"index\":{\"status\":400,\"error\":{\
         \"type\":\"document_parsing_exception\",\"reason\":\"no \\\"1\\\"\"}}}]}"
    );
}

#[test]
fn refusals_without_a_reason_have_their_place_too() {
    let count = 4 * REASONS_MAX;
    // Every fourth by the decoder, and every second of the others by the sink.
    let by_decoder: Vec<_> = (0..count).step_by(4).collect();
    let mut items = items(&vec![Action::Index; count], &by_decoder);
    let mut rejected = Rejected::default();
    by_decoder
        .iter()
        .for_each(|place| rejected.push(*place, "no"));
    let by_sink = by_sink((0..count / 4 * 3).step_by(2));
    items.refuse(&by_sink);
    let answer = settled(&items, &rejected.merge(by_sink));
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["items"].as_array().unwrap().len(), count);
    let mut record = 0;
    for (place, item) in answer["items"].as_array().unwrap().iter().enumerate() {
        let is_record = place % 4 != 0;
        let is_taken = is_record && record % 2 != 0;
        record += usize::from(is_record);
        let status = if is_taken { 201 } else { 400 };
        assert_eq!(item["index"]["status"], status, "{place}");
        let has_reason = item["index"]["error"]["reason"].is_string();
        assert_eq!(has_reason, !is_taken, "{place}");
    }
}

#[test]
fn a_single_document_is_created_or_refused() {
    let mut rejections = Rejections::default();
    let answer = |id, rejections: &Rejections| {
        let verdict = Verdict::Settled {
            total: 1,
            rejections,
        };
        match document("logs", id, 7, verdict, NotNow::NoAnswer) {
            Reply::Answer(answer) => {
                product_is_told(&answer);
                (answer.status, String::from_utf8(answer.body).unwrap())
            }
            Reply::NoAnswer => panic!("no answer"),
        }
    };
    let (status, body) = answer(Some("a\"b"), &rejections);
    assert_eq!(status, 201);
    let start = "{\"_index\":\"logs\",\"_id\":\"a\\\"b\",\"_version\":1,\"result\":\"created\"";
    assert!(body.starts_with(start), "{body}");
    let body: serde_json::Value = serde_json::from_str(&answer(None, &rejections).1).unwrap();
    assert_eq!(body["_id"].as_str().map(str::len), Some(20));
    rejections.listed = by_sink([0]);
    rejections.total = 1;
    let (status, body) = answer(None, &rejections);
    let expected = "{\"error\":{\"type\":\"document_parsing_exception\",\
         \"reason\":\"no \\\"0\\\"\"},\"status\":400}";
    assert_eq!((status, &*body), (400, expected));
}

#[test]
fn what_is_not_settled_is_sent_again_by_each_client_in_its_way() {
    let retry_after = ("retry-after", "1".to_owned());
    for (verdict, kind) in [
        (Verdict::Busy("full"), "es_rejected_execution_exception"),
        (Verdict::Stopping, "node_closed_exception"),
        (Verdict::Unknown("lost"), "unavailable_shards_exception"),
    ] {
        for (not_now, status) in [(NotNow::Unavailable, 503), (NotNow::TooManyRequests, 429)] {
            let Reply::Answer(answer) = bulk(&Items::default(), 0, verdict, not_now) else {
                panic!("no answer");
            };
            assert_eq!(answer.status, status);
            assert!(answer.headers.contains(&retry_after));
            product_is_told(&answer);
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                (&body["error"]["type"], &body["status"]),
                (&kind.into(), &status.into())
            );
        }
        for reply in [
            bulk(&Items::default(), 0, verdict, NotNow::NoAnswer),
            document("a", None, 0, verdict, NotNow::NoAnswer),
        ] {
            assert_eq!(reply, Reply::NoAnswer);
        }
    }
}

#[test]
fn what_can_never_be_taken_is_said_with_a_status_that_is_final() {
    for (verdict, status) in [
        (Verdict::NoToken, 401),
        (Verdict::WrongToken, 401),
        (Verdict::Malformed("line 1"), 400),
        (Verdict::Unsupported("br"), 415),
        (Verdict::TooLarge("17 MiB"), 413),
    ] {
        let Reply::Answer(answer) = bulk(&Items::default(), 0, verdict, NotNow::NoAnswer) else {
            panic!("no answer");
        };
        assert_eq!(answer.status, status);
        product_is_told(&answer);
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["status"], status);
    }
}

#[test]
fn ids_that_were_not_given_are_different() {
    assert_ne!(generated_id(1), generated_id(1 << 40));
}
