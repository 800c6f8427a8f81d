//! Syslog of RFC 5424. What its header says makes five attributes: the facility,
//! the host, the service, the process and the kind of message.

use super::{Record, SERVICE};

/// Messages that end with a line feed.
pub(crate) fn lines(records: &[Record]) -> Vec<u8> {
    let line = |record| format!("{}\n", message(record));
    records.iter().map(line).collect::<String>().into()
}

/// Messages behind their lengths.
pub(crate) fn counted(records: &[Record]) -> Vec<u8> {
    let counted = |record| {
        let message = message(record);
        format!("{} {message}", message.len())
    };
    records.iter().map(counted).collect::<String>().into()
}

fn message(record: &Record) -> String {
    let milliseconds = record.nanos / 1_000_000;
    let message = &record.message;
    format!("<14>1 2026-11-20T09:00:00.{milliseconds:03}Z web-7 {SERVICE} 4711 orders - {message}")
}
