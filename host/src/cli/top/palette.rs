//! Colors, where they are wanted.

use ratatui::style::{Color, Modifier, Style};

/// How things stand out. Without colors they still do where it matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) in_color: bool,
}

impl Palette {
    pub(super) fn good(self) -> Style {
        self.with(Color::Green)
    }

    pub(super) fn doubtful(self) -> Style {
        self.with(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.with(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn with(self, color: Color) -> Style {
        match self.in_color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }
}
