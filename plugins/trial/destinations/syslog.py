"""A syslog receiver: it reads messages with their lengths in front, and closes a
connection when it has read it to the end. What it has read before a connection breaks is
stored, too."""

import re
import socket
import struct
import threading
import time

from harness.destination import TIMEOUT_MS, Destination as Base

# Longer than the sink waits.
HANG_S = TIMEOUT_MS / 1000 * 1.4
MAX_MESSAGE_BYTES = 1024
NUMBER = re.compile(rb' number="(\d+)"')
PART_BYTES = 512


class Destination(Base):
    def __init__(self, faults):
        super().__init__(faults)
        self._listener = None
        self._port = 0
        self._open = set()
        self._lock = threading.Lock()

    def config(self):
        return {
            "address": f"127.0.0.1:{self._port}",
            "max_message_bytes": MAX_MESSAGE_BYTES,
            "too_long": "refuse",
            "timeout_ms": TIMEOUT_MS,
        }

    def permissions(self):
        return [("tcp", f"127.0.0.1:{self._port}")]

    def fault_of(self, number):
        return {"message": "x" * MAX_MESSAGE_BYTES}

    def start(self):
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def die(self):
        # Only this wakes up a thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RD)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with self._lock:
            self._open.add(connection)
        try:
            self._read(connection, self.faults.draw())
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _read(self, connection, kind):
        # Unless all goes well, the other end gets a reset.
        reset(connection, True)
        if kind == "hung":
            time.sleep(HANG_S)
        if kind in ("hung", "closed", "refused"):
            return
        got = bytearray()
        while part := connection.recv(PART_BYTES if kind == "busy" else 1 << 16):
            got += part
            if kind == "busy":
                break
        is_whole = kind != "busy" and connection in self._open and self._listener.fileno() != -1
        self._store(bytes(got))
        if kind == "taken_hung":
            time.sleep(HANG_S)
        reset(connection, not is_whole or kind == "taken_closed")

    def _store(self, got):
        while got:
            length, _, rest = got.partition(b" ")
            if not length.isdigit() or len(rest) < int(length):
                return
            message, got = rest[: int(length)], rest[int(length) :]
            self.stored.add([int(NUMBER.search(message)[1])])


def reset(connection, is_on):
    """Whether closing the connection resets it, as the death of a process does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", is_on, 0))
