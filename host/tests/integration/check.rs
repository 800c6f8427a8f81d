//! `sluice plugin check`: finds faults that are planted, and none in sinks that
//! keep their promises.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::guest;

/// Runs the checks, and returns the exit code and the report.
fn check(sink: &str, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["plugin", "check", "--json", "--count", "2000"]);
    command.arg(guest(sink)).args(arguments);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"));
    (output.status.code().unwrap(), report)
}

/// The checks that ended so, with what they say.
fn ended<'r>(report: &'r Value, outcome: &str) -> Vec<(&'r str, &'r str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let ended = findings.filter(|finding| finding["outcome"] == outcome);
    let text = |value: &'r Value| value.as_str().unwrap();
    ended
        .map(|finding| (text(&finding["check"]), text(&finding["detail"])))
        .collect()
}

/// The config of the sink with planted faults.
fn planted(fault: Option<&str>, posts: bool) -> String {
    let mut config = json!({"token": "a-token-that-is-secret"});
    if let Some(fault) = fault {
        config["fault"] = fault.into();
    }
    if posts {
        config["url"] = "{destination}/logs".into();
    }
    config.to_string()
}

#[test]
fn sinks_that_keep_their_promises_pass() {
    for (sink, arguments) in [
        ("stdout", vec![]),
        (
            "file",
            vec![
                "--dir",
                "logs:/logs:rw",
                "--config",
                r#"{"path":"/logs/a.ndjson"}"#,
            ],
        ),
        ("planted", vec!["--config", &planted(None, false)]),
    ] {
        let (code, report) = check(sink, &arguments);
        assert_eq!(ended(&report, "failed"), [], "{sink}");
        assert_eq!(code, 0, "{sink}");
        assert_eq!(report["speed"].as_array().unwrap().len(), 2, "{report}");
    }
}

#[test]
fn a_sink_that_sends_over_http_is_tried_with_a_failing_destination() {
    let config = planted(None, true);
    let arguments = ["--config", &config, "--write-timeout", "2s"];
    let (code, report) = check("planted", &arguments);
    assert_eq!((ended(&report, "failed"), code), (vec![], 0));
    let passed: Vec<_> = ended(&report, "passed")
        .iter()
        .map(|(name, _)| *name)
        .collect();
    for name in [
        "the destination is slow",
        "the destination answers 500",
        "the destination answers 429",
        "the destination answers 400",
        "the destination closes connections",
        "nothing is kept back",
        "secrets",
    ] {
        assert!(passed.contains(&name), "{name}: {report:#}");
    }
}

#[test]
fn each_planted_fault_is_found() {
    for (fault, posts, found_by, said) in [
        (
            "keeps-back",
            false,
            "nothing is kept back",
            "after the call",
        ),
        (
            "index-out-of-range",
            false,
            "a batch of one record",
            "contract",
        ),
        ("panics-on-empty", false, "a batch without records", "trap"),
        ("leaks", false, "memory", "KiB a call"),
        (
            "ignores-failures",
            true,
            "the destination answers 500",
            "the destination has taken none",
        ),
        (
            "acknowledges-early",
            true,
            "the destination is slow",
            "before the destination has answered",
        ),
        ("prints-secrets", false, "secrets", "config.token"),
    ] {
        let config = planted(Some(fault), posts);
        let arguments = ["--config", &config, "--write-timeout", "2s"];
        let (code, report) = check("planted", &arguments);
        let failed = ended(&report, "failed");
        let is_found = |(check, detail): &(&str, &str)| *check == found_by && detail.contains(said);
        assert!(failed.iter().any(is_found), "{fault}: {failed:#?}");
        assert_eq!(code, 1, "{fault}");
    }
}

#[test]
fn what_is_no_sink_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    let output = command
        .args(["plugin", "check", "/dev/null"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("/dev/null") && error.contains("not a WebAssembly component"),
        "{error}"
    );
}
