//! The sink against a store in the same process.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::{Digest, Sha256};
use sluice_sink::http::gzip;
use sluice_sink::testing::{
    Destination, Received, Reply, batch, deliver, open, record, schema_agrees,
};
use sluice_sink::{Batch, Failure, Refusals};

use crate::{Store, hex};

const ORIGIN: &str = "https://s3.example.com";

/// A config with the URL, the bucket and these fields.
fn config(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"url": "{ORIGIN}", "bucket": "logs"{comma}{fields}}}"#)
}

fn send(destination: &Destination, fields: &str, batch: &Batch) -> Vec<Received> {
    let mut sink = open::<Store>(&config(fields)).unwrap();
    assert_eq!(sink.write(batch), Ok(Refusals::none()));
    destination.requests()
}

fn two() -> Batch {
    batch([record("a").id(2, 0x1a), record("b").id(2, 0x1c)])
}

/// What an object holds.
fn content(object: &Received) -> String {
    let expanded = match object.path.ends_with(".gz") {
        true => gzip::expand(&object.body, 1 << 30).unwrap(),
        false => object.body.clone(),
    };
    String::from_utf8(expanded).unwrap()
}

#[test]
fn a_batch_is_an_object_whose_key_says_what_is_in_it() {
    let destination = Destination::script(ORIGIN, []);
    let objects = send(&destination, "", &two());
    assert_eq!(objects.len(), 1);
    let lines = String::from_utf8(two().json_lines().into_bytes()).unwrap();
    assert_eq!(content(&objects[0]), lines);
    let digest = hex::text(&Sha256::digest(&objects[0].body));
    assert_eq!(
        objects[0].path,
        format!(
            "/logs/2023/11/14/22/00000002-00000000001a_00000002-00000000001c_{}.ndjson.gz",
            &digest[..16]
        )
    );
    assert_eq!(objects[0].method, "PUT");
    for (name, value) in [
        ("x-amz-content-sha256", Some(&*digest)),
        ("content-type", Some("application/gzip")),
        ("content-encoding", None),
        ("x-amz-storage-class", None),
        ("authorization", None),
    ] {
        assert_eq!(objects[0].header(name), value, "{name}");
    }
    // Again, which is the same object.
    let again = send(&destination, "", &two());
    assert_eq!(again[1], again[0]);
}

#[test]
fn requests_are_as_the_config_says() {
    let destination = Destination::script("https://logs.s3.example.com", []);
    let fields = r#""style": "virtual", "compression": "none", "prefix": "sluice/",
        "key": "dt={year}-{month}-{day} {hour}:{minute}/{id}.{extension}",
        "content_type": "text/plain", "storage_class": "STANDARD_IA",
        "headers": {"x-amz-server-side-encryption": "AES256"}"#;
    let objects = send(&destination, fields, &two());
    let lines = String::from_utf8(two().json_lines().into_bytes()).unwrap();
    assert_eq!(content(&objects[0]), lines);
    let path = &objects[0].path;
    assert!(
        path.starts_with("/sluice/dt%3D2023-11-14%2022%3A13/00000002-"),
        "{path}"
    );
    assert!(path.ends_with(".ndjson"), "{path}");
    for (name, value) in [
        ("content-type", "text/plain"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-server-side-encryption", "AES256"),
    ] {
        assert_eq!(objects[0].header(name), Some(value), "{name}");
    }
}

#[test]
fn objects_are_bounded() {
    let destination = Destination::script(ORIGIN, []);
    let lines = batch((0..100).map(|n| record(format!("{n:0>300}"))));
    let fields = r#""max_object_kib": 4, "concurrency": 3"#;
    let objects = send(&destination, fields, &lines);
    assert!(objects.len() > 8, "{}", objects.len());
    assert_eq!(destination.most_at_once(), 3);
    assert!(objects.iter().all(|object| content(object).len() <= 4096));
    let all: String = objects.iter().map(content).collect();
    assert_eq!(all.as_bytes(), lines.json_lines().into_bytes());
    let mut keys: Vec<_> = objects.iter().map(|object| &object.path).collect();
    assert!(keys.is_sorted());
    keys.dedup();
    assert_eq!(keys.len(), objects.len());
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId></Error>"
    )
}

#[test]
fn what_can_be_mended_is_tried_again() {
    for (status, code) in [
        (503, "SlowDown"),
        (500, "InternalError"),
        (400, "RequestTimeout"),
        (400, "ExpiredToken"),
        (400, "AuthorizationHeaderMalformed"),
        (403, "SignatureDoesNotMatch"),
        (404, "NoSuchBucket"),
        (301, "PermanentRedirect"),
        (409, "OperationAborted"),
    ] {
        let reply = Reply::status(status).body(error(code, "why"));
        let _destination = Destination::script(ORIGIN, [reply]);
        let mut sink = open::<Store>(&config("")).unwrap();
        let failure = sink.write(&two()).unwrap_err();
        assert!(failure.is_retryable(), "{failure:?}");
        let reason = failure.reason();
        let said = format!(" answered {status}: {code}: why");
        assert!(
            reason.starts_with(&format!("PUT {ORIGIN}/logs/2023/")),
            "{reason}"
        );
        assert!(reason.ends_with(&said), "{reason}");
    }
    for reply in [
        Reply::status(400),
        Reply::status(502).body("<html>bad gateway</html>"),
        Reply::hang(),
        Reply::close(),
    ] {
        let _destination = Destination::script(ORIGIN, [reply]);
        let mut sink = open::<Store>(&config("")).unwrap();
        assert!(sink.write(&two()).unwrap_err().is_retryable());
    }
    let busy = Reply::status(503).header("retry-after", "3");
    let _destination = Destination::script(ORIGIN, [busy]);
    let mut sink = open::<Store>(&config("")).unwrap();
    let Err(Failure::Retryable(retry)) = sink.write(&two()) else {
        panic!("not tried again");
    };
    assert_eq!(retry.after_ms, Some(3000));
}

