"""A collector: it keeps what it can of a request, and says how many records it has
refused, but not which."""

from harness.destination import TIMEOUT_MS
from harness.http_destination import HttpDestination

PROTOBUF = {"content-type": "application/x-protobuf"}


class Destination(HttpDestination):
    def __init__(self, faults):
        super().__init__(faults)
        self._partial = 0

    def config(self):
        return {
            "url": self.origin(),
            "max_records": 30,
            "concurrency": 2,
            "compression": "gzip",
            "timeout_ms": TIMEOUT_MS,
        }

    def record(self, number):
        return {**super().record(number), "service.name": f"service {number % 3}"}

    def fault_of(self, number):
        return {"number": "none"}

    def take(self, request):
        if request.path != "/v1/logs":
            return 404, {}, b"not found"
        taken, refused = [], 0
        for resource_logs in all_of(request.body, 1):
            for scope_logs in all_of(resource_logs, 2):
                for record in all_of(scope_logs, 2):
                    number = number_of(record)
                    if number is None:
                        refused += 1
                    else:
                        taken.append(number)
        self.stored.add(taken)
        if not refused:
            return 200, PROTOBUF, b""
        self._partial += 1
        message = b"no number"
        partial = b"\x08" + varint(refused) + b"\x12" + varint(len(message)) + message
        return 200, PROTOBUF, b"\x0a" + varint(len(partial)) + partial

    def notes(self):
        return {"partial successes": self._partial}


def number_of(record):
    for attribute in all_of(record, 6):
        if all_of(attribute, 1) == [b"number"]:
            for value in all_of(attribute, 2):
                return next(iter(all_of(value, 3)), None)
    return None


def all_of(message, wanted):
    """The values of a field: numbers or bytes."""
    return [value for number, value in fields(message) if number == wanted]


def fields(message):
    place = 0
    while place < len(message):
        tag, place = read_varint(message, place)
        length = {1: 8, 5: 4}.get(tag & 7)
        if tag & 7 == 0:
            value, place = read_varint(message, place)
            yield tag >> 3, value
            continue
        if tag & 7 == 2:
            length, place = read_varint(message, place)
        yield tag >> 3, message[place : place + length]
        place += length


def read_varint(message, place):
    number = shift = 0
    while True:
        byte = message[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
