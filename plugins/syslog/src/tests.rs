//! The sink against a receiver on a port of its own.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sluice_sink::testing::{batch, open, record, schema_agrees};
use sluice_sink::{Batch, Refusals, Severity, Value};

use crate::Syslog;

const LIMIT: Duration = Duration::from_secs(20);

/// Listens, reads each connection to its end, and closes it then. Returns its address
/// and what the connections brought.
fn receiver() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (arrived, all) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut bytes = Vec::new();
            stream.unwrap().read_to_end(&mut bytes).unwrap();
            if arrived.send(bytes).is_err() {
                return;
            }
        }
    });
    (address, all)
}

fn config(address: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"address": "{address}"{comma}{fields}}}"#)
}

/// The messages of a connection.
fn messages(bytes: &[u8]) -> Vec<String> {
    let mut rest = bytes;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ').unwrap();
        let length = std::str::from_utf8(&rest[..space]).unwrap();
        let length: usize = length.parse().unwrap();
        let (message, after) = rest[space + 1..].split_at(length);
        all.push(String::from_utf8(message.to_vec()).unwrap());
        rest = after;
    }
    all
}

fn send(fields: &str, batch: &Batch) -> (Refusals, Vec<String>) {
    let (address, all) = receiver();
    let mut sink = open::<Syslog>(&config(&address, fields)).unwrap();
    let refusals = sink.write(batch).unwrap();
    (refusals, messages(&all.recv_timeout(LIMIT).unwrap()))
}

/// As a server of TLS does with syslog.
#[test]
fn a_receiver_that_answers_has_taken_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"\x15\x03\x01\0\x02\x02\x46").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let mut sink = open::<Syslog>(&config(&address, "")).unwrap();
    let error = sink.write(&batch([record("lost")])).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    answering.join().unwrap();
}

#[test]
fn a_record_becomes_a_message() {
    let first = record("disk\nfull \u{e4}")
        .id(7, 42)
        .timestamp(1_700_000_000_123_456_789)
        .severity(Severity::Error)
        .attribute("host.name", "web 1")
        .attribute("service.name", "shop")
        .attribute("process.pid", 99)
        .attribute("syslog.msgid", "ID")
        .attribute("syslog.facility", "local4")
        .attribute("syslog.sd.a@1.b", "x")
        .attribute("path", "a]b\"c\\d")
        .attribute("syslog.sd.a@1.c", Value::Boolean(true));
    let second = record("").id(7, 43);
    let (refusals, messages) = send("", &batch([first.clone(), second]));
    assert!(refusals.is_empty());
    assert_eq!(
        messages,
        [
            "<163>1 2023-11-14T22:13:20.123456Z web_1 shop 99 ID \
             [sluice@32473 id=\"7-42\" path=\"a\\]b\\\"c\\\\d\"][a@1 b=\"x\" c=\"true\"] \
             disk\nfull \u{e4}",
            "<14>1 2023-11-14T22:13:20Z - - - - [sluice@32473 id=\"7-43\"] ",
        ]
    );
    let fields = r#""structured_data": null, "facility": "local0""#;
    let (_, messages) = send(
        fields,
        &batch([first, record("x").severity(Severity::Trace)]),
    );
    assert!(
        messages[0].contains(" ID [a@1 b=\"x\" c=\"true\"] disk"),
        "{messages:?}"
    );
    assert_eq!(messages[1], "<135>1 2023-11-14T22:13:20Z - - - - - x");
}

#[test]
fn names_and_values_keep_to_the_rules() {
    let long = "n".repeat(300);
    let sent = record("x")
        .attribute("resource.host.name", "é\u{7f}")
        .attribute("service.name", long.as_str())
        .attribute("syslog.procid", long.as_str())
        .attribute("syslog.msgid", long.as_str())
        .attribute("a b=c]d\"é", 1)
        .attribute(long.as_str(), 2)
        .attribute("", 3);
    let (_, messages) = send("", &batch([sent]));
    let fields: Vec<_> = messages[0].split(' ').collect();
    assert_eq!(fields[2], "__");
    assert_eq!(
        [fields[3].len(), fields[4].len(), fields[5].len()],
        [48, 128, 32]
    );
    let rest = messages[0].split_once(" id=\"1-1\" ").unwrap().1;
    let expected = format!("a_b_c_d__=\"1\" {}=\"2\" _=\"3\"] x", "n".repeat(32));
    assert_eq!(rest, expected);
}

