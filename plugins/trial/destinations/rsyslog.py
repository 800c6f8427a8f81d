"""A real rsyslogd for the syslog sink, behind a proxy that breaks connections. It is ended
and started again. Its queue is `Direct`, so it has written what it has read."""

import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from socket import SOCK_STREAM, create_connection

from harness.destination import TIMEOUT_MS, Destination as Base
from harness.proxy import Proxy
from harness_of_clients.processes import Process, eventually, free_ports

START_LIMIT_S = 30
MAX_MESSAGE_BYTES = 1024
NUMBER = re.compile(rb"number=\"(\d+)\"")
CONFIG = """
global(workDirectory="{folder}")
main_queue(queue.type="Direct")
module(load="imtcp")
template(name="data" type="string" string="%structured-data%\\n")
ruleset(name="trial") {{
  action(type="omfile" file="{folder}/out" template="data" flushOnTXEnd="on")
}}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="trial")
"""


class Destination(Base):
    sink = "syslog"

    def __init__(self, faults):
        super().__init__(faults)
        self._program = shutil.which("rsyslogd")
        if self._program is None:
            raise SystemExit("there is no rsyslogd; on Debian: apt-get install rsyslog")
        self._kept = tempfile.TemporaryDirectory(prefix="trial-rsyslog-")
        self._folder = Path(self._kept.name)
        (self._port,) = free_ports(SOCK_STREAM)
        self._proxy = Proxy(self._port, faults)
        self._process = None
        config = CONFIG.format(folder=self._folder, port=self._port)
        (self._folder / "config").write_text(config)
        self.stored = self

    def config(self):
        return {
            "address": f"127.0.0.1:{self._proxy.port}",
            "max_message_bytes": MAX_MESSAGE_BYTES,
            "too_long": "refuse",
            "timeout_ms": TIMEOUT_MS,
        }

    def permissions(self):
        return [("tcp", f"127.0.0.1:{self._proxy.port}")]

    def fault_of(self, number):
        return {"message": "x" * MAX_MESSAGE_BYTES}

    def start(self):
        command = [self._program, "-n", "-f", self._folder / "config", "-i", self._folder / "pid"]
        self._process = Process("rsyslogd", command, self._folder)
        eventually("rsyslogd listens", START_LIMIT_S, self._listens)

    def die(self):
        self._process.end()

    def times(self):
        """How often rsyslogd has written each number."""
        written = (self._folder / "out").read_bytes()
        self._kept.cleanup()
        return Counter(int(number) for number in NUMBER.findall(written))

    def _listens(self):
        try:
            create_connection(("127.0.0.1", self._port), 1).close()
            return True
        except OSError:
            return False
