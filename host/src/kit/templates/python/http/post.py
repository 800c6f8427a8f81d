"""One HTTP POST over wasi:http, with a deadline for all of it."""

from urllib.parse import urlsplit

from componentize_py_types import Err
from wit_world.imports import monotonic_clock, outgoing_handler, poll
from wit_world.imports.wasi_http_types import (
    Fields,
    Method_Post,
    OutgoingBody,
    OutgoingRequest,
    Scheme_Http,
    Scheme_Https,
)

SCHEMES = {"http": Scheme_Http, "https": Scheme_Https}


class Failed(Exception):
    """There is no answer. The message says why."""


def post(url: str, headers: dict[str, str], body: bytes, timeout_ms: int) -> tuple[int, str | None]:
    """Returns the status of the answer and its `Retry-After`."""
    with monotonic_clock.subscribe_duration(timeout_ms * 1_000_000) as deadline:
        try:
            return _post(url, headers, body, deadline)
        except Err as error:
            raise Failed(str(error.value)) from error


def split(url: str) -> tuple[str, str, str]:
    """The scheme, the authority and the path of a URL."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise ValueError(f"{url!r} is no URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.netloc, path


def _post(url, headers, body, deadline):
    scheme, authority, path = split(url)
    fields = [(name, value.encode()) for name, value in headers.items()]
    fields.append(("content-length", str(len(body)).encode()))
    request = OutgoingRequest(Fields.from_list(fields))
    request.set_method(Method_Post())
    request.set_scheme(SCHEMES[scheme]())
    request.set_authority(authority)
    request.set_path_with_query(path)
    outgoing = request.body()
    with outgoing_handler.handle(request, None) as answer:
        _send(outgoing, body, answer, deadline)
        _wait([answer], deadline)
        # The outer result is about `get` itself, the inner one about HTTP.
        result = answer.get().value
        if isinstance(result, Err):
            raise result
        with result.value as response:
            return response.status(), _retry_after(response)


def _send(outgoing, body, answer, deadline):
    rest = memoryview(body)
    with outgoing.write() as stream:
        while rest:
            # A server may answer, or break off, before it has read everything.
            if _wait([stream, answer], deadline) == [1]:
                return
            try:
                size = stream.check_write()
                stream.write(bytes(rest[:size]))
            except Err:
                # The answer says why.
                return
            rest = rest[size:]
    OutgoingBody.finish(outgoing, None)


def _wait(waited_for, deadline):
    """Waits for one of several things, and returns the places of those that are ready."""
    pollables = [it.subscribe() for it in waited_for]
    try:
        ready = poll.poll([*pollables, deadline])
    finally:
        for pollable in pollables:
            pollable.__exit__(None, None, None)
    if ready == [len(pollables)]:
        raise Failed("no answer in time")
    return ready


def _retry_after(response):
    with response.headers() as headers:
        values = headers.get("retry-after")
    return values[0].decode("latin-1").strip() if values else None
