"""Elasticsearch's bulk API: each document has its own outcome, a mapping refuses texts
where it has numbers, and an `_id` is taken once."""

import json

from harness.destination import TIMEOUT_MS
from harness.http_destination import HttpDestination

# One item in so many is rejected for now, as by a full queue.
BUSY_EACH = 50
CREATED = {"status": 201}
CONFLICT = {"status": 409, "error": {"type": "version_conflict_engine_exception"}}
BUSY = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}
UNPARSED = {
    "status": 400,
    "error": {
        "type": "document_parsing_exception",
        "reason": "[1:99] failed to parse field [attributes.number] of type [long]",
        "caused_by": {"reason": 'For input string: "none"'},
    },
}


class Destination(HttpDestination):
    def __init__(self, faults):
        super().__init__(faults)
        self._ids = set()
        self._items = 0
        self._conflicts = 0

    def config(self):
        return {
            "url": self.origin(),
            "index": "trial-%Y.%m",
            "max_records": 30,
            "concurrency": 2,
            "compression": "gzip",
            "timeout_ms": TIMEOUT_MS,
        }

    def fault_of(self, number):
        return {"number": "none"}

    def take(self, request):
        if not request.path.startswith("/_bulk?"):
            return 404, {}, b"{}"
        lines = request.body.splitlines()
        pairs = zip(lines[::2], lines[1::2])
        items = [self._item(json.loads(a)["create"], json.loads(d)) for a, d in pairs]
        errors = any("error" in item for item in items)
        answer = {"errors": errors, "items": [{"create": item} for item in items]}
        return 200, {"content-type": "application/json"}, json.dumps(answer).encode()

    def _item(self, action, document):
        self._items += 1
        if self._items % BUSY_EACH == 0 and self.faults.is_on():
            return BUSY
        number = document["attributes"]["number"]
        if not isinstance(number, int):
            return UNPARSED
        name = (action["_index"], action["_id"])
        if name in self._ids:
            self._conflicts += 1
            return CONFLICT
        self._ids.add(name)
        self.stored.add([number])
        return CREATED

    def notes(self):
        return {"repeats that conflict": self._conflicts}
