//! A small terminal: what a screen shows after a program has written these bytes.

/// How large it is.
pub(super) const COLUMNS: usize = 80;
pub(super) const LINES: usize = 24;

const TAKES: &str = "?1049h";
const GIVES_BACK: &str = "?1049l";
const HIDES_CURSOR: &str = "?25l";
const SHOWS_CURSOR: &str = "?25h";

#[derive(Debug)]
pub(super) struct Grid {
    cells: Vec<Vec<char>>,
    line: usize,
    column: usize,
    /// Whether the other screen is shown.
    pub(super) is_taken: bool,
    pub(super) has_cursor: bool,
    /// Whether anything was written in color.
    pub(super) was_colored: bool,
}

impl Grid {
    pub(super) fn after(written: &[u8]) -> Self {
        let mut grid = Self {
            cells: vec![vec![' '; COLUMNS]; LINES],
            line: 0,
            column: 0,
            is_taken: false,
            has_cursor: true,
            was_colored: false,
        };
        // The last bytes may be a part of something.
        let text = String::from_utf8_lossy(written);
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\u{1b}' => {
                    assert!(matches!(chars.next(), Some('[') | None), "{text:?}");
                    let mut code = String::new();
                    for c in chars.by_ref() {
                        code.push(c);
                        if c.is_ascii_alphabetic() {
                            grid.obey(&code);
                            break;
                        }
                    }
                }
                '\u{fffd}' => {}
                c => grid.put(c),
            }
        }
        grid
    }

    fn put(&mut self, c: char) {
        assert!(!c.is_control(), "{c:?}");
        if let Some(cell) = self
            .cells
            .get_mut(self.line)
            .and_then(|line| line.get_mut(self.column))
        {
            *cell = c;
        }
        self.column += 1;
    }

    fn obey(&mut self, code: &str) {
        match code {
            TAKES => self.is_taken = true,
            GIVES_BACK => self.is_taken = false,
            HIDES_CURSOR => self.has_cursor = false,
            SHOWS_CURSOR => self.has_cursor = true,
            "2J" => self.cells = vec![vec![' '; COLUMNS]; LINES],
            _ => match code.split_at(code.len() - 1) {
                (place, "H") => {
                    let (line, column) = place.split_once(';').unwrap();
                    self.line = line.parse::<usize>().unwrap() - 1;
                    self.column = column.parse::<usize>().unwrap() - 1;
                }
                (codes, "m") => self.was_colored |= codes.split(';').any(|code| code.len() > 1),
                _ => panic!("an unknown command for the terminal: {code}"),
            },
        }
    }

    /// Whether a line has all of these parts.
    pub(super) fn has(&self, parts: &[&str]) -> bool {
        let mut lines = self
            .cells
            .iter()
            .map(|line| line.iter().collect::<String>());
        lines.any(|line| parts.iter().all(|part| line.contains(part)))
    }

    pub(super) fn text(&self) -> String {
        let lines = self
            .cells
            .iter()
            .map(|line| line.iter().collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    }
}
