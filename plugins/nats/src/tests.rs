//! The sink against a server on a port of its own, which speaks a little NATS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use sluice_sink::testing::{Running, batch, open, record, schema_agrees};
use sluice_sink::{Batch, Failure, Severity};

use crate::Nats;

const LIMIT: Duration = Duration::from_secs(20);
const INFO: &str = r#"{"server_id":"x","version":"2.9.10","headers":true,"max_payload":400}"#;

/// A message that was published.
#[derive(Clone, Debug, PartialEq)]
struct Published {
    subject: String,
    headers: String,
    payload: String,
}

/// What a server does with a message.
enum Reply {
    /// It acknowledges it with this text.
    Text(&'static str),
    /// It says that nobody listens.
    NoResponders,
    Nothing,
    /// It says this.
    Say(&'static str),
    /// It says this, and closes the connection.
    End(&'static str),
}

const TAKEN: Reply = Reply::Text(r#"{"stream":"LOGS","seq":1}"#);

/// Serves connections one after another. Returns the address, the lines of the logins,
/// and the messages.
fn serve(
    info: &'static str,
    reply: impl Fn(&Published) -> Reply + Send + 'static,
) -> (String, Receiver<String>, Receiver<Published>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (logins, all_logins) = channel();
    let (messages, all_messages) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A connection that breaks is no fault of the test.
            drop(serve_one(stream.unwrap(), info, &reply, &logins, &messages));
        }
    });
    (address, all_logins, all_messages)
}

fn serve_one(
    mut stream: TcpStream,
    info: &str,
    reply: &impl Fn(&Published) -> Reply,
    logins: &Sender<String>,
    messages: &Sender<Published>,
) -> std::io::Result<()> {
    write!(stream, "INFO {info}\r\n")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["CONNECT", ..] => logins.send(line).unwrap_or_default(),
            ["SUB", inbox, "1"] => assert!(inbox.ends_with(".*")),
            // A ping of its own, which has to be answered.
            ["PING"] => stream.write_all(b"PING\r\nPONG\r\n")?,
            ["PONG"] => {}
            ["HPUB", subject, inbox, headers, total] => {
                let (headers, total): (usize, usize) =
                    (headers.parse().unwrap(), total.parse().unwrap());
                let mut content = vec![0; total + 2];
                lines.read_exact(&mut content)?;
                let content = String::from_utf8(content).unwrap();
                let published = Published {
                    subject: (*subject).to_owned(),
                    headers: content[..headers].to_owned(),
                    payload: content[headers..total].to_owned(),
                };
                messages.send(published.clone()).unwrap_or_default();
                match reply(&published) {
                    Reply::Text(text) => {
                        write!(stream, "MSG {inbox} 1 {}\r\n{text}\r\n", text.len())?
                    }
                    Reply::NoResponders => {
                        write!(stream, "HMSG {inbox} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")?;
                    }
                    Reply::Nothing => {}
                    Reply::Say(text) => stream.write_all(text.as_bytes())?,
                    Reply::End(text) => {
                        stream.write_all(text.as_bytes())?;
                        return Ok(());
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn config(address: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"servers": ["{address}"]{comma}{fields}}}"#)
}

fn sink(address: &str, fields: &str) -> Running<Nats> {
    open::<Nats>(&config(address, fields)).unwrap()
}

fn texts(all: &[&str]) -> Batch {
    batch(all.iter().map(|text| record(*text)))
}

fn next<T>(all: &Receiver<T>) -> T {
    all.recv_timeout(LIMIT).unwrap()
}

#[test]
fn each_record_is_published_and_acknowledged() {
    let (address, logins, messages) = serve(INFO, |_| TAKEN);
    let fields = r#""subject": "logs.{service.name}.{severity}", "id_prefix": "a-",
        "user": "u\"", "password": "p""#;
    let mut sink = sink(&address, fields);
    let first = record("one").id(7, 42).severity(Severity::Warn);
    let both = batch([
        first.attribute("service.name", "web shop"),
        record("two").id(7, 43),
    ]);
    for _ in 0..2 {
        assert!(sink.write(&both).unwrap().is_empty());
        let lines = both.json_lines();
        let mut lines = lines
            .lines()
            .map(|line| String::from_utf8_lossy(line).into_owned());
        let expected = Published {
            subject: "logs.web_shop.warn".to_owned(),
            headers: "NATS/1.0\r\nNats-Msg-Id: a-7-42\r\n\r\n".to_owned(),
            payload: lines.next().unwrap(),
        };
        assert_eq!(next(&messages), expected);
        let second = next(&messages);
        assert_eq!(second.subject, "logs.none.none");
        assert_eq!(second.payload, lines.next().unwrap());
    }
    let login = next(&logins);
    assert!(login.contains(r#""headers":true"#) && login.contains(r#""no_responders":true"#));
    assert!(login.contains(r#""user":"u\"","pass":"p""#), "{login}");
    assert!(
        logins.try_recv().is_err(),
        "the connection was not used again"
    );
}

#[test]
fn a_message_can_be_the_text_alone() {
    let (address, _logins, messages) = serve(INFO, |_| TAKEN);
    let mut sink = sink(&address, r#""body": "text", "token": "t""#);
    assert!(sink.write(&texts(&["a\nb", ""])).unwrap().is_empty());
    assert_eq!(next(&messages).payload, "a\nb");
    assert_eq!(next(&messages).payload, "");
}

#[test]
fn each_record_has_its_own_outcome() {
    const LARGE: &str = r#"{"error":{"code":400,"err_code":10054,"description":"size"}}"#;
    const FULL: &str = r#"{"error":{"code":503,"err_code":10077,"description":"full"}}"#;
    let (address, _logins, _messages) = serve(INFO, |message| match message.payload.as_str() {
        "large" => Reply::Text(LARGE),
        "full" => Reply::Text(FULL),
        "nobody" => Reply::NoResponders,
        _ => TAKEN,
    });
    let mut sink = sink(&address, r#""body": "text""#);
    let huge = "x".repeat(400);
    let refusals = sink
        .write(&texts(&["a", "large", "full", "nobody", &huge, "b"]))
        .unwrap();
    assert_eq!(refusals.permanent_indices(), [1, 4]);
    assert_eq!(refusals.retryable_indices(), [2, 3]);
    // Only too large ones: there is nothing to wait for.
    let refusals = sink.write(&texts(&[&huge])).unwrap();
    assert_eq!(refusals.permanent_indices(), [0]);
}

#[test]
fn what_is_not_acknowledged_is_offered_again() {
    let quiet = |message: &Published| match message.payload.as_str() {
        "b" => Reply::Nothing,
        _ => TAKEN,
    };
    let ended = |message: &Published| match message.payload.as_str() {
        "b" => Reply::End("-ERR 'Stale Connection'\r\n"),
        _ => TAKEN,
    };
    for (said, server) in [
        ("an answer took too long", serve(INFO, quiet)),
        ("Stale Connection", serve(INFO, ended)),
    ] {
        let (address, logins, _messages) = server;
        let mut sink = sink(&address, r#""body": "text", "timeout_ms": 300"#);
        let refusals = sink.write(&texts(&["a", "b"])).unwrap();
        assert_eq!(refusals.retryable_indices(), [1]);
        assert_eq!(refusals.len(), 1);
        let (_, failure) = refusals.iter().next().unwrap();
        assert!(failure.reason().ends_with(said), "{failure:?}");
        // A connection that has failed is not used again.
        assert!(sink.write(&texts(&["a"])).unwrap().is_empty());
        assert_eq!([next(&logins), next(&logins)].len(), 2);
    }
}

#[test]
fn a_subject_that_is_not_permitted_holds_up_no_other_one() {
    let (address, logins, _messages) = serve(INFO, |message| match message.subject.as_str() {
        "logs.b" => Reply::Say("-ERR 'Permissions Violation for Publish to \"logs.b\"'\r\n"),
        _ => TAKEN,
    });
    let mut sink = sink(&address, r#""subject": "logs.{part}""#);
    let parts = ["b", "a", "b", "c"].map(|part| record("x").attribute("part", part));
    let refusals = sink.write(&batch(parts)).unwrap();
    assert_eq!(refusals.retryable_indices(), [0, 2]);
    assert_eq!(refusals.len(), 2);
    let (_, failure) = refusals.iter().next().unwrap();
    assert!(
        failure.reason().contains("Permissions Violation"),
        "{failure:?}"
    );
    next(&logins);
}

#[test]
fn a_server_that_cannot_be_used_is_named() {
    for (info, said) in [
        (r#"{"headers":true,"tls_required":true}"#, "requires TLS"),
        (
            r#"{"version":"2.1.0"}"#,
            "does not take headers (nats-server 2.1.0)",
        ),
        ("no", "failed to read INFO"),
    ] {
        let (address, _logins, _messages) = serve(info, |_| TAKEN);
        let failure = sink(&address, "").write(&texts(&["a"])).unwrap_err();
        assert!(failure.is_retryable());
        assert!(failure.reason().contains(said), "{failure:?}");
        assert!(failure.reason().starts_with(&address), "{failure:?}");
    }
}

#[test]
fn another_server_takes_the_place_of_one_that_is_away() {
    let (address, logins, _messages) = serve(INFO, |_| TAKEN);
    let config = format!(r#"{{"servers": ["127.0.0.1:1", "{address}"]}}"#);
    let mut sink = open::<Nats>(&config).unwrap();
    assert!(sink.write(&texts(&["a"])).unwrap().is_empty());
    next(&logins);
    let nobody = open::<Nats>(r#"{"servers": ["127.0.0.1:1"]}"#);
    let failure = nobody.unwrap().write(&texts(&["a"])).unwrap_err();
    assert!(matches!(failure, Failure::Retryable(_)), "{failure:?}");
}

#[test]
fn the_schema_agrees_with_the_sink() {
    let valid = [
        "",
        r#""subject": "a.{b.c}.{severity}", "body": "text", "id_prefix": "x""#,
        r#""user": "a", "password": "b", "token": null, "timeout_ms": 150000"#,
        r#""token": "a""#,
    ];
    let invalid = [
        r#""subject": """#,
        r#""subject": 1"#,
        r#""body": "xml""#,
        r#""timeout_ms": 0"#,
        r#""timeout_ms": 150001"#,
        r#""token": 1"#,
        r#""stream": "LOGS""#,
    ];
    let all = |some: &[&str]| -> Vec<String> {
        some.iter().map(|fields| config("a:4222", fields)).collect()
    };
    let mut wrong = all(&invalid);
    wrong.extend(
        [
            "{}",
            "[]",
            r#"{"servers": "a:4222"}"#,
            r#"{"servers": [1]}"#,
        ]
        .map(str::to_owned),
    );
    schema_agrees::<Nats>(include_str!("../config.schema.json"), &all(&valid), &wrong);
    for (config, named) in [
        (r#"{"servers": []}"#.to_owned(), "config.servers: "),
        (r#"{"servers": ["a"]}"#.to_owned(), "config.servers[0]: "),
        (config("a:1", r#""subject": "a..b""#), "config.subject: "),
        (config("a:1", r#""id_prefix": "a b""#), "config.id_prefix: "),
        (config("a:1", r#""user": "a""#), "config.password: "),
        (config("a:1", r#""password": "a""#), "config.user: "),
        (
            config("a:1", r#""user": "a", "password": "b", "token": "c""#),
            "config.token: ",
        ),
    ] {
        let failure = open::<Nats>(&config).err().unwrap();
        assert!(failure.reason().starts_with(named), "{config}: {failure:?}");
    }
}
