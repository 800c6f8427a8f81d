//! Asks the nodes one after the other, and puts what they say into files.

use std::io;

use serde::Serialize;
use serde_json::Value;

use super::contents::Contents;
use super::source::{Member, Source};
use crate::diagnostics::{RecentLines, Setting};
use crate::http::cluster::{NodeReport, Versions};
use sluice_types::clock::timestamp;
use sluice_types::readable;

/// What `settings.json` holds.
#[derive(Serialize)]
struct Settings<'a> {
    flags: &'a [Setting],
    environment: &'a [Setting],
}

/// What made the bundle.
#[derive(Serialize)]
struct Client {
    at: String,
    way: String,
    versions: Versions,
}

/// Adds what is known of the cluster as a whole.
///
/// # Errors
/// A file cannot be added.
pub(super) async fn cluster(
    source: &Source,
    overview: &mut Value,
    contents: &mut Contents,
) -> io::Result<bool> {
    let client = Client {
        at: timestamp(),
        way: source.way(),
        versions: Versions::with_consul("asked by the nodes".to_owned()),
    };
    contents.json(
        "client.json",
        "the program that made this, and when",
        &client,
    )?;
    let what = "the nodes as one of them, or Consul, sees them";
    contents.redaction().manifests(overview);
    contents.json("cluster.json", what, overview)?;
    let what = "the sink: what is asked for, what runs, the last 50 changes";
    match source.plugin().await {
        Ok(view) => {
            let mut view = serde_json::to_value(&view)?;
            contents.redaction().manifests(&mut view);
            contents.json("plugin.json", what, &view)?;
            Ok(true)
        }
        Err(error) => {
            eprintln!("sluice: the history of the plugin is left out: failed to {error}");
            let text = format!("not known: failed to {error}\n");
            contents.text("plugin.error.txt", "why there is no plugin.json", &text)?;
            Ok(false)
        }
    }
}

/// Adds the report of a node, or why there is none. Returns whether there is one.
///
/// # Errors
/// A file cannot be added.
pub(super) async fn node(
    source: &Source,
    member: &Member,
    contents: &mut Contents,
) -> io::Result<bool> {
    let name = readable::source(&member.node);
    eprintln!("sluice: asking {name}");
    let folder = contents.folder(&member.node);
    let report = match source.report(member).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("sluice: {name} is left out: failed to {error}");
            let text = format!("{name} gave no report: failed to {error}\n");
            let path = format!("{folder}/error.txt");
            contents.text(&path, "why there is nothing of this node", &text)?;
            return Ok(false);
        }
    };
    match serde_json::from_slice::<NodeReport>(&report) {
        Ok(report) => add(&report, &folder, contents)?,
        Err(error) => {
            // A node of another version may say more or less.
            eprintln!("sluice: the report of {name} is added as it is: {error}");
            let text = String::from_utf8_lossy(&report);
            let path = format!("{folder}/report.json");
            contents.text(
                &path,
                "the whole report, in a form of another version",
                &text,
            )?;
        }
    }
    Ok(true)
}

fn add(report: &NodeReport, folder: &str, contents: &mut Contents) -> io::Result<()> {
    let path = |name: &str| format!("{folder}/{name}");
    let what = "role, lease, sink, queue, journal, counters";
    contents.json(&path("status.json"), what, &report.status)?;
    let what = "of Sluice, wasmtime, the kernel and Consul";
    contents.json(&path("versions.json"), what, &report.versions)?;
    let settings = Settings {
        flags: &report.settings,
        environment: &report.environment,
    };
    let what = "the flags in effect, without secrets";
    contents.json(&path("settings.json"), what, &settings)?;
    let what = "the leaders that it has seen";
    contents.json(&path("leaders.json"), what, &report.tenures)?;
    let what = "its last 15 minutes, sample by sample";
    contents.json(&path("history.json"), what, &report.history)?;
    let what = "its metrics, in the form of Prometheus";
    contents.text(&path("metrics.txt"), what, &report.metrics)?;
    let what = "the last lines of its log, at most 1 MiB";
    contents.text(&path("log.txt"), what, &log(&report.log))
}

fn log(log: &RecentLines) -> String {
    let mut text = String::new();
    if log.forgotten > 0 {
        text = format!("({} earlier lines are not kept)\n", log.forgotten);
    }
    for line in &log.lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}
