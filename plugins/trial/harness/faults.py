"""What a destination does wrong, and when."""

import random
import threading
from collections import Counter

# What may happen to a request, and how often, of 1000.
KINDS = {
    # Taken, and answered.
    "taken": 700,
    # Not taken, and answered: the destination is busy for a moment.
    "refused": 70,
    "busy": 60,
    # Not taken, and no answer.
    "hung": 30,
    "closed": 40,
    # Taken, and no answer: what comes again is a repeat.
    "taken_hung": 40,
    "taken_closed": 60,
}
# How long a destination lives, and how long it is dead, in seconds.
LIFE_S = (4, 9)
DEATH_S = (0.3, 2.0)


class Faults:
    """Draws what happens to each request, from a seed. All is well before `begin` and
    after `end`."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._is_on = False
        self.counts = Counter()

    def begin(self):
        self._is_on = True

    def end(self):
        self._is_on = False

    def is_on(self):
        return self._is_on

    def draw(self):
        with self._lock:
            kind = "taken"
            if self._is_on:
                kinds, weights = zip(*KINDS.items())
                kind = self._random.choices(kinds, weights)[0]
            self.counts[kind] += 1
            return kind

    def between(self, bounds):
        with self._lock:
            return self._random.uniform(*bounds)


class Deaths(threading.Thread):
    """Lets a destination die and come back, until it is stopped."""

    def __init__(self, destination, faults):
        super().__init__(daemon=True)
        self._destination = destination
        self._faults = faults
        self._stopped = threading.Event()
        self.count = 0

    def run(self):
        while not self._stopped.wait(self._faults.between(LIFE_S)):
            self._destination.die()
            self.count += 1
            self._stopped.wait(self._faults.between(DEATH_S))
            self._destination.start()

    def stop(self):
        """Returns once the destination lives for good."""
        self._stopped.set()
        self.join()
