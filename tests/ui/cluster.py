"""A coordinator and nodes on this machine, for the test of the web page."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

START_LIMIT = 60


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(what, ask, limit=20):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + limit
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit} s")
        time.sleep(0.02)


class Node:
    """A node's process."""

    def __init__(self, cluster, name):
        self.name = name
        self.port = free_port()
        self.log = open(cluster.folder / f"{name}.log", "wb")
        built = cluster.built
        command = [
            built / "debug/sluice", "node", "--name", name,
            "--listen", f"127.0.0.1:{self.port}", "--health-listen", "127.0.0.1:0",
            "--data-dir", cluster.folder / name,
            "--plugin", f"file://{cluster.sink}", "--plugin-dir", cluster.sink.parent,
        ]
        environment = dict(os.environ, CONSUL_HTTP_ADDR=f"127.0.0.1:{cluster.port}")
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=self.log)

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def status(self):
        """The node's status document; None if it does not answer."""
        try:
            with urllib.request.urlopen(self.url("/api/v1/status"), timeout=1) as answer:
                return json.load(answer)
        except OSError:
            return None

    def post(self, path, body, content_type="text/plain"):
        request = urllib.request.Request(
            self.url(path), data=body.encode(), headers={"content-type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Cluster:
    """Three nodes, with a sink that fails when it is told to."""

    def __init__(self, built):
        self.built = Path(built).resolve()
        self.sink = self.built / "guests/wasm32-wasip2/release/misbehave.wasm"
        self.kept = tempfile.TemporaryDirectory(prefix="sluice-ui-")
        self.folder = Path(self.kept.name)
        self.port = free_port()
        self.log = open(self.folder / "coordinator.log", "wb")
        command = [
            self.built / "debug/sluice", "coordinator", "--listen", f"127.0.0.1:{self.port}",
            "--data-dir", self.folder / "coordinator",
        ]
        self.coordinator = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.nodes = [Node(self, name) for name in ("a", "b", "c")]
        until("a node leads", self.leader, START_LIMIT)
        until("all nodes serve", lambda: all(node.status() for node in self.nodes), START_LIMIT)

    def leader(self, after=-1):
        """The node that leads under a later epoch than this; None if there is none."""
        for node in self.nodes:
            status = node.process.poll() is None and node.status()
            if status and status["role"] == "leader" and status["epoch"] > after:
                return node
        return None

    def followers(self):
        leader = until("a node leads", self.leader)
        return [node for node in self.nodes if node is not leader and node.process.poll() is None]

    def end(self):
        for process in [node.process for node in self.nodes] + [self.coordinator]:
            if process.poll() is None:
                process.kill()
            process.wait()
        for node in self.nodes:
            node.log.close()
        self.log.close()
        self.kept.cleanup()
