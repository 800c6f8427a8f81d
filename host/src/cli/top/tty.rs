//! The terminal: taken, read, written, and given back as it was.
//!
//! It is opened a second time, so that reading and writing need not wait: that it does
//! not wait is a property of the opened file, which others use as well. The runtime has
//! no type for terminals; its types for pipes need nothing that only a pipe has.

use std::io;
use std::os::fd::OwnedFd;
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use ratatui::layout::Size;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::timeout;

/// The terminal behind stdout, and another name for it, by which those may open it too
/// that have got it from another user.
const STDOUT: &str = "/proc/self/fd/1";
const CONTROLLING: &str = "/dev/tty";
/// Plain characters, the cursor, and the screen that was there before.
const GIVE_BACK: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// A terminal that takes nothing for this long is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// The same when the program ends.
const GIVE_BACK_LIMIT: Duration = Duration::from_millis(500);
/// The size of a terminal that does not know it.
const SIZE_DEFAULT: Size = Size::new(80, 24);
/// The largest size that is drawn.
const SIZE_MAX: Size = Size::new(1000, 500);

/// The terminal that its owner or a panic must give back, the first of the two.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
static PANIC_HOOK: Once = Once::new();

struct Taken {
    terminal: Arc<OwnedFd>,
    /// Its modes before.
    modes: Termios,
}

/// The terminal while it is taken. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Tty {
    terminal: Arc<OwnedFd>,
    keys: Receiver,
    screen: Sender,
}

impl Tty {
    /// Takes the terminal behind stdout.
    ///
    /// # Errors
    /// It cannot be opened, or has no modes.
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |path| open(path, flags, Mode::empty());
        let terminal = open(STDOUT).or_else(|error| open(CONTROLLING).map_err(|_| error));
        Self::take(terminal?)
    }

    /// Takes this terminal, so that its keys come one by one and are not shown.
    ///
    /// # Errors
    /// It has no modes.
    fn take(terminal: OwnedFd) -> io::Result<Self> {
        let modes = tcgetattr(&terminal)?;
        let tty = Self::of(terminal)?;
        let mut raw = modes.clone();
        raw.make_raw();
        give_back_in_panics();
        *taken() = Some(Taken {
            terminal: Arc::clone(&tty.terminal),
            modes,
        });
        tcsetattr(&tty.terminal, OptionalActions::Now, &raw)?;
        Ok(tty)
    }

    /// # Errors
    /// It is no terminal.
    fn of(terminal: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            keys: Receiver::from_owned_fd_unchecked(terminal.try_clone()?)?,
            screen: Sender::from_owned_fd_unchecked(terminal.try_clone()?)?,
            terminal: Arc::new(terminal),
        })
    }

    /// How many columns and lines it has.
    pub(super) fn size(&self) -> Size {
        let known = tcgetwinsize(&self.terminal).ok();
        let known = known.map(|size| Size::new(size.ws_col, size.ws_row));
        let size = known.filter(|size| size.width > 0 && size.height > 0);
        let Size { width, height } = size.unwrap_or(SIZE_DEFAULT);
        Size::new(width.min(SIZE_MAX.width), height.min(SIZE_MAX.height))
    }

    /// Waits for what is typed, and returns how many bytes that is. Nothing is lost when
    /// the future is dropped.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.keys.read(into).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(length),
        }
    }

    /// # Errors
    /// The terminal is gone, or takes nothing any more.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_LIMIT, self.screen.write_all(bytes)).await?
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        give_back();
    }
}

fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes panics give the terminal back before they say what happened.
fn give_back_in_panics() {
    PANIC_HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            give_back();
            before(what);
        }));
    });
}

/// Gives the terminal back, if it is taken. One that is gone needs nothing.
fn give_back() {
    let Some(Taken { terminal, modes }) = taken().take() else {
        return;
    };
    write_at_last(&terminal, GIVE_BACK);
    _ = tcsetattr(&terminal, OptionalActions::Now, &modes);
}

