"""Posts each batch as NDJSON to a URL.

Config: {"url": "https://logs.example.com/in", "timeout_ms": 5000}
"""

import json
import time
from email.utils import parsedate_to_datetime

import post
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import sluice_sink_types as types

HEADERS = {"content-type": "application/x-ndjson"}
# Wrong credentials, a wrong address and a busy server are no fault of the
# records, and can be mended while they wait.
RETRIED = (401, 403, 404, 407, 408, 425, 429)

# What `open` leaves for `write`. Each call gets a new object of the class, so
# what is kept in `self` is lost.
settings = {"url": "", "timeout_ms": 5000}


class Sink(exports.Sink):
    def open(self, config: str) -> None:
        try:
            settings.update(read_config(config))
        except (ValueError, TypeError) as error:
            raise permanent(f"config: {error}; try {{\"url\": \"http://127.0.0.1:9000/\"}}")

    def write(self, delivery: types.Delivery, batch: types.Batch) -> list[types.Refusal]:
        url, timeout_ms = settings["url"], settings["timeout_ms"]
        try:
            status, retry_after = post.post(url, HEADERS, batch.json_lines(), timeout_ms)
        except post.Failed as error:
            raise retryable(f"{url}: {error}")
        if 200 <= status < 300:
            # Nothing is refused: the host acknowledges all records.
            return []
        reason = f"{url} answered {status}"
        if 400 <= status < 500 and status not in RETRIED:
            raise permanent(reason)
        raise retryable(reason, wait_ms(retry_after))

    def close(self) -> None:
        pass


def read_config(text: str) -> dict[str, str | int]:
    config = {"timeout_ms": 5000} | json.loads(text or "{}")
    if unknown := config.keys() - {"url", "timeout_ms"}:
        raise ValueError(f"unknown field {min(unknown)!r}")
    if not isinstance(config.get("url"), str):
        raise ValueError("there is no url")
    post.split(config["url"])
    if type(config["timeout_ms"]) is not int or config["timeout_ms"] < 1:
        raise ValueError("timeout_ms is not a positive number")
    return config


def wait_ms(retry_after: str | None) -> int | None:
    """What `Retry-After` says: seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return min(int(retry_after), 86_400) * 1000
    try:
        left = parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0, int(left * 1000))


def permanent(reason: str) -> Err[types.Failure]:
    return Err(types.Failure_Permanent(reason))


def retryable(reason: str, after_ms: int | None = None) -> Err[types.Failure]:
    return Err(types.Failure_Retryable(types.Retry(reason, after_ms)))
