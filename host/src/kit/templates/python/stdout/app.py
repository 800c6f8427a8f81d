"""Writes each record as one line on the node's stdout.

Config: {"format": "text"}, the default, or {"format": "json"}.
"""

import json
import sys

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import types

# What `open` leaves for `write`. Each call gets a new object of the class, so
# what is kept in `self` is lost.
settings = {"format": "text"}


class Sink(exports.Sink):
    def open(self, config: str) -> None:
        try:
            fields = json.loads(config or "{}")
            format = fields.get("format", "text")
            unknown = fields.keys() - {"format"}
        except (ValueError, AttributeError) as error:
            raise permanent(f"config: {error}; try {{\"format\": \"json\"}}")
        if unknown:
            raise permanent(f"config: there is no field {min(unknown)!r}, only \"format\"")
        if format not in ("text", "json"):
            raise permanent(f"config: format is {format!r}; try \"text\" or \"json\"")
        settings["format"] = format

    def write(self, delivery: types.Delivery, batch: types.Batch) -> list[types.Refusal]:
        # The host makes the lines, so Python touches no single record. Each
        # record is one line, whatever its body contains.
        lines = batch.json_lines() if settings["format"] == "json" else batch.text_lines()
        try:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise Err(types.Failure_Retryable(types.Retry(f"stdout: {error}", None)))
        # Nothing is refused: the host acknowledges all records.
        return []

    def close(self) -> None:
        pass


def permanent(reason: str) -> Err[types.Failure]:
    return Err(types.Failure_Permanent(reason))
