"""A webhook that takes NDJSON, and no body with a bad record in it."""

import json

from harness.destination import TIMEOUT_MS
from harness.http_destination import HttpDestination


class Destination(HttpDestination):
    def config(self):
        return {
            "url": self.origin() + "/in",
            "max_body_kib": 2,
            "concurrency": 2,
            "timeout_ms": TIMEOUT_MS,
        }

    def fault_of(self, number):
        return {"is_bad": True}

    def take(self, request):
        records = [json.loads(line)["attributes"] for line in request.body.splitlines()]
        if any("is_bad" in record for record in records):
            return 400, {}, b"one of them is bad"
        self.stored.add([record["number"] for record in records])
        return 204, {}, b""
