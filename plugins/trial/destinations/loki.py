"""Loki's push API, by its rules: what is too old is left out, the rest of the body is
stored, and the answer is `400`. An entry with the time and the line of one that its
stream has is ignored."""

import json
import time

from harness.destination import TIMEOUT_MS
from harness.http_destination import HttpDestination

# `reject_old_samples_max_age`.
MAX_AGE_S = 7 * 24 * 3600
BAD_TIME = "2020-01-01T00:00:00Z"


class Destination(HttpDestination):
    def __init__(self, faults):
        super().__init__(faults)
        self._seen = set()
        self._ignored = 0

    def config(self):
        return {
            "url": self.origin(),
            "label_attributes": {"part": "part"},
            "max_body_kib": 4,
            "concurrency": 2,
            "timeout_ms": TIMEOUT_MS,
        }

    def record(self, number):
        # Equal lines, to see that Loki does not take them for one.
        return {**super().record(number), "message": "the same", "part": str(number % 3)}

    def fault_of(self, number):
        return {"timestamp": BAD_TIME}

    def take(self, request):
        if request.path != "/loki/api/v1/push":
            return 404, {}, b"404 page not found\n"
        oldest = time.time() - MAX_AGE_S
        too_old = None
        for stream in json.loads(request.body)["streams"]:
            labels = tuple(sorted(stream["stream"].items()))
            for nanoseconds, line, *metadata in stream["values"]:
                if int(nanoseconds) / 1e9 < oldest:
                    too_old = (labels, int(nanoseconds) // 1_000_000_000)
                elif (labels, nanoseconds, line) in self._seen:
                    self._ignored += 1
                else:
                    self._seen.add((labels, nanoseconds, line))
                    self.stored.add([int(metadata[0]["number"])])
        if too_old is None:
            return 204, {}, b""
        labels, second = too_old
        shown = ", ".join(f'{name}="{value}"' for name, value in labels)
        text = (
            f"entry for stream '{{{shown}}}' has timestamp too old: {utc(second)}, "
            f"oldest acceptable timestamp is: {utc(oldest)}\n"
        )
        return 400, {}, text.encode()

    def notes(self):
        return {"repeats that Loki ignores": self._ignored}


def utc(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
