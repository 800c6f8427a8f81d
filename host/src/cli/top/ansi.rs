//! Drawings as bytes for a terminal.

use std::convert::Infallible;

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

/// Shows another screen without a cursor, and clears it.
const TAKE: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";

/// Collects what a terminal has to be sent. Nothing is asked of a terminal: its size is
/// set before each drawing.
#[derive(Debug)]
pub(super) struct Ansi {
    pub(super) size: Size,
    /// What is to be sent.
    pub(super) bytes: String,
    cursor: Position,
}

/// How the characters that follow look.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    color: Color,
    modifiers: Modifier,
}

impl Ansi {
    /// The first bytes take the screen.
    pub(super) fn new(size: Size) -> Self {
        Self {
            size,
            bytes: TAKE.to_owned(),
            cursor: Position::ORIGIN,
        }
    }

    fn go(&mut self, x: u16, y: u16) {
        let (line, column) = (u32::from(y) + 1, u32::from(x) + 1);
        self.bytes += &format!("\x1b[{line};{column}H");
    }
}

impl Look {
    const PLAIN: Self = Self {
        color: Color::Reset,
        modifiers: Modifier::empty(),
    };

    /// The codes for it, after all others were taken back. The palette has no more.
    fn codes(self) -> String {
        let mut codes = "\x1b[0".to_owned();
        for (modifier, code) in [
            (Modifier::BOLD, ";1"),
            (Modifier::DIM, ";2"),
            (Modifier::REVERSED, ";7"),
        ] {
            if self.modifiers.contains(modifier) {
                codes += code;
            }
        }
        codes += match self.color {
            Color::Red => ";31",
            Color::Green => ";32",
            Color::Yellow => ";33",
            _ => "",
        };
        codes + "m"
    }
}

impl Backend for Ansi {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut look = Look::PLAIN;
        let mut after = None;
        for (x, y, cell) in content {
            if after != Some((x, y)) {
                self.go(x, y);
            }
            after = Some((x.saturating_add(1), y));
            let of_cell = Look {
                color: cell.fg,
                modifiers: cell.modifier,
            };
            if look != of_cell {
                look = of_cell;
                self.bytes += &look.codes();
            }
            self.bytes += cell.symbol();
        }
        if look != Look::PLAIN {
            self.bytes += &Look::PLAIN.codes();
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        self.cursor = position.into();
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.bytes += "\x1b[2J";
        Ok(())
    }

    /// Clears everything: only a screen of another size is cleared.
    fn clear_region(&mut self, _: ClearType) -> Result<(), Infallible> {
        self.clear()
    }

    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize {
            columns_rows: self.size,
            pixels: Size::ZERO,
        })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::style::Style;
    use ratatui::text::{Line, Span};

    use super::*;

    #[test]
    fn only_what_has_changed_is_sent() {
        let mut terminal = Terminal::new(Ansi::new(Size::new(12, 2))).unwrap();
        let mut drawn = |text: &'static str| {
            let word = Span::styled(text, Style::new().fg(Color::Red).bold());
            let line = Line::from(vec![Span::raw("x"), word]);
            let draw = |frame: &mut ratatui::Frame<'_>| frame.render_widget(line, frame.area());
            terminal.draw(draw).unwrap();
            std::mem::take(&mut terminal.backend_mut().bytes)
        };
        let whole = format!("{TAKE}\x1b[1;1Hx\x1b[0;1;31m漢b\x1b[0m");
        // Nothing is sent for the second column of a wide character.
        assert_eq!(drawn("漢b").replace("\x1b[1;4H", ""), whole);
        assert_eq!(drawn("漢b"), "");
        assert_eq!(drawn("漢c"), "\x1b[1;4H\x1b[0;1;31mc\x1b[0m");
    }

    #[test]
    fn another_size_begins_with_an_empty_screen() {
        let mut terminal = Terminal::new(Ansi::new(Size::new(4, 1))).unwrap();
        let draw = |frame: &mut ratatui::Frame<'_>| frame.render_widget("ab", frame.area());
        terminal.draw(draw).unwrap();
        terminal.backend_mut().bytes.clear();
        terminal.backend_mut().size = Size::new(3, 2);
        terminal.draw(draw).unwrap();
        let sent = &terminal.backend().bytes;
        assert!(
            sent.starts_with("\x1b[2J") && sent.ends_with("\x1b[1;1Hab"),
            "{sent:?}"
        );
    }
}
