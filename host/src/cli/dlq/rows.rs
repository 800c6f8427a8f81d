//! Dead letters as a table.

use crate::cli::table;
use sluice_delivery::Cause;
use sluice_types::readable;

/// The most characters of a cell.
const MAX_CELL: usize = 60;

/// A dead letter in the table.
pub(super) struct Row<'a> {
    pub(super) node: &'a str,
    pub(super) id: &'a str,
    pub(super) time: &'a str,
    pub(super) cause: Cause,
    pub(super) plugin: &'a str,
    pub(super) reason: &'a str,
    pub(super) body: &'a str,
}

pub(super) struct Rows(Vec<[String; 7]>);

impl Default for Rows {
    fn default() -> Self {
        let head = ["ID", "NODE", "TIME", "CAUSE", "PLUGIN", "REASON", "BODY"];
        Self(vec![head.map(str::to_owned)])
    }
}

impl Rows {
    pub(super) fn push(&mut self, row: &Row<'_>) {
        self.0.push([
            row.id.to_owned(),
            row.node.to_owned(),
            row.time.to_owned(),
            format!("{:?}", row.cause).to_lowercase(),
            row.plugin.to_owned(),
            readable::line(row.reason, MAX_CELL),
            readable::line(row.body, MAX_CELL),
        ]);
    }

    pub(super) fn text(&self) -> String {
        table::align(&self.0)
    }
}
