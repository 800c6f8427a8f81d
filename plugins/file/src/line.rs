//! Divides lines into appends.

/// How many of the bytes go into one append of at most `max` bytes: as many whole
/// lines as fit, or a part of a longer line.
pub(crate) fn fit(bytes: &[u8], max: usize) -> usize {
    let fitting = bytes.get(..max).unwrap_or(bytes);
    match fitting.iter().rposition(|byte| *byte == b'\n') {
        Some(position) => position + 1,
        None => fitting.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_hold_whole_lines_if_they_fit() {
        let lines = b"one\ntwo\nthree\n";
        assert_eq!(fit(lines, 100), lines.len());
        assert_eq!(fit(lines, 14), lines.len());
        assert_eq!(fit(lines, 13), 8);
        assert_eq!(fit(lines, 4), 4);
        assert_eq!(fit(lines, 3), 3, "a longer line is divided");
        assert_eq!(
            fit(b"ree\nfour\n", 8),
            4,
            "and its end goes with the next line"
        );
    }
}
