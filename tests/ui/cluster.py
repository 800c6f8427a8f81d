"""A coordinator and nodes on this machine, for the tests of the web page."""

import base64
import hashlib
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
NODES = ("a", "b", "c")
DEFAULT = "default"


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


def fetch(url, body=None, headers=None, method=None):
    """The status and the body of an answer; 0 if there is none."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def token_of(name):
    return f"token-of-{name}"


def bearer(name):
    """The header with the token of a client; none without a client."""
    return {"authorization": f"Bearer {token_of(name)}"} if name else {}


def of_stream(stream, path):
    """The path of a route for a stream."""
    return path if stream == DEFAULT else f"/streams/{stream}{path}"


class Node:
    """A node's process."""

    def __init__(self, cluster, name):
        self.name = name
        self.port = free_port()
        self.log = open(cluster.folder / f"{name}.log", "wb")
        self.printed = cluster.folder / f"{name}.out"
        command = [
            cluster.built / "debug/sluice", "node", "--name", name,
            "--listen", f"127.0.0.1:{self.port}", "--health-listen", "127.0.0.1:0",
            "--data-dir", cluster.folder / name,
            "--plugin", cluster.plugin, "--plugin-dir", cluster.sink.parent,
            *cluster.flags,
        ]
        environment = dict(os.environ, CONSUL_HTTP_ADDR=f"127.0.0.1:{cluster.port}")
        with open(self.printed, "wb") as printed:
            self.process = subprocess.Popen(
                command, env=environment, stdout=printed, stderr=self.log)

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def read(self, path, client=None):
        """A document of the node; None if it gives none."""
        status, body = fetch(self.url(path), headers=bearer(client))
        return json.loads(body) if status == 200 else None

    def status(self, stream=DEFAULT):
        """The node's status document of a stream; None if it does not answer."""
        return self.read(of_stream(stream, "/api/v1/status"))

    def post(self, path, body, content_type="text/plain", client=None):
        """Sends a body, and returns the status of the answer; 0 if there is none."""
        headers = {"content-type": content_type, **bearer(client)}
        return fetch(self.url(path), body.encode(), headers)[0]

    def wrote(self, text):
        """Whether the node's sink has printed this."""
        return text in self.printed.read_text()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Cluster:
    """
    Nodes with a sink that fails when it is told to, or another one. `clients` are names
    with their scope, and the only stream if there is one; without them, everybody may
    send. The sink runs from the beginning, or else what `plugin` says.
    """

    def __init__(self, built, clients=None, nodes=NODES, sink=None, plugin=None, flags=()):
        self.built = Path(built).resolve()
        self.sink = sink or self.built / "guests/wasm32-wasip2/release/misbehave.wasm"
        self.plugin = plugin or f"file://{self.sink}"
        self.kept = tempfile.TemporaryDirectory(prefix="sluice-ui-")
        self.folder = Path(self.kept.name)
        self.port = free_port()
        self.flags = [*flags, *(self.tokens(clients) if clients else ())]
        self.log = open(self.folder / "coordinator.log", "wb")
        command = [
            self.built / "debug/sluice", "coordinator", "--listen", f"127.0.0.1:{self.port}",
            "--data-dir", self.folder / "coordinator",
        ]
        self.coordinator = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.nodes = [Node(self, name) for name in nodes]
        until("a node leads", self.leader, START_LIMIT)
        until("all nodes serve", lambda: all(node.status() for node in self.nodes), START_LIMIT)

    def tokens(self, clients):
        """The flags that make these clients known."""
        file = self.folder / "tokens.toml"
        digest = lambda name: hashlib.sha256(token_of(name).encode()).hexdigest()
        streams = lambda only: f'streams = ["{only[0]}"]\n' if only else ""
        parts = {name: given.split() for name, given in clients.items()}
        file.write_text("".join(
            f'[[token]]\nname = "{name}"\nsha256 = "{digest(name)}"\nscopes = ["{scope}"]\n'
            + streams(only)
            for name, (scope, *only) in parts.items()))
        return "--tokens", file

    def key(self, name):
        """A key of the coordinator with its value as text; None if it is not there."""
        status, body = fetch(f"http://127.0.0.1:{self.port}/v1/kv/sluice/{name}")
        if status != 200:
            return None
        [key] = json.loads(body)
        return {**key, "Value": base64.b64decode(key["Value"]).decode()}

    def ask(self, config="", stream=DEFAULT, **more):
        """Asks for the sink of a stream with this config and more of a manifest."""
        manifest = {"source": f"file://{self.sink}", "config": config, **more}
        key = "plugin" if stream == DEFAULT else f"streams/{stream}/plugin"
        url = f"http://127.0.0.1:{self.port}/v1/kv/sluice/{key}"
        status, _ = fetch(url, json.dumps(manifest).encode(), method="PUT")
        assert status == 200, f"the coordinator answered {status}"

    def until_asked_for_runs(self):
        def runs():
            asked, active = self.key("plugin"), self.key("active")
            active = json.loads(active["Value"]) if active else {}
            return active.get("state") == "running" and active["index"] == asked["ModifyIndex"]
        until("the sink that is asked for runs", runs)

    def leader(self, after=-1, stream=DEFAULT):
        """The node that leads under a later epoch than this; None if there is none."""
        for node in self.nodes:
            status = node.process.poll() is None and node.status(stream)
            if status and status["role"] == "leader" and status["tenure"] > after:
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
