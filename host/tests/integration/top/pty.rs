//! A pseudo terminal, and a program in it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::io::ioctl_fionread;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Action, LocalModes, Winsize, tcflow, tcgetattr, tcsetwinsize};

use super::grid::{COLUMNS, Grid, LINES};
use crate::support::{Cluster, Process, SOON, eventually};

/// A terminal that shows what is written into it. It must outlive the programs in it.
pub(super) struct Pty {
    /// The side of the program that shows the terminal.
    shows: File,
    /// That of programs in it; `None` while this is dropped.
    inside: Option<OwnedFd>,
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Pty {
    pub(super) fn open() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let shows = openpt(flags).expect("a terminal");
        unlockpt(&shows).unwrap();
        let inside = ioctl_tiocgptpeer(&shows, flags).unwrap();
        let shows = File::from(shows);
        let (written, mut output) = (Arc::default(), shows.try_clone().unwrap());
        let kept: Arc<Mutex<Vec<u8>>> = Arc::clone(&written);
        // It ends with an error when nobody has the other side any more.
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut part) {
                kept.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        let pty = Self {
            shows,
            inside: Some(inside),
            written,
            reader: Some(reader),
        };
        pty.resize(COLUMNS, LINES);
        pty
    }

    /// Gives it another size, not larger than that of a [`Grid`].
    pub(super) fn resize(&self, columns: usize, lines: usize) {
        let size = Winsize {
            ws_row: u16::try_from(lines).unwrap(),
            ws_col: u16::try_from(columns).unwrap(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.shows, size).unwrap();
    }

    /// Makes it take nothing any more, as Ctrl-S does.
    pub(super) fn stop(&self) {
        tcflow(self.inside(), Action::OOff).unwrap();
    }

    /// Makes it take what is written again.
    pub(super) fn go_on(&self) {
        tcflow(self.inside(), Action::OOn).unwrap();
    }

    /// Starts `sluice top` in it, as somebody on the cluster's machines would.
    pub(super) fn top(
        &self,
        cluster: &Cluster,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        let sluice = cluster.command();
        // SIGHUP may be ignored here, as under nohup, and programs inherit that.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=HUP")
            .arg(sluice.get_program());
        command.args(sluice.get_args());
        let variables_of_all = sluice.get_envs();
        command.envs(variables_of_all.filter_map(|(name, value)| Some((name, value?))));
        command.arg("top").args(arguments).env_remove("NO_COLOR");
        command.env("TERM", "xterm").envs(variables.iter().copied());
        let stdout = self.inside().try_clone().unwrap();
        Process::start_with_stdout("top", cluster.folder.path(), &mut command, stdout.into())
    }

    pub(super) fn press(&self, keys: &[u8]) {
        (&self.shows).write_all(keys).unwrap();
    }

    /// How many bytes were typed that no program has read.
    pub(super) fn unread(&self) -> u64 {
        ioctl_fionread(self.inside()).unwrap()
    }

    /// What it shows now.
    pub(super) fn shown(&self) -> Grid {
        Grid::after(&self.written.lock().unwrap())
    }

    /// Waits until a line has all of these parts.
    pub(super) async fn shows(&self, process: &Process, parts: &[&str]) {
        eventually(&format!("{parts:?} are shown"), SOON, || async {
            let shown = self.shown();
            match shown.is_taken && shown.has(parts) {
                true => Ok(()),
                false => Err(format!("{}\n{}", shown.text(), process.stderr())),
            }
        })
        .await;
    }

    /// Waits until its screen and its cursor are there as they were before.
    pub(super) async fn is_given_back(&self) {
        eventually("the screen is given back", SOON, || async {
            let shown = self.shown();
            match !shown.is_taken && shown.has_cursor {
                true => Ok(()),
                false => Err(shown.text()),
            }
        })
        .await;
    }

    /// Its modes as text.
    pub(super) fn modes(&self) -> String {
        format!("{:?}", tcgetattr(self.inside()).unwrap())
    }

    /// Whether what is typed is shown by the terminal itself.
    pub(super) fn echoes(&self) -> bool {
        let modes = tcgetattr(self.inside()).unwrap();
        modes.local_modes.contains(LocalModes::ECHO)
    }

    fn inside(&self) -> &OwnedFd {
        self.inside.as_ref().expect("it is open")
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.inside = None;
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}
