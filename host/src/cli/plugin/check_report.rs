//! How the report of `sluice plugin check` is shown.

use std::fmt::Write as _;

use sluice_types::readable;

use crate::cli::color;
use crate::kit::check::{Finding, Outcome, Report, Speed};

/// Where a report is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    is_colored: bool,
}

impl Shown {
    pub(super) fn on_stdout() -> Self {
        Self {
            is_colored: color::is_wanted(),
        }
    }

    fn colored(self, outcome: Outcome, text: &str) -> String {
        let color = match outcome {
            Outcome::Passed => 32,
            Outcome::Noted => 33,
            Outcome::Failed => 31,
            Outcome::Skipped => 2,
        };
        match self.is_colored {
            true => format!("\u{1b}[{color}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

/// The most characters of a detail that are shown.
const DETAIL_CHARS: usize = 400;

/// A line about a check.
pub(super) fn finding(finding: &Finding, shown: Shown) -> String {
    let label = shown.colored(finding.outcome, &format!("{:4}", finding.outcome.label()));
    let detail = readable::line(&finding.detail, DETAIL_CHARS);
    format!("{label}  {:34}  {detail}\n", finding.check)
}

/// What is shown after the last check.
pub(super) fn summary(report: &Report, shown: Shown) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _infallible = write(&mut text, report, shown);
    text
}

fn write(text: &mut String, report: &Report, shown: Shown) -> std::fmt::Result {
    let world = report.world.as_deref().unwrap_or("no sink");
    writeln!(
        text,
        "\n{world}, {} KiB, compiled in {} ms",
        report.size >> 10,
        report.compiled_in_ms
    )?;
    for speed in &report.speed {
        let Speed {
            records,
            rate,
            nanoseconds,
            ..
        } = speed;
        writeln!(
            text,
            "{records}: {:.2} million records/s, {nanoseconds:.0} ns each",
            rate / 1e6
        )?;
    }
    if report.peak_memory > 0 {
        writeln!(text, "memory at most: {} KiB", report.peak_memory >> 10)?;
    }
    for (name, lines) in [("stdout", &report.stdout), ("log", &report.log)] {
        if !lines.is_empty() {
            writeln!(text, "the first lines on {name}:")?;
        }
        for line in lines {
            writeln!(text, "    {}", readable::line(line, 120))?;
        }
    }
    let failed = report.count(Outcome::Failed);
    let outcome = match failed {
        0 => Outcome::Passed,
        _ => Outcome::Failed,
    };
    let counts = format!(
        "{} passed, {} noted, {} failed, {} skipped",
        report.count(Outcome::Passed),
        report.count(Outcome::Noted),
        failed,
        report.count(Outcome::Skipped)
    );
    writeln!(text, "{}", shown.colored(outcome, &counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_and_commands_no_terminal() {
        let found = Finding {
            check: "open",
            outcome: Outcome::Failed,
            detail: "two\nlines \u{1b}[2J".to_owned(),
        };
        let line = finding(&found, Shown { is_colored: false });
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(line.starts_with("FAIL  open ") && !line.contains('\u{1b}'));
        let colored = finding(&found, Shown { is_colored: true });
        assert!(colored.starts_with("\u{1b}[31mFAIL\u{1b}[0m"));
    }
}
