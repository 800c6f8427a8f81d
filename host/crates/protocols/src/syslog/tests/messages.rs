//! Messages as their senders write them.

use super::*;
use sluice_types::record::Severity;

#[test]
fn what_clients_send_is_understood() {
    for (message, expected, body) in [
        // Docker with its formats default, rfc3164 and rfc5424micro.
        (
            "<30>Nov 21 10:21:12 web[9773]: hello",
            "syslog.facility=daemon service.name=web process.pid=9773",
            "hello",
        ),
        (
            "<27>Nov 21 10:21:12 vm web[9773]: two",
            "syslog.facility=daemon host.name=vm service.name=web process.pid=9773",
            "two",
        ),
        (
            "<30>1 2026-11-21T10:21:12.000000Z vm web 9773 web - no-newline",
            "syslog.facility=daemon host.name=vm service.name=web process.pid=9773 \
             syslog.msgid=web",
            "no-newline",
        ),
        // rsyslog's omfwd with three templates, and omrelp.
        (
            "<132>Nov 21 10:21:12 vm app: two with \\\"quotes\\\"",
            "syslog.facility=local0 host.name=vm service.name=app",
            "two with \\\"quotes\\\"",
        ),
        (
            "<132>1 2026-11-21T10:21:12.000000+00:00 vm app - - - three \u{e9}",
            "syslog.facility=local0 host.name=vm service.name=app",
            "three \u{e9}",
        ),
        (
            "<132>2026-11-21T10:21:12.000000+00:00 vm app: one",
            "syslog.facility=local0 host.name=vm service.name=app",
            "one",
        ),
        // logger.
        (
            "<13>1 2026-11-21T10:21:12.000000+00:00 vm root - - [timeQuality tzKnown=\"1\" \
             isSynced=\"0\"] hello w\u{f6}rld",
            "syslog.facility=user syslog.severity=notice host.name=vm service.name=root \
             syslog.sd.timeQuality.tzKnown=1 syslog.sd.timeQuality.isSynced=0",
            "hello w\u{f6}rld",
        ),
        (
            "<131>1 2026-11-21T10:21:12.000000+00:00 vm tagx 77 - [timeQuality tzKnown=\"1\"]\
             [zoo@123 tiger=\"hungry\"] hello",
            "syslog.facility=local0 host.name=vm service.name=tagx process.pid=77 \
             syslog.sd.timeQuality.tzKnown=1 syslog.sd.zoo@123.tiger=hungry",
            "hello",
        ),
        // syslog-ng's network() and syslog().
        (
            "<13>Nov 21 10:21:12 vm one",
            "syslog.facility=user syslog.severity=notice host.name=vm",
            "one",
        ),
        (
            "<13>1 2026-11-21T10:21:12+00:00 vm - - - [meta sequenceId=\"1\"] one",
            "syslog.facility=user syslog.severity=notice host.name=vm \
             syslog.sd.meta.sequenceId=1",
            "one",
        ),
        // Heroku's drain over TCP, without structured data.
        (
            "<190>1 2026-11-21T10:21:12+00:00 d.73ea7440 app web.1 - [INFO] started",
            "syslog.facility=local7 host.name=d.73ea7440 service.name=app syslog.procid=web.1",
            "[INFO] started",
        ),
        // No priority.
        (
            "Nov 21 10:21:12 vm app[7]: text",
            "host.name=vm service.name=app process.pid=7",
            "text",
        ),
        (
            "2026-11-21T10:21:12Z something happened",
            "",
            "something happened",
        ),
        (
            "1 2026-11-21T10:21:12Z vm app - - - text",
            "host.name=vm service.name=app",
            "text",
        ),
    ] {
        let record = record(message);
        assert_eq!(attributes(&record), expected, "{message}");
        assert_eq!(&*record.body, body, "{message}");
        let time = OBSERVED - (8 * 60 + 48) * 1_000_000_000;
        assert_eq!(record.timestamp, time, "{message}");
        assert_eq!((record.observed, record.key), (OBSERVED, None));
    }
}

