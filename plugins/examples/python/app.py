"""Writes severe records as lines, such as: WARN disk almost full

Config: {"min": "warn"}, the lowest severity that is kept.
"""

import json
import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import Failure_Permanent, Severity

settings = {"min": Severity.WARN}


class Sink(exports.Sink):
    def open(self, config):
        try:
            fields = {"min": "warn"} | json.loads(config or "{}")
            settings["min"] = Severity[fields.pop("min").upper()]
            if fields:
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Err(Failure_Permanent(f'config: {config} is wrong; try {{"min": "warn"}}'))

    def write(self, delivery, batch):
        records = zip(batch.severities(), batch.text_lines().split(b"\n"))
        kept = [(s.name.encode(), line) for s, line in records if s.value >= settings["min"].value]
        sys.stdout.buffer.write(b"".join(b"%s %s\n" % record for record in kept))
        sys.stdout.buffer.flush()
        return []

    def close(self):
        pass
