"""A node with its coordinator, and the sink that it is to run."""

import json
import subprocess
import urllib.request
from socket import SOCK_STREAM

from harness_of_clients.processes import Process, eventually, free_ports

START_LIMIT_S = 60
USE_LIMIT_S = 180


class Node:
    def __init__(self, sluice, folder, permissions):
        self._sluice = sluice
        self.port, health, coordinator = free_ports(SOCK_STREAM, SOCK_STREAM, SOCK_STREAM)
        self._env = {"CONSUL_HTTP_ADDR": f"127.0.0.1:{coordinator}"}
        command = [sluice, "node", "--name", "a", "--data-dir", folder / "data"]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        command += ["--health-listen", f"127.0.0.1:{health}"]
        command += ["--embedded-coordinator", f"127.0.0.1:{coordinator}", "--plugin-dir", "/"]
        for name, value in permissions:
            command += [f"--allow-{name}", value]
        self.process = Process("node", command, folder, self._env)
        eventually("the node leads", START_LIMIT_S, self._leads)

    def _leads(self):
        return self.status().get("role") == "leader"

    def status(self):
        try:
            url = f"http://127.0.0.1:{self.port}/api/v1/status"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return {}

    def use(self, sink, config, permissions, *flags):
        """Asks for a sink, and waits until the node runs it."""
        command = [self._sluice, "plugin", "use", sink, "--config", config]
        command += ["--probation", "0s", "--wait", "--yes", "--timeout", f"{USE_LIMIT_S}s", *flags]
        for name, value in permissions:
            command += [f"--{name}", value]
        subprocess.run(
            [str(part) for part in command], check=True, env=self._env,
            stdout=subprocess.DEVNULL, timeout=USE_LIMIT_S + 10,
        )
