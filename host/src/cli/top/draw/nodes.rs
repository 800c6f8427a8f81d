//! The table of the nodes, and what is wrong with them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table, TableState};

use super::View;
use super::number::{self, grouped};
use crate::cli::overview::NodeRow;
use crate::cli::status::notes;
use sluice_types::readable;

/// From how many columns on everything is shown.
const WIDE: u16 = 76;
/// The widest column, except the last one, which gets what is left.
const CELL_WIDTH_MAX: usize = 24;
/// The same on a screen that is not wide.
const CELL_WIDTH_MAX_NARROW: usize = 14;

struct Column {
    title: &'static str,
    is_number: bool,
    /// Whether only a wide screen has it.
    is_optional: bool,
}

impl Column {
    const fn text(title: &'static str) -> Self {
        Self {
            title,
            is_number: false,
            is_optional: false,
        }
    }

    const fn number(title: &'static str, is_optional: bool) -> Self {
        Self {
            title,
            is_number: true,
            is_optional,
        }
    }
}

/// The sink is the last one: its name may be long.
const COLUMNS: [Column; 8] = [
    Column::text(" NODE"),
    Column::text("ROLE"),
    Column::number("LEASE", false),
    Column::number("EPOCH", true),
    Column::number("QUEUE", false),
    Column::number("ACKED", true),
    Column::text("STATE"),
    Column::text("PLUGIN"),
];
type Cells = [Span<'static>; COLUMNS.len()];

impl View<'_> {
    pub(super) fn draw_nodes(self, frame: &mut Frame<'_>, area: Rect) {
        let is_wide = area.width >= WIDE;
        let is_shown = |column: &Column| is_wide || !column.is_optional;
        let titles = COLUMNS.map(|column| Span::raw(column.title));
        let nodes = self.model.nodes();
        let rows: Vec<Cells> = nodes.iter().map(|row| self.cells(row)).collect();
        let widths = widths(&titles, &rows, is_wide);
        let widths = COLUMNS.iter().zip(widths);
        let widths = widths.filter_map(|(column, width)| is_shown(column).then_some(width));
        let row = |cells: Cells| {
            let cells = COLUMNS.iter().zip(cells);
            Row::new(cells.filter_map(|(column, span)| {
                let line = Line::from(span);
                is_shown(column).then(|| match column.is_number {
                    true => Cell::from(line.right_aligned()),
                    false => Cell::from(line),
                })
            }))
        };
        let table = Table::new(rows.into_iter().map(row), widths)
            .header(row(titles).style(self.palette.head()))
            .column_spacing(if is_wide { 2 } else { 1 })
            .row_highlight_style(self.palette.bar());
        let mut state = TableState::default().with_selected(self.model.place());
        frame.render_stateful_widget(table, area, &mut state);
    }

    fn cells(self, row: &NodeRow) -> Cells {
        let name = Span::raw(format!(" {}", readable::source(&row.node)));
        let Some(status) = &row.status else {
            let mut cells = Cells::default();
            let role = Span::styled("no answer", self.palette.bad());
            for (cell, known) in cells.iter_mut().zip([name, role]) {
                *cell = known;
            }
            return cells;
        };
        let role = Span::styled(readable::source(&status.role), self.role(&status.role));
        let lease = match status.lease_ms {
            0 => "-".to_owned(),
            millis => format!("{millis} ms"),
        };
        let active = &status.plugin.active;
        [
            name,
            role,
            Span::raw(lease),
            Span::raw(status.epoch.to_string()),
            Span::raw(grouped(number::of(status.queue.records))),
            Span::raw(grouped(status.counters.acknowledged)),
            Span::raw(active.state.name()),
            Span::raw(readable::source(&active.name.source)),
        ]
    }

    fn role(self, role: &str) -> Style {
        match role {
            "leader" => self.palette.good().patch(self.palette.head()),
            "suspended" => self.palette.doubtful(),
            _ => self.palette.dim(),
        }
    }

    /// What is wrong, on at most so many lines: with the overview, with the node that is
    /// chosen, and with the others.
    pub(super) fn notes(self, max: usize) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(why) = &self.model.problem {
            lines.push(format!(" failed to {why}"));
        }
        let mut nodes = self.model.nodes();
        if let Some(place) = self.model.place() {
            let place = place.min(nodes.len());
            nodes.rotate_left(place);
        }
        for row in &nodes {
            let name = readable::source(&row.node);
            for why in notes(row.error.as_ref(), row.status.as_deref()) {
                lines.push(format!(" {name}: {}", readable::error(&why)));
            }
        }
        if nodes.is_empty() && self.model.overview.is_some() {
            lines.push(" no node is registered; start one with: sluice node".to_owned());
        }
        if lines.len() > max {
            let shown = max.saturating_sub(1);
            let more = lines.len() - shown;
            lines.truncate(shown);
            lines.push(format!(" and {more} more: sluice status shows them"));
        }
        lines
    }
}

/// How wide each column is: as wide as its widest cell, up to a limit.
fn widths(titles: &Cells, rows: &[Cells], is_wide: bool) -> [Constraint; COLUMNS.len()] {
    let max = match is_wide {
        true => CELL_WIDTH_MAX,
        false => CELL_WIDTH_MAX_NARROW,
    };
    let mut widths = [0; COLUMNS.len()];
    for cells in std::iter::once(titles).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.width().min(max).max(*width);
        }
    }
    let mut columns = widths.map(|width| Constraint::Length(u16::try_from(width).unwrap_or(0)));
    if let Some(last) = columns.last_mut() {
        *last = Constraint::Fill(1);
    }
    columns
}
