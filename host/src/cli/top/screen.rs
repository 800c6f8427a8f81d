//! What is drawn, and what is typed meanwhile.

use std::io;

use ratatui::Terminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::ansi::Ansi;
use super::draw::View;
use super::keys::{Keys, Press};
use super::tty::Tty;

/// The most bytes that are read at a time.
const READ_MAX: usize = 256;

/// The terminal while it is taken, and what it shows.
pub(super) struct Screen {
    tty: Tty,
    terminal: Terminal<Ansi>,
    keys: Keys,
    /// SIGWINCH: it has another size.
    resized: Signal,
}

impl Screen {
    /// Takes the terminal behind stdout.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn open() -> io::Result<Self> {
        let resized = signal(SignalKind::window_change())?;
        let tty = Tty::open()?;
        let Ok(terminal) = Terminal::new(Ansi::new(tty.size()));
        Ok(Self {
            tty,
            terminal,
            keys: Keys::default(),
            resized,
        })
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) async fn draw(&mut self, view: View<'_>) -> io::Result<()> {
        self.terminal.backend_mut().size = self.tty.size();
        let Ok(_) = self.terminal.draw(|frame| view.draw(frame));
        let bytes = std::mem::take(&mut self.terminal.backend_mut().bytes);
        self.tty.write(bytes.as_bytes()).await
    }

    /// Waits for a key, or for another size (`None`). Nothing is lost when the future is
    /// dropped.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) async fn event(&mut self) -> io::Result<Option<Press>> {
        loop {
            let now = Instant::now();
            if let Some(press) = self.keys.next(now) {
                return Ok(Some(press));
            }
            let again = self.keys.ask_again_at();
            let mut typed = [0; READ_MAX];
            tokio::select! {
                length = self.tty.read(&mut typed) => {
                    let typed = typed.get(..length?).unwrap_or_default();
                    self.keys.push(typed, Instant::now());
                }
                _ = self.resized.recv() => return Ok(None),
                () = sleep_until(again.unwrap_or(now)), if again.is_some() => {}
            }
        }
    }
}
