"""Numbered messages for a client to send, and the words in which it reports."""

import os
import re
import sys
import threading
import time

HOST = os.environ.get("SLUICE_HOST", "127.0.0.1")
PORT = int(os.environ.get("SLUICE_PORT", "3000"))
NAME = os.environ.get("CLIENT_NAME", "client")
COUNT = int(os.environ.get("COUNT", "100"))
PAUSE_S = int(os.environ.get("PAUSE_MS", "20")) / 1000

_lock = threading.Lock()
_number = re.compile(r"Message: (\d+) ")


def say(word, number, reason=""):
    line = f"{word} {number} {reason}".strip().replace("\n", " ")
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def messages():
    """Yields number and text, one each pause, and reports each as sent. If the
    client blocks, the next ones come at once, as in a program that has not
    waited."""
    due = time.monotonic()
    for number in range(1, COUNT + 1):
        time.sleep(max(0, due - time.monotonic()))
        due += PAUSE_S
        say("sent", number)
        yield number, f"Message: {number} {NAME}"


def number_of(text):
    """The number of the message in this text."""
    found = _number.search(str(text) + " ")
    return int(found[1]) if found else None


def numbers_of(text):
    """The numbers of all messages in this text."""
    return [int(number) for number in _number.findall(str(text))]


def believed(number):
    say("believed", number)


def failed(number, reason=""):
    say("failed", number, str(reason)[:300])


def refused(number):
    say("refused", number)
