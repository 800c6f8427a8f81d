"""Processes that end with the run, and ports for them."""

import os
import signal
import socket
import subprocess
import time

_running = []
# A process that is asked to end may take so long.
END_LIMIT_S = 20


class Process:
    """A process in a group of its own, with its output in files."""

    def __init__(self, name, command, folder, env=None, stdin=None):
        """Output is appended to `<folder>/<name>.out` and `.err`."""
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.popen = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env={**os.environ, **{k: str(v) for k, v in (env or {}).items()}},
                stdin=stdin or subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        _running.append(self)

    def stdout(self):
        return self.out.read_text(errors="replace")

    def end_of_stderr(self):
        return self.err.read_text(errors="replace")[-2000:]

    def kill(self):
        """SIGKILL to the process and to what it has started."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()
        if self in _running:
            _running.remove(self)


    def end(self):
        """SIGTERM, and SIGKILL to all that is left of it."""
        self.popen.terminate()
        try:
            self.popen.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            pass
        self.kill()


def end_all():
    for process in reversed(list(_running)):
        process.end()


def free_ports(*kinds):
    """A port for each kind of socket that nothing uses now. All are held until
    the last one is found."""
    held = []
    for kind in kinds:
        one = socket.socket(socket.AF_INET, kind)
        one.bind(("127.0.0.1", 0))
        held.append(one)
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def eventually(what, within, check):
    """The first result of `check` that is true, within so many seconds."""
    deadline = time.monotonic() + within
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within} s: {what}")
        time.sleep(0.05)
