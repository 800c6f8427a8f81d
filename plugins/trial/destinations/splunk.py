"""Splunk's HTTP Event Collector: it reads a body event by event, keeps those before one
that it does not take, and names that one."""

import json

from harness.destination import TIMEOUT_MS
from harness.http_destination import HttpDestination


class Destination(HttpDestination):
    def config(self):
        return {
            "url": self.origin(),
            "index_attribute": "index",
            "max_body_kib": 4,
            "concurrency": 2,
            "timeout_ms": TIMEOUT_MS,
        }

    def fault_of(self, number):
        return {"index": "forbidden"}

    def refused(self):
        return 503, {}, b'{"text":"Server is busy","code":9}'

    def take(self, request):
        if request.path != "/services/collector/event":
            return 404, {}, b'{"text":"The requested URL was not found","code":404}'
        for place, line in enumerate(request.body.splitlines()):
            event = json.loads(line)
            if event.get("index") == "forbidden":
                answer = {"text": "Incorrect index", "code": 7, "invalid-event-number": place}
                return 400, {}, json.dumps(answer).encode()
            self.stored.add([int(event["fields"]["number"])])
        return 200, {}, b'{"text":"Success","code":0}'
