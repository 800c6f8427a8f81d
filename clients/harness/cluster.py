"""A Consul and three nodes, with a sink that takes orders."""

import json
import os
import subprocess
import urllib.request
from socket import SOCK_DGRAM, SOCK_STREAM

from .processes import Process, eventually, free_ports

NAMES = ("a", "b", "c")
# A sink that refuses does so with `Message: <number>` if this divides the number.
REFUSED_EACH = 10
# No run has so many messages.
NEVER = 1_000_000_000
# More than the largest batch of a client, and few enough to be filled.
QUEUE_RECORDS = 2000
START_LIMIT_S = 60
ELECTION_LIMIT_S = 30

# What a client may connect to besides `--listen`: the flag of the node, and how
# its value begins.
LISTENERS = {
    "otlp-grpc": ("--otlp-grpc-listen", ""),
    "forward": ("--forward-listen", "tcp://"),
    "relp": ("--relp-listen", "tcp://"),
    "syslog-tcp": ("--syslog-listen", "tcp://"),
    "syslog-udp": ("--syslog-listen", "udp://"),
    "gelf-tcp": ("--gelf-listen", "tcp://"),
    "gelf-udp": ("--gelf-listen", "udp://"),
}


def node_flags(sluice):
    """The listeners that this program has flags for."""
    text = subprocess.run(
        [sluice, "node", "--help"], capture_output=True, text=True, check=True
    ).stdout
    return {name for name, (flag, _) in LISTENERS.items() if f"{flag} " in text}


class Node:
    """A node that keeps its ports and its data when it is started again."""

    def __init__(self, cluster, name, listeners):
        self.cluster = cluster
        self.name = name
        names = ["http", "health", *sorted(listeners)]
        kinds = [SOCK_DGRAM if name.endswith("udp") else SOCK_STREAM for name in names]
        self.ports = dict(zip(names, free_ports(*kinds)))
        self.process = None

    def start(self):
        cluster = self.cluster
        command = [cluster.sluice, "node", "--name", self.name]
        command += ["--listen", f"127.0.0.1:{self.ports['http']}"]
        command += ["--health-listen", f"127.0.0.1:{self.ports['health']}"]
        command += ["--data-dir", cluster.folder / "data" / self.name]
        command += ["--queue-records", QUEUE_RECORDS, "--plugin", cluster.manifest()]
        command += ["--plugin-dir", cluster.sink.parent, "--allow-dir", cluster.switch.parent]
        for name, (flag, prefix) in LISTENERS.items():
            if name in self.ports:
                command += [flag, f"{prefix}127.0.0.1:{self.ports[name]}"]
        self.process = Process(f"node-{self.name}", command, cluster.folder, cluster.env)

    def status(self):
        try:
            url = f"http://127.0.0.1:{self.ports['http']}/api/v1/status"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return {}


class Cluster:
    def __init__(self, programs, folder, listeners, refuses):
        """`programs` has the paths `sluice`, `sink` and `consul`."""
        self.sluice = programs.sluice
        self.sink = programs.sink
        self.folder = folder
        self.refuses = refuses
        # The node that no fault ends.
        self.spared = None
        folder.mkdir(parents=True)
        self.switch = folder / "own" / "down"
        self.switch.parent.mkdir()
        self._start_consul(programs.consul)
        self.nodes = [Node(self, name, listeners) for name in NAMES]
        for node in self.nodes:
            node.start()
        eventually("all nodes serve", START_LIMIT_S, lambda: all(n.status() for n in self.nodes))
        self.leader()

    def _start_consul(self, program):
        http, server, serf = free_ports(SOCK_STREAM, SOCK_STREAM, SOCK_STREAM)
        self.env = {"CONSUL_HTTP_ADDR": f"127.0.0.1:{http}"}
        command = [program, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1"]
        command += ["-node=agent", "-log-level=warn", f"-http-port={http}"]
        command += [f"-server-port={server}", f"-serf-lan-port={serf}", "-serf-wan-port=-1"]
        command += ["-dns-port=-1", "-grpc-port=-1"]
        Process("consul", command, self.folder)
        eventually("Consul has a leader", START_LIMIT_S, lambda: self._consul_leads(http))

    @staticmethod
    def _consul_leads(port):
        try:
            url = f"http://127.0.0.1:{port}/v1/status/leader"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return len(answer.read()) > 2
        except OSError:
            return False

    def manifest(self):
        """The sink of the tests that can refuse by number, and takes nothing
        while the switch is down."""
        directory = {"host": str(self.switch.parent), "guest": "/own"}
        return json.dumps({
            "source": f"file://{self.sink}",
            "config": f"refuse 1 in {REFUSED_EACH if self.refuses else NEVER}",
            "permissions": {"dirs": [directory]},
        })

    def leader(self):
        def leading():
            return next((n for n in self.nodes if n.status().get("role") == "leader"), None)

        return eventually("a node leads", ELECTION_LIMIT_S, leading)

    def leader_but_the_spared(self):
        """The leader, after another node has taken over if it is to be spared."""
        leader = self.leader()
        if leader is not self.spared:
            return leader
        other = next(node for node in self.nodes if node is not leader)
        self._sluice("step-down", "--to", other.name)
        return eventually(
            "another node leads", ELECTION_LIMIT_S,
            lambda: self.leader() if self.leader() is not self.spared else None,
        )

    def follower(self):
        leader = self.leader()

        def knows(node):
            return (node.status().get("leader") or {}).get("node") == leader.name

        others = [node for node in self.nodes if node is not leader]
        return eventually(
            "a follower knows the leader", ELECTION_LIMIT_S,
            lambda: next((node for node in others if knows(node)), None),
        )

    def output(self):
        """All lines that the sinks of all nodes have written."""
        return [line for node in self.nodes for line in node.process.stdout().splitlines()]

    def dead_letters(self):
        """The texts of the dead letters of all nodes. A node that has just
        started may not answer yet."""
        return eventually("all nodes list dead letters", 30, self._dead_letters)[0]

    def _dead_letters(self):
        done = self._sluice("dlq", "list", "--json")
        if done.returncode != 0 or "left out" in done.stderr:
            return None
        return ([json.loads(line)["record"]["body"] for line in done.stdout.splitlines()],)

    def _sluice(self, *arguments):
        return subprocess.run(
            [self.sluice, *arguments], env={**os.environ, **self.env},
            capture_output=True, text=True, timeout=60,
        )