#[test]
fn what_cannot_be_parsed_is_the_body() {
    for (message, expected, body) in [
        ("text", "", "text"),
        (" <13>text", "", " <13>text"),
        ("<999>text", "", "<999>text"),
        ("1 - a b c - - text", "", "1 - a b c - - text"),
        // Python's SysLogHandler.
        ("<12>a text\0", "syslog.facility=user", "a text"),
        ("<12>", "syslog.facility=user", ""),
        ("<12>Error: text", "syslog.facility=user", "Error: text"),
        (
            "<12>app[7]: text",
            "syslog.facility=user service.name=app process.pid=7",
            "text",
        ),
        (
            "<12>1 noon vm app - - - text",
            "syslog.facility=user",
            "1 noon vm app - - - text",
        ),
        (
            "<12>2 2026-11-21T10:21:12Z vm app - - - text",
            "syslog.facility=user",
            "2 2026-11-21T10:21:12Z vm app - - - text",
        ),
        (
            "<12>1 - vm app - - [a x=\"1] text",
            "syslog.facility=user host.name=vm service.name=app",
            "[a x=\"1] text",
        ),
        (
            "<189>29: *Nov 21 10:21:12.123: %SYS-5-CONFIG_I: text",
            "syslog.facility=local7 syslog.severity=notice",
            "29: *Nov 21 10:21:12.123: %SYS-5-CONFIG_I: text",
        ),
    ] {
        let record = record(message);
        assert_eq!(attributes(&record), expected, "{message}");
        assert_eq!(&*record.body, body, "{message}");
        assert_eq!(record.timestamp, OBSERVED, "{message}");
    }
}

#[test]
fn severities_are_those_of_opentelemetry() {
    let severities = (0..8).map(|n| record(format!("<{}>x", 8 + n)).severity);
    let expected = [
        Severity::Fatal,
        Severity::Fatal,
        Severity::Fatal,
        Severity::Error,
        Severity::Warn,
        Severity::Info,
        Severity::Info,
        Severity::Debug,
    ];
    assert!(severities.eq(expected));
    assert_eq!(record("x").severity, Severity::Unspecified);
}

#[test]
fn structured_data_are_attributes_without_escapes() {
    let sd = |sd: &str| record(format!("<12>1 - - - - - {sd}"));
    let message = sd(r#"[a p="\"\\\]" q="C:\new"][b][c r=""] text"#);
    let expected = r#"syslog.facility=user syslog.sd.a.p="\] syslog.sd.a.q=C:\new syslog.sd.b= syslog.sd.c.r="#;
    assert_eq!(attributes(&message), expected);
    assert_eq!(&*message.body, "text");
    // The last value of a name stays.
    let message = sd("[a p=\"1\" p=\"2\"][a p=\"3\"]");
    assert_eq!(attributes(&message), "syslog.facility=user syslog.sd.a.p=3");
    assert_eq!(&*message.body, "");
    assert_eq!(&*sd("-").body, "");
    assert_eq!(&*sd("- \u{feff}\u{e9}").body, "\u{e9}");
    assert_eq!(&*sd("[a p=\"1\"] \u{feff}\u{e9}").body, "\u{e9}");
    assert_eq!(&*sd("-1 is wrong").body, "-1 is wrong");
    assert_eq!(&*record("<12>1 - - - - -").body, "");
}

#[test]
fn a_process_that_is_no_number_is_kept_as_text() {
    for (process, expected) in [
        ("0", "process.pid=0"),
        ("9223372036854775807", "process.pid=9223372036854775807"),
        ("9223372036854775808", "syslog.procid=9223372036854775808"),
        ("007", "syslog.procid=007"),
        ("-1", "syslog.procid=-1"),
        ("+1", "syslog.procid=+1"),
        ("web.1", "syslog.procid=web.1"),
    ] {
        let record = record(format!("<12>1 - - - {process} - - text"));
        assert_eq!(
            attributes(&record),
            format!("syslog.facility=user {expected}")
        );
    }
}

#[test]
fn a_message_that_is_not_utf8_is_kept_as_it_was() {
    let message = b"<12>Nov 21 10:21:12 vm app: caf\xe9 [\xe9]";
    let record = record(Bytes::from_static(message));
    assert_eq!(&*record.body, "caf\u{fffd} [\u{fffd}]");
    let (name, value) = record.attributes.iter().last().unwrap();
    assert_eq!(&**name, "log.record.original");
    assert_eq!(*value, Value::Bytes(Bytes::from_static(message)));
    assert_eq!(record.attributes.len(), 4);
}

#[test]
fn a_datagram_is_one_message_or_none() {
    for datagram in ["<12>one\ntwo", "<12>one\ntwo\n", "<12>one\ntwo\r\n\0"] {
        assert_eq!(&*record(datagram).body, "one\ntwo");
    }
    for empty in ["", "\n", "\0", "\r\n"] {
        assert!(datagram(empty).is_empty());
    }
}
