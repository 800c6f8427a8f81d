"""An S3 store, which takes no object that is too large, and of an object that comes
again has only the last."""

import gzip
import hashlib
import json
from collections import Counter

from harness.destination import TIMEOUT_MS, Stored
from harness.http_destination import HttpDestination

BUCKET = "trial"
# Of an object before it is compressed. A bad record is larger.
MAX_OBJECT = 4 << 10


class Destination(HttpDestination):
    def __init__(self, faults):
        super().__init__(faults)
        self.stored = Objects()

    def config(self):
        return {
            "url": self.origin(),
            "bucket": BUCKET,
            "max_object_kib": MAX_OBJECT >> 10,
            "concurrency": 2,
            "timeout_ms": TIMEOUT_MS,
        }

    def fault_of(self, number):
        return {"padding": "x" * MAX_OBJECT}

    def refused(self):
        return error(400, "RequestTimeout")

    def busy(self):
        return error(503, "SlowDown")

    def take(self, request):
        if request.method != "PUT" or not request.path.startswith(f"/{BUCKET}/"):
            return error(404, "NoSuchBucket")
        if request.headers["x-amz-content-sha256"] != hashlib.sha256(request.body).hexdigest():
            return error(400, "XAmzContentSHA256Mismatch")
        lines = gzip.decompress(request.body)
        if len(lines) > MAX_OBJECT:
            return error(400, "EntityTooLarge")
        records = [json.loads(line)["attributes"] for line in lines.splitlines()]
        self.stored.put(request.path, [record["number"] for record in records])
        return 200, {}, b""

    def notes(self):
        return self.stored.notes()


class Objects(Stored):
    """The numbers in each object. What is in an object that is replaced is gone."""

    def __init__(self):
        super().__init__()
        self._objects = {}
        self._replaced = 0

    def put(self, key, numbers):
        with self._lock:
            self._replaced += key in self._objects
            self._objects[key] = numbers

    def times(self):
        with self._lock:
            return Counter(number for numbers in self._objects.values() for number in numbers)

    def notes(self):
        return {"objects": len(self._objects), "objects that came again": self._replaced}


def error(status, code):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    return status, {"content-type": "application/xml"}, body.encode()
