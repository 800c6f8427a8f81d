"""A real nats-server with JetStream, behind a proxy that breaks connections. It is killed
and started again."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from socket import SOCK_STREAM

from harness.destination import TIMEOUT_MS, Destination as Base
from harness.nats_client import NatsClient
from harness.proxy import Proxy
from harness_of_clients.processes import Process, eventually, free_ports

STREAM = "TRIAL"
MAX_PAYLOAD = 4000
# What the stream takes is less than what the server takes, to meet both.
MAX_MESSAGE = 2000
START_LIMIT_S = 30
# The trial reads all messages at the end, more slowly than the server sends them.
CONFIG = """
max_pending: 2GB
write_deadline: "60s"
listen: "127.0.0.1:{port}"
max_payload: {max_payload}
jetstream {{ store_dir: "{folder}" }}
"""


class Destination(Base):
    def __init__(self, faults):
        super().__init__(faults)
        self._program = shutil.which("nats-server")
        if self._program is None:
            raise SystemExit("there is no nats-server; on Debian: apt-get install nats-server")
        self._folder = tempfile.TemporaryDirectory(prefix="trial-nats-")
        (self._port,) = free_ports(SOCK_STREAM)
        self._proxy = Proxy(self._port, faults)
        self._process = None
        self._config = Path(self._folder.name) / "config"
        values = {"port": self._port, "max_payload": MAX_PAYLOAD, "folder": self._folder.name}
        self._config.write_text(CONFIG.format(**values))
        self.stored = self
        self._has_stream = False

    def config(self):
        return {
            "servers": [f"127.0.0.1:{self._proxy.port}"],
            "subject": "trial.{part}.{severity}",
            "timeout_ms": TIMEOUT_MS,
        }

    def permissions(self):
        return [("tcp", f"127.0.0.1:{self._proxy.port}")]

    def record(self, number):
        return {**super().record(number), "part": str(number % 3)}

    def fault_of(self, number):
        return {"message": "x" * (MAX_MESSAGE if number % 2 else MAX_PAYLOAD)}

    def start(self):
        command = [self._program, "-c", self._config]
        self._process = Process("nats-server", command, Path(self._folder.name))
        eventually("the stream is there", START_LIMIT_S, self._prepare)

    def die(self):
        self._process.kill()

    def times(self):
        """How often the stream has each number."""
        self.start()
        client = NatsClient(self._port)
        times = Counter(json.loads(p)["attributes"]["number"] for p in client.payloads(STREAM))
        client.close()
        self.die()
        self._folder.cleanup()
        return times

    def _prepare(self):
        """Whether the stream can be asked; it is made at first."""
        try:
            client = NatsClient(self._port)
            if not self._has_stream:
                wanted = {"name": STREAM, "subjects": ["trial.*.*"], "max_msg_size": MAX_MESSAGE}
                client.ask(f"$JS.API.STREAM.CREATE.{STREAM}", {**wanted, "storage": "file"})
                self._has_stream = True
            client.ask(f"$JS.API.STREAM.INFO.{STREAM}", {})
            client.close()
            return True
        except (OSError, ValueError):
            return False
