"""A destination that speaks HTTP."""

import gzip
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .destination import TIMEOUT_MS, Destination

# Longer than the sink waits.
HANG_S = TIMEOUT_MS / 1000 * 1.4


class HttpDestination(Destination):
    """Serves HTTP/1.1 on a port of its own. A kind overwrites `take` and `config`, and
    where its product answers otherwise, `refused` and `busy`."""

    def __init__(self, faults):
        super().__init__(faults)
        self._server = None
        self._port = 0
        self._open = set()
        self._lock = threading.Lock()
        self._taking = threading.Lock()

    def take(self, request):
        """Stores the records of a request, one request at a time, and returns the
        answer: status, headers and body."""
        raise NotImplementedError

    def refused(self):
        return 503, {}, b"not now"

    def busy(self):
        return 429, {"Retry-After": "0"}, b"slow down"

    def origin(self):
        return f"http://127.0.0.1:{self._port}"

    def permissions(self):
        return [("http", self.origin())]

    def start(self):
        handler = type("Handler", (Handler,), {"destination": self})
        self._server = Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def die(self):
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for connection in self._open:
                connection.close_now()

    def opened(self, connection):
        with self._lock:
            self._open.add(connection)

    def closed(self, connection):
        with self._lock:
            self._open.discard(connection)

    def answer(self, request):
        """The answer, or None for none at all."""
        kind = self.faults.draw()
        if kind == "refused":
            return self.refused()
        if kind == "busy":
            return self.busy()
        answer = None
        if kind.startswith("taken"):
            with self._taking:
                answer = self.take(request)
        if kind.endswith("hung"):
            time.sleep(HANG_S)
        return answer if kind == "taken" else None


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Connections break all the time here."""


class Request:
    """A request, with its body expanded."""

    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = headers
        self.body = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    destination = None

    def setup(self):
        super().setup()
        self.destination.opened(self)

    def finish(self):
        self.destination.closed(self)
        super().finish()

    def close_now(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = Request(self.command, self.path, self.headers, body)
        answer = self.destination.answer(request)
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    do_PUT = do_POST

    def log_message(self, *_):
        """Says nothing."""
