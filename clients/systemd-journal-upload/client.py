"""systemd-journal-upload. Its journal is written by systemd-journal-remote, as
this machine need not run a journald. It is started again when it ends, as its
unit does."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from daemon import ROOT, start
from numbered import HOST, PORT, believed, messages

RESTART_PAUSE_S = 1


def entry(text, number):
    micros = time.time_ns() // 1000
    return (
        f"__REALTIME_TIMESTAMP={micros}\n__MONOTONIC_TIMESTAMP={number + 1000}\n"
        f"_BOOT_ID={2:032x}\nSYSLOG_IDENTIFIER=shop\nPRIORITY=6\nMESSAGE={text}\n\n"
    )


class Uploader:
    """Keeps systemd-journal-upload running."""

    def __init__(self, folder, journal):
        self.command = [
            ROOT / "lib/systemd/systemd-journal-upload", f"--url=http://{HOST}:{PORT}",
            f"--directory={journal}", f"--save-state={folder / 'state'}", "--follow",
        ]
        self.stopping = threading.Event()
        self.process = None
        self.thread = threading.Thread(target=self._keep)
        self.thread.start()

    def _keep(self):
        while not self.stopping.is_set():
            self.process = start(self.command)
            self.process.wait()
            print("it ended", self.process.returncode, file=sys.stderr)
            self.stopping.wait(RESTART_PAUSE_S)

    def stop(self):
        self.stopping.set()
        self.process.terminate()
        self.thread.join()


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journal = folder / "journal"
        journal.mkdir()
        writer = subprocess.Popen(
            [ROOT / "lib/systemd/systemd-journal-remote", "-o", journal / "remote-x.journal", "-"],
            env={**os.environ, "LD_LIBRARY_PATH": os.environ.get("CLIENT_LIBRARIES", "")},
            stdin=subprocess.PIPE, stdout=sys.stderr, text=True,
        )
        uploader = None
        for number, text in messages():
            writer.stdin.write(entry(text, number))
            writer.stdin.flush()
            believed(number)
            uploader = uploader or Uploader(folder, journal)
        sys.stdin.read()
        uploader.stop()
        writer.stdin.close()
        writer.wait(20)


main()
