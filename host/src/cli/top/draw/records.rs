//! The latest records, each with what became of it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};

use super::View;
use super::number::grouped;
use crate::cli::tail::{outcome_name, severity_name};
use crate::tail::{Fate, RecordEvent};
use sluice_types::readable;
use sluice_types::record_document::SeverityDocument;

/// From how many columns on the time of a record is shown.
const WIDE: u16 = 60;
/// The most characters of a record's text, and of the reason: more than most terminals
/// have columns.
const TEXT_MAX: usize = 500;

impl View<'_> {
    pub(super) fn records_title(self) -> Line<'static> {
        let mut text = " records".to_owned();
        if self.model.skipped > 0 {
            text += &format!(" ({} more have passed)", grouped(self.model.skipped));
        }
        let title = Span::styled(text, self.palette.head());
        let why = self.model.silence.as_ref().map(|why| {
            let text = format!("  failed to {why}");
            Span::styled(text, self.palette.bad())
        });
        Line::from_iter(std::iter::once(title).chain(why))
    }

    pub(super) fn draw_records(self, frame: &mut Frame<'_>, area: Rect) {
        let records = &self.model.records;
        let surplus = records.len().saturating_sub(usize::from(area.height));
        let latest = records.iter().skip(surplus);
        let lines = latest.map(|record| self.record(record, area.width >= WIDE));
        frame.render_widget(Text::from_iter(lines), area);
    }

    fn record(self, record: &RecordEvent, has_time: bool) -> Line<'static> {
        let outcome = format!(" {:<11}", outcome_name(record.outcome));
        let style = self.outcome(record.outcome);
        let severity = format!(" {:<5} ", severity_name(record.severity));
        let mut spans = Vec::new();
        if has_time {
            let time = format!(" {}", clock(&record.time));
            spans.push(Span::styled(time, self.palette.dim()));
        }
        spans.push(Span::styled(outcome, style));
        spans.push(Span::styled(severity, self.severity(record.severity)));
        spans.push(Span::raw(readable::line(&record.body, TEXT_MAX)));
        if let Some(reason) = &record.reason {
            let reason = format!(" ({})", readable::line(reason, TEXT_MAX));
            spans.push(Span::styled(reason, style));
        }
        Line::from(spans)
    }

    fn outcome(self, outcome: Fate) -> Style {
        match outcome {
            Fate::Delivered => self.palette.dim(),
            Fate::Retried => self.palette.doubtful(),
            Fate::Refused | Fate::DeadLetter | Fate::Unknown => self.palette.bad(),
        }
    }

    fn severity(self, severity: Option<SeverityDocument>) -> Style {
        match severity {
            Some(SeverityDocument::Warn) => self.palette.doubtful(),
            Some(SeverityDocument::Error | SeverityDocument::Fatal) => self.palette.bad(),
            _ => self.palette.dim(),
        }
    }
}

/// The time of the day in UTC, to the second.
fn clock(time: &str) -> String {
    let time = time.split_once('T').map_or("", |(_, time)| time);
    readable::source(time.get(..8).unwrap_or("--:--:--"))
}
