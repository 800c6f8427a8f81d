//! Tables as aligned text.

/// Makes each column as wide as its widest cell. A cell in the second column may
/// extend over the following ones if they are all empty.
pub(super) fn align<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        let runs_on = row.iter().skip(2).all(String::is_empty);
        for (width, cell) in widths.iter_mut().zip(row) {
            if !runs_on {
                *width = (*width).max(cell.chars().count());
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
