//! What a destination answers when it takes everything, as its clients expect it.

use memchr::memchr_iter;

/// The status, and the body in JSON.
pub(super) fn taken(path: &str, body: &[u8]) -> (u16, String) {
    if path.ends_with("/_bulk") {
        return (200, bulk(body));
    }
    if path.ends_with("/loki/api/v1/push") {
        return (204, String::new());
    }
    if path.contains("/services/collector") {
        return (200, r#"{"text":"Success","code":0}"#.to_owned());
    }
    // For OTLP in protobuf too: an empty message is what it has to be.
    if path.ends_with("/v1/logs") {
        return (200, String::new());
    }
    (200, "{}".to_owned())
}

/// An item for each document: each has a line for what to do, and one for itself.
fn bulk(body: &[u8]) -> String {
    let lines = memchr_iter(b'\n', body).count();
    let item = r#"{"create":{"status":201}}"#;
    let items = vec![item; lines / 2].join(",");
    format!(r#"{{"took":1,"errors":false,"items":[{items}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_item_for_each_document() {
        let body = "{\"create\":{}}\n{}\n".repeat(3);
        let (status, answer) = taken("/logs/_bulk", body.as_bytes());
        assert_eq!((status, answer.matches("201").count()), (200, 3));
    }
}
