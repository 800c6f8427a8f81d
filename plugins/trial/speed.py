#!/usr/bin/env python3
"""Measures how many records a second a node delivers by a sink to a destination that
only counts. Everything runs on this machine, so they share its cores.

    plugins/trial/speed.py --built target/release --sinks plugins/dist loki splunk
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from harness import clients_harness  # noqa: E402, F401
from harness.node import Node  # noqa: E402
from harness_of_clients.processes import end_all  # noqa: E402

BUFFER_BYTES = 4 << 20
CREATED = b'{"create":{"status":201}}'


def answer_to_bulk(body):
    items = b",".join([CREATED] * (body.count(b"\n") // 2))
    return b'{"errors":false,"items":[' + items + b"]}"


def answer_to_any(_):
    return b"{}"


def nothing(_):
    return b""


# What each sink's destination answers, and the config that is measured.
SINKS = {
    "elasticsearch": (answer_to_bulk, {}),
    "http": (answer_to_any, {}),
    "loki": (answer_to_any, {}),
    "otlp": (nothing, {}),
    "splunk": (answer_to_any, {}),
}


class Counting(threading.Thread):
    """Reads requests, and counts them and their bytes."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.origin = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        self.requests = 0
        self.bytes = 0
        self.start()

    def run(self):
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb", BUFFER_BYTES)
        while file.readline():
            length = 0
            while (line := file.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = file.read(length)
            self.requests += 1
            self.bytes += length
            answer = self._answer(body)
            head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer)
            connection.sendall(head + answer)


def measure(options, name, folder):
    answer, config = SINKS[name]
    destination = Counting(answer)
    permissions = [("http", destination.origin)]
    node = Node((options.built / "sluice").resolve(), folder, permissions)
    sink = options.sinks.resolve() / f"{name}.wasm"
    text = json.dumps({"url": destination.origin, **config, **json.loads(options.config)})
    node.use(sink, text, permissions, "--concurrency", str(options.writes))
    command = [options.built.resolve() / "sluice-producer", "bench", "--json"]
    command += ["--target", f"http://127.0.0.1:{node.port}", "--batch", options.batch]
    command += ["--connections", options.connections, "--duration", f"{options.seconds}s"]
    command += ["--ndjson"] if options.ndjson else []
    before, used_before = time.monotonic(), node_seconds(node)
    report = subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True
    )
    seconds = time.monotonic() - before
    cores = (node_seconds(node) - used_before) / seconds
    node.process.end()
    return json.loads(report.stdout), destination, cores


def node_seconds(node):
    """The processor time that the node has used, in seconds."""
    fields = Path(f"/proc/{node.process.popen.pid}/stat").read_text().rpartition(")")[2].split()
    # utime and stime, the fields 14 and 15 of proc(5).
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="all without one", default=[])
    parser.add_argument("--built", required=True, type=Path, help="the folder of the programs")
    parser.add_argument("--sinks", required=True, type=Path, help="the folder of the components")
    parser.add_argument("--config", default="{}", help="further fields of the config")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--batch", type=int, default=1000, help="records per request")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--writes", type=int, default=1, help="limits.concurrency")
    parser.add_argument("--ndjson", action="store_true", help="records with five fields")
    options = parser.parse_args()
    for name in options.names or SINKS:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix=f"speed-{name}-") as folder:
            try:
                report, destination, cores = measure(options, name, Path(folder))
            finally:
                end_all()
        rate = report["messages_per_second"]
        print(f"{name}: {rate:,.0f} records/s, of which the node took {cores:.2f} cores, so "
              f"{rate / cores:,.0f} records per second of a core; the machine's load was {load:.1f}")
        print(f"  {destination.requests} requests, {destination.bytes >> 20} MiB", flush=True)


if __name__ == "__main__":
    main()
