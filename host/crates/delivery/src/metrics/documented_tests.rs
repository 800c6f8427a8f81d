//! The documents that name metrics agree with what a node serves.

use std::collections::BTreeSet;
use std::path::Path;

use super::names::PREFIX;
use super::{Format, Metrics};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The names of all samples that a node serves, without the labels.
fn served() -> BTreeSet<String> {
    let metrics = Metrics::new();
    drop(metrics.stream("default").ingest("native"));
    drop(metrics.listener("syslog"));
    metrics.sink_refused("http");
    drop(metrics.spans("exported"));
    let text = metrics.encode(Format::Plain);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let names = samples.map(|line| line.split(['{', ' ']).next().unwrap().to_owned());
    names.collect()
}

/// The name without what tells the parts of a histogram apart.
fn whole(name: &str) -> &str {
    let part = ["_bucket", "_sum", "_count"];
    let whole = part.iter().find_map(|part| name.strip_suffix(part));
    whole.unwrap_or(name)
}

/// All names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_part(c));
    let prefix = format!("{PREFIX}_");
    let named = words.filter(|word| word.starts_with(&prefix) && !word.ends_with('_'));
    named.map(str::to_owned).collect()
}

#[test]
fn alerts_and_the_dashboard_use_only_metrics_that_exist() {
    let served = served();
    for path in [
        "docs/deploy/prometheus/sluice-alerts.yaml",
        "docs/deploy/grafana/sluice.json",
    ] {
        let named = named(&read(path));
        assert!(named.len() > 5, "{path} names {named:?}");
        let unknown: Vec<_> = named.difference(&served).collect();
        assert_eq!(unknown, Vec::<&String>::new(), "{path}");
    }
}

#[test]
fn each_query_of_the_dashboard_is_of_these_metrics() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("docs/deploy/grafana/sluice.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let queries: Vec<_> = targets.flatten().map(|target| &target["expr"]).collect();
    assert!(queries.len() > 20, "{queries:?}");
    for query in queries {
        assert!(!named(query.as_str().unwrap()).is_empty(), "{query}");
    }
}

#[test]
fn every_metric_is_described() {
    let described = named(&read("docs/metrics.md"));
    let served: BTreeSet<_> = served().iter().map(|name| whole(name).to_owned()).collect();
    assert_eq!(described, served);
}
