//! The arguments of `sluice top`, and its loop.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::draw::View;
use super::error::TopError;
use super::feed::{Feed, NEWS_MAX, News};
use super::model::Model;
use super::palette::Palette;
use super::screen::Screen;
use crate::cli::cluster::ClusterArgs;
use crate::cli::failure::Failure;
use crate::cli::overview::Source;
use crate::cli::signals::Signals;
use crate::cli::{color, runtime, units};

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice top
  sluice top --interval 5s
  sluice top --url https://node-a:3000 --token-file token    without access to Consul

Keys: q, Esc or Ctrl-C quits, p pauses, s sorts the nodes, the arrows choose one of them, ? explains
what is shown. Colors follow NO_COLOR. Where stdout is no terminal, use sluice status and sluice
tail.";

/// The least time between two drawings.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);
/// How often the screen is drawn when nothing happens: it shows how old the data is.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);
/// The bounds of `--interval`.
const INTERVAL_MIN: Duration = Duration::from_millis(250);
const INTERVAL_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(in crate::cli) struct TopArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The pause between two looks at the nodes, from 250ms to 1m
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = pause)]
    interval: Duration,
}

fn pause(text: &str) -> Result<Duration, String> {
    let pause = units::duration(text)?;
    match (INTERVAL_MIN..=INTERVAL_MAX).contains(&pause) {
        true => Ok(pause),
        false => Err("expected a duration from 250ms to 1m".to_owned()),
    }
}

pub(in crate::cli) fn run(args: &TopArgs) -> Result<ExitCode, Failure> {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if !io::stdout().is_terminal() || is_dumb {
        return Err(TopError::NoTerminal.into());
    }
    runtime::block_on(args.run())
}

impl TopArgs {
    async fn run(&self) -> Result<ExitCode, Failure> {
        let signals = Signals::listen().and_then(Signals::with_hangup);
        let mut signals = signals.map_err(TopError::Signals)?;
        tokio::select! {
            () = signals.next() => Ok(ExitCode::SUCCESS),
            ended = self.show() => ended.map(|()| ExitCode::SUCCESS),
        }
    }

    /// # Errors
    /// The nodes cannot be seen, or the terminal cannot be used.
    async fn show(&self) -> Result<(), Failure> {
        let source = Source::open(&self.cluster).await?;
        let feed = Feed::new(&self.cluster, &source, self.interval);
        let mut model = Model::new(self.interval);
        // What is wrong with the flags is printed: the terminal is taken afterwards.
        model.take(feed.overview().await?, Instant::now());
        let (news_in, news) = mpsc::channel(NEWS_MAX);
        tokio::select! {
            ended = draw_until_quit(&mut model, news) => ended.map_err(TopError::Terminal)?,
            () = feed.run(news_in) => {}
        }
        Ok(())
    }
}

/// Draws what is new until somebody quits. The terminal is as it was before when this
/// returns or is dropped.
///
/// # Errors
/// The terminal cannot be used any more.
async fn draw_until_quit(model: &mut Model, mut news: mpsc::Receiver<News>) -> io::Result<()> {
    let palette = Palette {
        in_color: color::is_wanted(),
    };
    let mut screen = Screen::open()?;
    let mut ticks = interval(DRAW_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_changed, mut drawn) = (true, Instant::now());
    loop {
        tokio::select! {
            _ = ticks.tick(), if is_changed => {
                drawn = Instant::now();
                screen.draw(View { model, palette, now: drawn }).await?;
                is_changed = false;
            }
            () = sleep_until(drawn + REDRAW_INTERVAL), if !is_changed => is_changed = true,
            event = screen.event() => {
                if event?.is_some_and(|press| model.press(press)) {
                    return Ok(());
                }
                is_changed = true;
            }
            latest = news.recv() => {
                let Some(latest) = latest else { return Ok(()) };
                model.take(latest, Instant::now());
                is_changed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_has_bounds() {
        for (text, millis) in [("250ms", 250), ("1s", 1000), ("1m", 60_000)] {
            assert_eq!(pause(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["0s", "249ms", "61s", "1", ""] {
            assert!(pause(wrong).is_err(), "{wrong}");
        }
    }
}
