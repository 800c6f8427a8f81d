"""Stands between a sink and a real server, and breaks connections at random."""

import socket
import struct
import threading
import time

from .destination import TIMEOUT_MS

# Longer than the sink waits.
HANG_S = TIMEOUT_MS / 1000 * 1.4
# How long a connection is left alone before something may happen to it, in seconds.
CALM_S = (0.05, 0.4)
CONNECT_LIMIT_S = 2


class Proxy:
    """Connections to `port` end at `server_port`."""

    def __init__(self, server_port, faults):
        self._server_port = server_port
        self._faults = faults
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), CONNECT_LIMIT_S)
        except OSError:
            abort(client)
            return
        server.settimeout(None)
        Link(client, server, self._faults).run()


class Link:
    """A connection, and the one to the server."""

    def __init__(self, client, server, faults):
        self._client = client
        self._server = server
        self._faults = faults
        # While it is not set, nothing goes to the server, or nothing comes from it.
        self._requests = threading.Event()
        self._answers = threading.Event()
        self._requests.set()
        self._answers.set()
        self._is_open = True

    def run(self):
        ways = [
            (self._client, self._server, self._requests),
            (self._server, self._client, self._answers),
        ]
        threads = [threading.Thread(target=self._pipe, args=way, daemon=True) for way in ways]
        for thread in threads:
            thread.start()
        while self._is_open and any(thread.is_alive() for thread in threads):
            threads[0].join(self._faults.between(CALM_S))
            self._disturb(self._faults.draw() if self._faults.is_on() else "taken")
        self._end()

    def _disturb(self, kind):
        if kind == "taken":
            return
        # What was taken has reached the server; the answer does not come back.
        way = self._answers if kind.startswith("taken") else self._requests
        way.clear()
        if kind.endswith("hung"):
            time.sleep(HANG_S)
        elif kind.startswith("taken"):
            time.sleep(CALM_S[0])
        if kind == "busy":
            way.set()
        else:
            self._end()

    def _pipe(self, source, target, gate):
        try:
            while part := source.recv(1 << 16):
                gate.wait()
                target.sendall(part)
            gate.wait()
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self._is_open = False

    def _end(self):
        self._is_open = False
        abort(self._client)
        abort(self._server)
        self._requests.set()
        self._answers.set()


def abort(connection):
    """Closes a connection as the death of a process does."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    connection.close()
