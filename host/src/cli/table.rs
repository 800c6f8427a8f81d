//! Tables as aligned text.

use sluice_types::readable;

/// Makes each column as wide as its widest cell. A cell in the second column may
/// extend over the following ones if they are all empty. Each cell is shown as
/// [`readable::source`] shows it.
pub(super) fn align<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let shown = |row: &[String; COLUMNS]| row.each_ref().map(readable::source);
    let rows: Vec<_> = rows.iter().map(shown).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        let runs_on = row.iter().skip(2).all(String::is_empty);
        for (width, cell) in widths.iter_mut().zip(row) {
            if !runs_on {
                *width = (*width).max(cell.chars().count());
            }
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_and_commands_no_terminal() {
        let rows = [["a", "b", "c"], ["\u{1b}[2J", "two\nlines", "d"]];
        let text = align(&rows.map(|row| row.map(str::to_owned)));
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(text.ends_with("\\u{1b}[2J  two\\nlines  d\n"), "{text:?}");
    }
}