/// Writes as much as the terminal takes in time.
fn write_at_last(terminal: &OwnedFd, mut bytes: &[u8]) {
    let start = Instant::now();
    while !bytes.is_empty() {
        let left = GIVE_BACK_LIMIT.saturating_sub(start.elapsed());
        let wait = Timespec::try_from(left).ok();
        let mut fds = [PollFd::new(terminal, PollFlags::OUT)];
        if left.is_zero() || poll(&mut fds, wait.as_ref()).is_ok_and(|ready| ready == 0) {
            return;
        }
        match rustix::io::write(terminal, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::mem::ManuallyDrop;

    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcsetwinsize};

    use super::*;

    /// The side of the program that shows a terminal, and that of programs in it.
    fn pair() -> (File, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let shows = openpt(flags).unwrap();
        unlockpt(&shows).unwrap();
        let inside = ioctl_tiocgptpeer(&shows, flags).unwrap();
        rustix::io::ioctl_fionbio(&inside, true).unwrap();
        (shows.into(), inside)
    }

    fn modes(terminal: &OwnedFd) -> String {
        format!("{:?}", tcgetattr(terminal).unwrap())
    }

    fn is_raw(terminal: &OwnedFd) -> bool {
        let modes = tcgetattr(terminal).unwrap().local_modes;
        !modes.intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// What the terminal was sent: the bytes that give it back, after these.
    fn was_given_back(shows: &mut File, after: &[u8]) {
        let mut sent = vec![0; after.len() + GIVE_BACK.len()];
        shows.read_exact(&mut sent).unwrap();
        assert_eq!(sent, [after, GIVE_BACK].concat());
    }

    // One test, because there is one terminal that can be taken at a time.
    #[tokio::test]
    async fn a_terminal_is_given_back_as_it_was() {
        let (mut shows, inside) = pair();
        let before = modes(&inside);

        // By its owner.
        let mut tty = Tty::take(inside.try_clone().unwrap()).unwrap();
        assert!(is_raw(&inside));
        tty.write(b"drawn").await.unwrap();
        rustix::io::write(&shows, b"q").unwrap();
        let mut typed = [0; 8];
        assert_eq!(tty.read(&mut typed).await.unwrap(), 1);
        assert_eq!(typed[0], b'q');
        drop(tty);
        assert_eq!(modes(&inside), before);
        was_given_back(&mut shows, b"drawn");

        // After more than it takes at a time.
        let mut tty = Tty::take(inside.try_clone().unwrap()).unwrap();
        let large = vec![b'x'; 200_000];
        let expected = large.clone();
        let reads = std::thread::spawn(move || {
            was_given_back(&mut shows, &expected);
            shows
        });
        tty.write(&large).await.unwrap();
        drop(tty);
        let mut shows = reads.join().unwrap();

        // By a panic, before its owner is dropped.
        let tty = Tty::take(inside.try_clone().unwrap()).unwrap();
        assert!(is_raw(&inside));
        let panics = std::thread::spawn(|| panic!("this panic is part of the test"));
        assert!(panics.join().is_err());
        assert_eq!(modes(&inside), before);
        was_given_back(&mut shows, b"");
        drop(tty);

        // By one that takes nothing any more, in bounded time.
        let tty = Tty::take(inside.try_clone().unwrap()).unwrap();
        while rustix::io::write(&inside, &[b'x'; 4096]).is_ok() {}
        let start = Instant::now();
        drop(tty);
        assert!(start.elapsed() < GIVE_BACK_LIMIT * 4);
        assert_eq!(modes(&inside), before);
    }

    #[tokio::test]
    async fn a_size_has_bounds_and_a_terminal_that_is_gone_is_an_error() {
        let (shows, inside) = pair();
        // It is not taken, so it must not give back what another test takes.
        let mut tty = ManuallyDrop::new(Tty::of(inside).unwrap());
        for (columns, lines, expected) in [
            (0, 0, SIZE_DEFAULT),
            (132, 0, SIZE_DEFAULT),
            (132, 50, Size::new(132, 50)),
            (u16::MAX, u16::MAX, SIZE_MAX),
        ] {
            let size = Winsize {
                ws_col: columns,
                ws_row: lines,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            tcsetwinsize(&shows, size).unwrap();
            assert_eq!(tty.size(), expected);
        }
        drop(shows);
        assert!(tty.read(&mut [0; 8]).await.is_err());
        assert!(tty.write(b"x").await.is_err());
    }
}
