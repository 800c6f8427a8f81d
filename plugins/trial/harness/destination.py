"""What a trial needs of a destination."""

import json
import threading
from collections import Counter

# One record in so many is one that the destination never takes.
BAD_EACH = 97
# Sinks wait so long for an answer. A destination that hangs does so for longer.
TIMEOUT_MS = 500


class Stored:
    """How often the destination has stored each number."""

    def __init__(self):
        self._times = Counter()
        self._lock = threading.Lock()

    def add(self, numbers):
        with self._lock:
            self._times.update(numbers)

    def times(self):
        with self._lock:
            return Counter(self._times)


class Destination:
    """Overwritten by each kind in `destinations/`. The base class has what most kinds
    have in common."""

    # The sink's name, if the file has another one.
    sink = None

    def __init__(self, faults):
        self.faults = faults
        self.stored = Stored()

    def start(self):
        """Listens, from now on and after `die`."""
        raise NotImplementedError

    def die(self):
        """Stops listening, and breaks all connections."""
        raise NotImplementedError

    def config(self):
        """The sink's config."""
        raise NotImplementedError

    def permissions(self):
        """Flags that both the node (`--allow-http …`) and the manifest (`--http …`)
        need: pairs of a name and a value."""
        raise NotImplementedError

    @staticmethod
    def is_bad(number):
        """Whether the destination never takes the record."""
        return number % BAD_EACH == 0

    def record(self, number):
        """The record that is sent to the node: an object for /api/v1/logs."""
        record = {"message": f"Message: {number}", "number": number}
        return {**record, **self.fault_of(number)} if self.is_bad(number) else record

    def fault_of(self, number):
        """What makes a bad record bad."""
        return {}

    def config_text(self):
        return json.dumps(self.config())

    def notes(self):
        """What else the trial is to report: names and numbers."""
        return {}
