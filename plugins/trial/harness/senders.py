"""Sends numbered records to a node, and remembers what the node said of each."""

import http.client
import itertools
import json
import threading
import time

# Records per request.
REQUEST_RECORDS = 40
# A node answers a request within its own time; this is far longer.
ANSWER_LIMIT_S = 60
PAUSE_S = 0.05


class Senders:
    """Threads that send until they are stopped. A request whose answer is not `200` is
    sent again, so some records come more than once."""

    def __init__(self, port, destination, threads):
        self._port = port
        self._destination = destination
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._given_up = threading.Event()
        self.acknowledged = set()
        self.rejected = {}
        # Of requests that were not answered until the end.
        self.unknown = set()
        # Requests that were sent again.
        self.again = 0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def finish(self, limit_s):
        """Begins no more requests, and waits for those under way."""
        self._stopped.set()
        deadline = time.monotonic() + limit_s
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        self._given_up.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stopped.is_set():
            with self._lock:
                numbers = list(itertools.islice(self._numbers, REQUEST_RECORDS))
            records = [self._destination.record(number) for number in numbers]
            body = "".join(json.dumps(record) + "\n" for record in records).encode()
            self._deliver(numbers, body)

    def _deliver(self, numbers, body):
        while not self._given_up.is_set():
            answer = self._post(body)
            if answer is not None:
                refused = {numbers[one["index"]]: one["reason"] for one in answer["rejected"]}
                with self._lock:
                    self.rejected.update(refused)
                    self.acknowledged.update(n for n in numbers if n not in refused)
                return
            with self._lock:
                self.again += 1
            time.sleep(PAUSE_S)
        with self._lock:
            self.unknown.update(numbers)

    def _post(self, body):
        """What the node has answered, if that is `200`."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_LIMIT_S)
        try:
            headers = {"content-type": "application/x-ndjson"}
            connection.request("POST", "/api/v1/logs", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            return json.loads(text) if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