#[test]
fn long_messages_are_cut_off_or_refused() {
    let long = || {
        [
            record("\u{e4}".repeat(2000)).id(1, 1),
            record("short").id(1, 2),
            record("y").id(1, 3).attribute("a", "x".repeat(2000)),
        ]
    };
    let (refusals, messages) = send(r#""max_message_bytes": 1024"#, &batch(long()));
    assert!(refusals.is_empty());
    assert!(
        (1023..=1024).contains(&messages[0].len()),
        "{}",
        messages[0].len()
    );
    let said = "[sluice@32473 truncated=\"true\" id=\"1-1\"] \u{e4}\u{e4}";
    assert!(messages[0].contains(said), "{messages:?}");
    assert!(messages[1].ends_with("[sluice@32473 id=\"1-2\"] short"));
    assert!(messages[2].ends_with("[sluice@32473 truncated=\"true\" id=\"1-3\"] y"));

    let fields = r#""max_message_bytes": 1024, "structured_data": null"#;
    let (_, messages) = send(fields, &batch(long()));
    assert!(messages[0].contains(" - \u{e4}") && messages[0].len() <= 1024);

    let fields = r#""max_message_bytes": 1024, "too_long": "refuse""#;
    let (refusals, messages) = send(fields, &batch(long()));
    assert_eq!(refusals.permanent_indices(), [0, 2]);
    assert_eq!(messages.len(), 1);
    let (_, failure) = refusals.iter().next().unwrap();
    assert!(
        failure.reason().ends_with("which is more than 1024"),
        "{failure:?}"
    );
}

#[test]
fn each_write_ends_its_connection() {
    let (address, all) = receiver();
    let mut sink = open::<Syslog>(&config(&address, "")).unwrap();
    for text in ["one", "two"] {
        sink.write(&batch([record(text)])).unwrap();
        let got = messages(&all.recv_timeout(LIMIT).unwrap());
        assert!(got.len() == 1 && got[0].ends_with(text), "{got:?}");
    }
    sink.close();
    // Nothing to send, so no connection.
    let fields = r#""max_message_bytes": 1024, "too_long": "refuse""#;
    let mut sink = open::<Syslog>(&config("127.0.0.1:1", fields)).unwrap();
    let refusals = sink.write(&batch([record("x".repeat(2000))])).unwrap();
    assert_eq!(refusals.permanent_indices(), [0]);
}

#[test]
fn a_connection_can_be_used_again() {
    let (address, all) = receiver();
    let mut sink = open::<Syslog>(&config(&address, r#""confirm": "sent""#)).unwrap();
    for text in ["one", "two"] {
        sink.write(&batch([record(text)])).unwrap();
    }
    sink.close();
    let got = messages(&all.recv_timeout(LIMIT).unwrap());
    assert_eq!(got.len(), 2);
}

#[test]
fn a_connection_that_broke_down_is_told_and_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sink = open::<Syslog>(&config(&address, r#""confirm": "sent""#)).unwrap();
    sink.write(&batch([record("one")])).unwrap();
    let (mut first, _) = listener.accept().unwrap();
    let mut some = [0; 8];
    first.read_exact(&mut some).unwrap();
    // What it has not read resets the connection.
    drop(first);
    let told = sink.write(&batch([record("two")])).unwrap_err();
    assert!(told.is_retryable(), "{told:?}");
    sink.write(&batch([record("two")])).unwrap();
    let (mut second, _) = listener.accept().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        second.read_to_end(&mut bytes).unwrap();
        messages(&bytes)
    });
    sink.close();
    let got = reader.join().unwrap();
    assert!(got.len() == 1 && got[0].ends_with("two"), "{got:?}");
}

#[test]
fn a_receiver_that_breaks_off_has_taken_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
        }
    });
    let mut sink = open::<Syslog>(&config(&address, "")).unwrap();
    let failure = sink
        .write(&batch([record("x".repeat(100_000))]))
        .unwrap_err();
    assert!(failure.is_retryable());
    assert!(failure.reason().starts_with(&address), "{failure:?}");
}

#[test]
fn a_receiver_that_does_not_close_has_taken_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sink = open::<Syslog>(&config(&address, r#""timeout_ms": 50"#)).unwrap();
    let failure = sink.write(&batch([record("x")])).unwrap_err();
    assert!(failure.is_retryable());
    let said = "closing the connection took too long";
    assert!(failure.reason().ends_with(said), "{failure:?}");
}

#[test]
fn the_schema_agrees_with_the_sink() {
    let valid = [
        "",
        r#""facility": "local7", "structured_data": "x@1", "confirm": "sent""#,
        r#""structured_data": null, "too_long": "refuse", "timeout_ms": 300000"#,
        r#""max_message_bytes": 1024"#,
        r#""tls": true"#,
        r#""tls": true, "tls_server_name": "syslog.example.com""#,
    ];
    let invalid = [
        r#""facility": "local8""#,
        r#""structured_data": """#,
        r#""confirm": "ack""#,
        r#""max_message_bytes": 1023"#,
        r#""too_long": "split""#,
        r#""timeout_ms": 0"#,
        r#""timeout_ms": 300001"#,
        r#""tls": 1"#,
        r#""tls": true, "tls_server_name": """#,
        r#""tls": {}"#,
    ];
    let all = |some: &[&str]| -> Vec<String> {
        some.iter()
            .map(|fields| config("syslog.example.com:601", fields))
            .collect()
    };
    let mut wrong = all(&invalid);
    wrong.extend(["{}", "[]", r#"{"address": 1}"#].map(str::to_owned));
    schema_agrees::<Syslog>(include_str!("../config.schema.json"), &all(&valid), &wrong);
    for (fields, named) in [
        (
            r#""tls_server_name": "a.example""#,
            "config.tls_server_name: ",
        ),
        (r#""structured_data": "a b""#, "config.structured_data: "),
        (
            r#""structured_data": "0123456789012345678901234567890123""#,
            "config.structured_data: ",
        ),
    ] {
        let failure = open::<Syslog>(&config("a:1", fields)).err().unwrap();
        assert!(failure.reason().starts_with(named), "{failure:?}");
    }
    let failure = open::<Syslog>(&config("a", "")).err().unwrap();
    assert!(
        failure.reason().starts_with("config.address: "),
        "{failure:?}"
    );
}
