"""A client for NATS that knows as much as a trial needs."""

import json
import socket
from collections import deque

ANSWER_LIMIT_S = 20
# The numbers of the subscriptions.
ANSWERS, MESSAGES = "1", "2"


class NatsClient:
    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_LIMIT_S)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        # Messages that came before an answer.
        self._early = deque()
        hello = {"verbose": False, "pedantic": False, "headers": True}
        subscribe = f"SUB trial.answers {ANSWERS}\r\nSUB trial.messages {MESSAGES}"
        self._send(f"CONNECT {json.dumps(hello)}\r\n{subscribe}")

    def close(self):
        self._lines.close()
        self._socket.close()

    def ask(self, subject, question):
        """The answer of JetStream's API."""
        text = json.dumps(question)
        self._send(f"PUB {subject} trial.answers {len(text)}\r\n{text}")
        answer = json.loads(self._next(ANSWERS))
        if "error" in answer:
            raise RuntimeError(f"{subject}: {answer['error']}")
        return answer

    def payloads(self, stream):
        """All messages of a stream."""
        count = self.ask(f"$JS.API.STREAM.INFO.{stream}", {})["state"]["messages"]
        consumer = {"deliver_subject": "trial.messages", "ack_policy": "none"}
        question = {"stream_name": stream, "config": {**consumer, "deliver_policy": "all"}}
        self.ask(f"$JS.API.CONSUMER.CREATE.{stream}", question)
        for _ in range(count):
            yield self._next(MESSAGES)

    def _send(self, text):
        self._socket.sendall(text.encode() + b"\r\n")

    def _next(self, wanted):
        if wanted == MESSAGES and self._early:
            return self._early.popleft()
        while True:
            line = self._lines.readline().decode()
            if not line or line.startswith("-ERR"):
                raise RuntimeError(f"nats-server ended the connection: {line}")
            verb, *words = line.split()
            if verb == "PING":
                self._send("PONG")
            if verb in ("MSG", "HMSG"):
                content = self._lines.read(int(words[-1]) + 2)[:-2]
                headers = int(words[-2]) if verb == "HMSG" else 0
                if words[1] == wanted:
                    return content[headers:]
                self._early.append(content[headers:])
