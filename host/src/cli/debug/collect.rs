//! Asks the nodes one after the other, and puts what they say into files.

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::contents::{Contents, file_name};
use super::source::{Member, Source};
use crate::diagnostics::{RecentLines, Setting};
use crate::http::cluster::{NodeReport, StreamPart, Versions};
use sluice_types::clock::timestamp;
use sluice_types::readable;
use sluice_types::stream::DEFAULT_STREAM;

/// The time to ask for the sinks of all streams.
const SINKS_LIMIT: Duration = Duration::from_secs(60);

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
    let end = Instant::now() + SINKS_LIMIT;
    let mut is_complete = plugin(source, DEFAULT_STREAM, end, contents).await?;
    match source.other_streams().await {
        Ok(others) => {
            for stream in others {
                is_complete &= plugin(source, &stream, end, contents).await?;
            }
        }
        Err(error) => {
            eprintln!("sluice: the sinks of streams are left out: failed to {error}");
            let text = format!("not known: failed to {error}\n");
            let what = "why there are only the sink of the default stream and what nodes say";
            contents.text("streams/error.txt", what, &text)?;
            is_complete = false;
        }
    }
    Ok(is_complete)
}

/// Adds what is known of the sink of a stream. Returns whether that is anything.
async fn plugin(
    source: &Source,
    stream: &str,
    end: Instant,
    contents: &mut Contents,
) -> io::Result<bool> {
    let (path, what) = (
        format!("{}plugin", folder_of(stream)),
        "the sink: what is asked for, what runs, the last 50 changes",
    );
    match source.plugin(stream, end).await {
        Ok(view) => {
            let mut view = serde_json::to_value(&view)?;
            contents.redaction().manifests(&mut view);
            contents.json(&format!("{path}.json"), what, &view)?;
            Ok(true)
        }
        Err(error) => {
            let name = readable::source(stream);
            eprintln!("sluice: the sink of the stream {name} is left out: failed to {error}");
            let text = format!("not known: failed to {error}\n");
            let what = "why there is no plugin.json";
            contents.text(&format!("{path}.error.txt"), what, &text)?;
            Ok(false)
        }
    }
}

/// Where the files of a stream are, below the place of those of the default one.
fn folder_of(stream: &str) -> String {
    match stream {
        DEFAULT_STREAM => String::new(),
        named => format!("streams/{}/", file_name(named)),
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
    stream_part(DEFAULT_STREAM, &report.default, folder, contents)?;
    for (stream, part) in &report.streams {
        stream_part(stream, part, folder, contents)?;
    }
    let what = "of Sluice, wasmtime, the kernel and Consul";
    contents.json(&path("versions.json"), what, &report.versions)?;
    let settings = Settings {
        flags: &report.settings,
        environment: &report.environment,
    };
    let what = "the flags in effect, without secrets";
    contents.json(&path("settings.json"), what, &settings)?;
    let what = "its metrics, in the form of Prometheus";
    contents.text(&path("metrics.txt"), what, &report.metrics)?;
    let what = "the last lines of its log, at most 1 MiB";
    contents.text(&path("log.txt"), what, &log(&report.log))
}

fn stream_part(
    stream: &str,
    part: &StreamPart,
    folder: &str,
    contents: &mut Contents,
) -> io::Result<()> {
    let path = |name: &str| format!("{folder}/{}{name}", folder_of(stream));
    let what = "role, lease, sink, queue, journal, counters";
    contents.json(&path("status.json"), what, &part.status)?;
    let what = "the leaders that it has seen";
    contents.json(&path("leaders.json"), what, &part.tenures)?;
    let what = "its last 15 minutes, sample by sample";
    contents.json(&path("history.json"), what, &part.history)
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
