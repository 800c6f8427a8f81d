"""A client: its folder, its process, and what it says that it believes."""

import re
import subprocess
import tomllib
from dataclasses import dataclass, field

from . import install
from .processes import Process

_LINE = re.compile(r"^(sent|believed|failed|refused) (\d+)(?: (.*))?$")


class Client:
    """A folder with a `client.toml`."""

    def __init__(self, folder):
        facts = tomllib.loads((folder / "client.toml").read_text())
        self.folder = folder
        self.name = folder.name
        self.title = facts["title"]
        # python, node or debian: how it is installed.
        self.language = facts["language"]
        # The first one's version is the client's.
        self.packages = facts["packages"]
        # `http`, or a name of `cluster.LISTENERS`.
        self.listener = facts.get("listener", "http")
        # Where Sluice tells of refused records: answer or dead-letter.
        self.refusals = facts["refusals"]
        # What must not be lost. `answer`: what an answer lets it forget.
        # `connection`: it waits for no answer, so what it has handed over, while
        # the node that it addresses lives. `none`: nothing, as with datagrams.
        self.promise = facts.get("promise", "answer")
        # For so long it may be silent and still have something to send.
        self.quiet_s = facts.get("quiet_s", 30)


@dataclass
class Report:
    """The numbers of the messages that the client has told of."""

    sent: set = field(default_factory=set)
    believed: set = field(default_factory=set)
    # With the reason. The client's user is told of these.
    failed: dict = field(default_factory=dict)
    refused: set = field(default_factory=set)


class Run:
    """A client that sends `count` messages to a node, one each `pause_ms`."""

    def __init__(self, client, cache, node, count, pause_ms, scratch):
        self.client = client
        self.count = count
        install.install(client, cache)
        self.version = install.version(client, cache)
        command, env = install.command(client, cache)
        scratch.mkdir(parents=True)
        env |= {
            "SLUICE_HOST": "127.0.0.1",
            "SLUICE_PORT": node.ports[client.listener],
            "CLIENT_NAME": client.name,
            "COUNT": count,
            "PAUSE_MS": pause_ms,
            "PYTHONUNBUFFERED": "1",
        }
        # A client that cannot know when it is done waits for the end of stdin.
        self.process = Process(client.name, command, scratch, env, stdin=subprocess.PIPE)

    def has_begun(self):
        return "sent 1\n" in self.process.stdout() or self.has_ended()

    def has_ended(self):
        return self.process.popen.poll() is not None

    def release(self):
        """Tells a client that waits for it that it may stop."""
        stdin = self.process.popen.stdin
        if not stdin.closed:
            stdin.close()

    def report(self):
        report = Report()
        for line in self.process.stdout().splitlines():
            found = _LINE.match(line)
            if not found:
                continue
            word, number, reason = found[1], int(found[2]), found[3]
            if word == "failed":
                report.failed[number] = reason or ""
            else:
                getattr(report, word).add(number)
        return report
