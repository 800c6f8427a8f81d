//! What the component is: the world that it is made for, and what it imports.

use super::report::{Finding, Report};
use crate::kit::workbench::Workbench;

const WORLD: &str = "world";
const SINK: &str = "sluice:sink/sink@";

/// What of a sink's imports does nothing without a permission, and which.
const NEEDED: [(&str, &str); 4] = [
    ("wasi:http/outgoing-handler@", "http"),
    ("wasi:sockets/tcp-create-socket@", "tcp"),
    ("wasi:tls/types@", "tcp with TLS"),
    ("wasi:filesystem/preopens@", "dirs"),
];

/// A report of what is known before anything runs.
pub(super) fn report(sink: &Workbench) -> Report {
    let version = version(sink).map(|version| format!("sluice:sink@{version}"));
    let milliseconds = u64::try_from(sink.compiled_in.as_millis()).unwrap_or(u64::MAX);
    Report {
        size: sink.size,
        compiled_in_ms: milliseconds,
        world: version,
        imports: sink.interfaces.imports.clone(),
        ..Report::default()
    }
}

/// Whether it is a sink, and what it needs.
pub(super) fn world(sink: &Workbench) -> Finding {
    let Some(version) = version(sink) else {
        let exports = sink.interfaces.exports.join(", ");
        let detail = format!(
            "it does not export sluice:sink/sink, but {}; build it for the world log-sink of \
             wit/0.2/sink.wit",
            if exports.is_empty() {
                "nothing"
            } else {
                &exports
            }
        );
        return Finding::failed(WORLD, detail);
    };
    let imports = |start: &str| {
        let names = sink.interfaces.imports.iter();
        names.into_iter().any(|import| import.starts_with(start))
    };
    let needed = NEEDED.iter().filter(|(start, _)| imports(start));
    let needed: Vec<_> = needed
        .map(|(_, name)| format!("permissions.{name}"))
        .collect();
    let mut detail = format!("a sink for sluice:sink@{version}");
    if !needed.is_empty() {
        detail.push_str(", can use ");
        detail.push_str(&needed.join(", "));
    }
    match version {
        "0.1.0" => Finding::noted(
            WORLD,
            format!("{detail}; sinks for 0.2.0 are faster, because they have views"),
        ),
        _ => Finding::passed(WORLD, detail),
    }
}

/// The version of the WIT that it is made for.
fn version(sink: &Workbench) -> Option<&str> {
    let exports = sink.interfaces.exports.iter();
    exports.into_iter().find_map(|name| name.strip_prefix(SINK))
}
