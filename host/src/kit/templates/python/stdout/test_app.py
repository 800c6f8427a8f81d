"""Tests the sink without a node: `make test`."""

import io
import unittest
from unittest import mock

from app import Sink
from componentize_py_types import Err
from wit_world.imports.types import Delivery, Failure_Permanent, Failure_Retryable


class Batch:
    """A batch of two records, as the host would encode it."""

    def text_lines(self) -> bytes:
        return b"one\ntwo\n"

    def json_lines(self) -> bytes:
        return b'{"body":"one"}\n{"body":"two"}\n'


class BrokenPipe(io.BytesIO):
    def write(self, _):
        raise OSError("broken pipe")


def written(config: str, stdout: io.BytesIO) -> bytes:
    # A new object for each call, as on a node.
    Sink().open(config)
    with mock.patch("sys.stdout", mock.Mock(buffer=stdout)):
        assert Sink().write(Delivery(epoch=1, attempt=1), Batch()) == []
    return stdout.getvalue()


class SinkTest(unittest.TestCase):
    def test_each_record_is_a_line(self):
        self.assertEqual(written("", io.BytesIO()), b"one\ntwo\n")
        self.assertEqual(written('{"format": "json"}', io.BytesIO()), Batch().json_lines())

    def test_a_wrong_config_is_refused_for_good(self):
        for config in ("[]", "no JSON", '{"format": "xml"}', '{"fromat": "json"}'):
            with self.assertRaises(Err) as raised:
                Sink().open(config)
            self.assertIsInstance(raised.exception.value, Failure_Permanent, config)

    def test_a_failed_write_is_tried_again(self):
        with self.assertRaises(Err) as raised:
            written("", BrokenPipe())
        self.assertIsInstance(raised.exception.value, Failure_Retryable)


if __name__ == "__main__":
    unittest.main()