#[test]
fn an_object_that_is_too_large_is_refused() {
    for reply in [
        Reply::status(413),
        Reply::status(400).body(error("EntityTooLarge", "too large")),
    ] {
        let _destination = Destination::script(ORIGIN, [reply]);
        let mut sink = open::<Store>(&config("")).unwrap();
        assert!(!sink.write(&two()).unwrap_err().is_retryable());
    }
}

/// The store fails in every way, also after it has stored.
#[test]
fn each_record_is_stored_once_although_objects_come_again() {
    for concurrency in [1, 4] {
        let stored: Rc<RefCell<BTreeMap<String, String>>> = Rc::default();
        let store = Rc::clone(&stored);
        let (mut count, repeats) = (0_usize, Rc::new(RefCell::new(0)));
        let repeated = Rc::clone(&repeats);
        let _destination = Destination::new(ORIGIN, move |request| {
            count += 1;
            let keep = || {
                let (key, text) = (request.path.clone(), content(request));
                if let Some(before) = store.borrow_mut().insert(key, text.clone()) {
                    assert_eq!(before, text);
                    *repeated.borrow_mut() += 1;
                }
            };
            match count % 6 {
                1 => Reply::status(500),
                2 => {
                    keep();
                    Reply::hang()
                }
                4 => Reply::status(503).body(error("SlowDown", "")),
                5 => Reply::close(),
                _ => {
                    keep();
                    Reply::status(200)
                }
            }
        });
        let config = config(&format!(
            r#""max_object_kib": 1, "concurrency": {concurrency}"#
        ));
        let mut sink = open::<Store>(&config).unwrap();
        // One record per object.
        let batch = batch((0..40).map(|n| record(format!("<{n}>{}", "x".repeat(1024)))));
        let delivered = deliver(&mut sink, &batch, 500);
        assert_eq!(delivered.acknowledged.len(), 40);
        let all = stored.borrow();
        let lines: usize = all.values().map(|text| text.lines().count()).sum();
        assert_eq!(lines, 40);
        assert!(*repeats.borrow() > 0, "none came again");
    }
}

#[test]
fn the_schema_agrees_with_the_sink() {
    let valid = [
        "",
        r#""style": "virtual", "prefix": "a/", "key": "{id}""#,
        r#""style": "path", "key": "{year}{month}{day}{hour}{minute}{id}{extension}""#,
        r#""compression": "gzip", "headers": {"x-a": "b"}, "content_type": "a/b""#,
        r#""compression": "none", "storage_class": "GLACIER_IR""#,
        r#""max_object_kib": 1, "concurrency": 16, "timeout_ms": 300000"#,
    ];
    let invalid = [
        r#""style": "host""#,
        r#""prefix": 1"#,
        r#""key": """#,
        r#""key": 1"#,
        r#""compression": "zstd""#,
        r#""content_type": 1"#,
        r#""storage_class": """#,
        r#""headers": {"a": 1}"#,
        r#""max_object_kib": 0"#,
        r#""concurrency": 17"#,
        r#""timeout_ms": 0"#,
        r#""region": "a""#,
    ];
    let all = |some: &[&str]| some.iter().map(|fields| config(fields)).collect::<Vec<_>>();
    let mut wrong = all(&invalid);
    let others = [
        "{}",
        "[]",
        r#"{"url": "https://a"}"#,
        r#"{"url": "https://a", "bucket": ""}"#,
    ];
    wrong.extend(others.map(str::to_owned));
    schema_agrees::<Store>(include_str!("../config.schema.json"), &all(&valid), &wrong);
}

#[test]
fn what_the_schema_cannot_say_is_refused_by_name() {
    for (text, named) in [
        (
            r#"{"url": "https://a?b", "bucket": "a"}"#.to_owned(),
            "config.url: expected no query",
        ),
        (
            r#"{"url": "https://a", "bucket": "a/b"}"#.to_owned(),
            "config.bucket: expected a name",
        ),
        (config(r#""key": "{year}""#), "config.key: expected {id}"),
        (config(r#""prefix": "/a""#), "config.key: no part of a key"),
        (config(r#""storage_class": "a""#), "config.storage_class: "),
        (config(r#""content_type": "a\nb""#), "config.content_type: "),
        (
            config(r#""headers": {"host": "a"}"#),
            "config.headers.host: ",
        ),
    ] {
        let failure = open::<Store>(&text).err().unwrap();
        assert!(failure.reason().starts_with(named), "{failure:?}");
    }
}
