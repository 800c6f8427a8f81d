//! The screen, from top to bottom: cluster, rates, nodes, what is wrong, records, keys.

mod nodes;
mod number;
mod records;

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Clear, Paragraph, Sparkline, Wrap};
use tokio::time::Instant;

use self::number::grouped;
use super::model::Model;
use super::palette::Palette;
use sluice_types::readable;

/// From how many lines on everything is shown.
const TALL: u16 = 12;
/// From how many lines on totals and keys are shown.
const MEDIUM: u16 = 7;
/// How wide the text beside a plot is.
const RATE_WIDTH: u16 = 24;
/// The most lines about what is wrong.
const NOTES_MAX: usize = 3;

const HELP: &str = "\
 q, Esc, Ctrl-C   quit
 p, space         pause, and go on
 s                sort the nodes by name, queue or acknowledged records
 up, down         choose a node; what is wrong with it is shown first
 ?                this help

 in         records per second that all nodes took into their queues
 out        records per second that were acknowledged
 LEASE      how long a node may still acknowledge without another proof
 ACKED      records that the node has acknowledged since it started
 records    a sample of at most 50 per second, each with its outcome, in UTC";

/// What is drawn.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) model: &'a Model,
    pub(super) palette: Palette,
    pub(super) now: Instant,
}

/// The parts of the screen, from top to bottom.
struct Parts {
    heading: Rect,
    rates: Rect,
    totals: Rect,
    nodes: Rect,
    notes: Rect,
    records_title: Rect,
    records: Rect,
    keys: Rect,
}

impl Parts {
    /// On a small screen, what matters less has no lines.
    fn of(area: Rect, nodes: usize, notes: usize) -> Self {
        let is_tall = area.height >= TALL;
        let is_medium = area.height >= MEDIUM;
        // The table has a line for its titles, and leaves room for records.
        let nodes = u16::try_from(nodes).unwrap_or(u16::MAX);
        let nodes = nodes.saturating_add(1).min((area.height / 3).max(2));
        let notes = u16::try_from(notes).unwrap_or(u16::MAX);
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(if is_tall { 2 } else { 0 }),
            Constraint::Length(u16::from(is_medium)),
            Constraint::Length(nodes),
            Constraint::Length(if is_tall { notes } else { notes.min(1) }),
            Constraint::Length(1),
            Constraint::Fill(1),
            Constraint::Length(u16::from(is_medium)),
        ]);
        let [
            heading,
            rates,
            totals,
            nodes,
            notes,
            records_title,
            records,
            keys,
        ] = rows.areas(area);
        Self {
            heading,
            rates,
            totals,
            nodes,
            notes,
            records_title,
            records,
            keys,
        }
    }
}

impl View<'_> {
    /// Draws everything.
    pub(super) fn draw(self, frame: &mut Frame<'_>) {
        let notes = self.notes(NOTES_MAX);
        let parts = Parts::of(frame.area(), self.model.nodes().len(), notes.len());
        frame.render_widget(self.heading(), parts.heading);
        self.draw_rates(frame, parts.rates);
        frame.render_widget(Line::from(self.totals()), parts.totals);
        self.draw_nodes(frame, parts.nodes);
        let notes: Vec<_> = notes.into_iter().map(Line::from).collect();
        frame.render_widget(Text::from(notes).style(self.palette.bad()), parts.notes);
        frame.render_widget(self.records_title(), parts.records_title);
        self.draw_records(frame, parts.records);
        frame.render_widget(self.keys(), parts.keys);
        if self.model.is_explained {
            explain(frame);
        }
    }

    /// The cluster, its leader, and how far what is shown can be trusted.
    fn heading(self) -> Line<'static> {
        let mut spans = vec![Span::raw(" sluice")];
        if let Some(overview) = &self.model.overview {
            spans = vec![Span::raw(format!(
                " {}",
                readable::source(&overview.cluster)
            ))];
            spans.push(match &overview.leader {
                Some(leader) => Span::raw(format!("  leader: {}", readable::source(&leader.node))),
                None => Span::styled("  no leader", self.palette.bad()),
            });
            spans.push(Span::raw(format!("  epoch: {}", overview.epoch)));
            if overview.leader.is_some() {
                spans.push(Span::raw(format!("  lease: {}", self.lease())));
            }
        }
        if let Some(age) = self.model.age(self.now) {
            let text = format!("  [{} s old]", age.as_secs());
            spans.push(Span::styled(text, self.palette.bad()));
        }
        if self.model.is_paused {
            spans.push(Span::raw("  [paused: p goes on]"));
        }
        Line::from(spans).style(self.palette.bar())
    }

    /// How long the leader may still acknowledge, as it said.
    fn lease(self) -> String {
        let nodes = self.model.nodes();
        let statuses = nodes.iter().filter_map(|row| row.status.as_ref());
        let leading = statuses.filter(|status| status.role == "leader");
        match leading.max_by_key(|status| status.epoch) {
            Some(status) => format!("{} ms", status.lease_ms),
            None => "none".to_owned(),
        }
    }

    fn draw_rates(self, frame: &mut Frame<'_>, area: Rect) {
        let lines: [Rect; 2] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
        let rates = &self.model.rates;
        let shown = [(" in  ", &rates.taken), (" out ", &rates.acknowledged)];
        for (line, (name, rates)) in lines.into_iter().zip(shown) {
            let columns = [Constraint::Length(RATE_WIDTH), Constraint::Fill(1)];
            let [text, plot] = Layout::horizontal(columns).areas(line);
            let latest = match rates.back() {
                Some(rate) => format!("{:>12}/s", grouped(*rate)),
                None => format!("{:>12}", "…"),
            };
            let latest = Span::styled(latest, self.palette.head());
            frame.render_widget(Line::from(vec![Span::raw(name), latest]), text);
            let plotted = latest_that_fit(rates, plot.width);
            let sparkline = Sparkline::default().data(&plotted);
            frame.render_widget(sparkline.style(self.palette.good()), plot);
        }
    }

    fn totals(self) -> String {
        let nodes = self.model.nodes();
        let statuses = || nodes.iter().filter_map(|row| row.status.as_ref());
        let queue: usize = statuses().map(|status| status.queue.records).sum();
        let mut text = format!(" queue {}", grouped(number::of(queue)));
        let journals = statuses().filter_map(|status| status.journal.as_ref());
        if let Some(records) = journals.map(|journal| journal.records).reduce(|a, b| a + b) {
            text += &format!("  journal {}", grouped(records));
        }
        let rates = &self.model.rates;
        for (name, rate) in [
            ("refused", rates.rejected),
            ("dead letters", rates.dead_lettered),
            ("retried", rates.retried),
        ] {
            text += &format!("  {name} {}/s", grouped(rate));
        }
        text
    }

    fn keys(self) -> Line<'static> {
        let sorted = self.model.sort.name();
        let text = format!(" q quit  ? help  p pause  s sort: {sorted}  ↑↓ node");
        Line::from(text).style(self.palette.dim())
    }
}

fn latest_that_fit(rates: &VecDeque<u64>, width: u16) -> Vec<u64> {
    let surplus = rates.len().saturating_sub(usize::from(width));
    rates.iter().skip(surplus).copied().collect()
}

fn explain(frame: &mut Frame<'_>) {
    let area = frame.area();
    let text = Paragraph::new(HELP).wrap(Wrap { trim: false });
    frame.render_widget(Clear, area);
    frame.render_widget(text, area);
}
