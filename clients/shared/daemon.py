"""A log daemon of Debian that gets numbered messages on a Unix socket."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from numbered import believed, messages

ROOT = Path(os.environ.get("CLIENT_ROOT", "/"))
START_LIMIT_S = 20


def library_folder():
    """Where the daemon's modules are."""
    return next(ROOT.glob("usr/lib/*-linux-gnu"))


def start(command):
    env = {**os.environ, "LD_LIBRARY_PATH": os.environ.get("CLIENT_LIBRARIES", "")}
    return subprocess.Popen([str(part) for part in command], env=env, stdout=sys.stderr)


def run(configuration, command):
    """Starts the daemon and hands it all messages. It believes what it was
    handed. Then waits until the run says that nothing more comes.

    `configuration` is a text with SOCKET for the socket's path, and `command`
    makes the command line from the folder with `daemon.conf`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "log.sock"
        (folder / "daemon.conf").write_text(configuration.replace("SOCKET", str(path)))
        daemon = start(command(folder))
        deadline = time.monotonic() + START_LIMIT_S
        while not path.exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                sys.exit("the daemon does not listen")
            time.sleep(0.05)
        one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.connect(str(path))
        for number, text in messages():
            one.send(f"<13>{time.strftime('%b %e %H:%M:%S')} shop: {text}".encode())
            believed(number)
        sys.stdin.read()
        daemon.terminate()
        daemon.wait(20)
