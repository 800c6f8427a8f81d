"""Tests the sink without a node: `make test`."""

import unittest
from unittest import mock

import post
from app import Sink, settings, wait_ms
from componentize_py_types import Err
from wit_world.imports.sluice_sink_types import Delivery, Failure_Permanent, Failure_Retryable

LINES = b'{"body":"one"}\n{"body":"two"}\n'
URL = "http://127.0.0.1:9000/in?team=a"


def write(answer):
    """Writes a batch to a server that answers so, and returns what it got."""
    batch = mock.Mock(**{"json_lines.return_value": LINES})
    # A new object for each call, as on a node.
    Sink().open(f'{{"url": "{URL}"}}')
    with mock.patch("post.post", side_effect=[answer]) as posted:
        assert Sink().write(Delivery(epoch=1, attempt=1), batch) == []
    return posted.call_args.args


class SinkTest(unittest.TestCase):
    def failure(self, answer):
        with self.assertRaises(Err) as raised:
            write(answer)
        return raised.exception.value

    def test_a_batch_is_posted_as_ndjson(self):
        url, headers, body, timeout_ms = write((204, None))
        self.assertEqual((url, body, timeout_ms), (URL, LINES, 5000))
        self.assertEqual(headers["content-type"], "application/x-ndjson")

    def test_what_a_busy_server_does_not_take_is_tried_again(self):
        for status in (302, 401, 404, 408, 429, 500, 503):
            failure = self.failure((status, "7"))
            self.assertIsInstance(failure, Failure_Retryable, status)
            self.assertEqual(failure.value.after_ms, 7000)
        failure = self.failure(post.Failed("no answer in time"))
        self.assertIsInstance(failure, Failure_Retryable)

    def test_what_a_server_refuses_is_refused(self):
        for status in (400, 413, 422):
            self.assertIsInstance(self.failure((status, None)), Failure_Permanent, status)

    def test_retry_after_may_be_a_date(self):
        with mock.patch("time.time", return_value=784111717):
            self.assertEqual(wait_ms("Sun, 06 Nov 1994 08:49:37 GMT"), 60_000)
            self.assertEqual(wait_ms("Sun, 06 Nov 1994 08:00:00 GMT"), 0)
        self.assertIsNone(wait_ms("soon"))
        self.assertIsNone(wait_ms(None))

    def test_a_url_has_three_parts(self):
        self.assertEqual(post.split(URL), ("http", "127.0.0.1:9000", "/in?team=a"))
        self.assertEqual(post.split("https://a.example"), ("https", "a.example", "/"))

    def test_a_wrong_config_is_refused_for_good(self):
        wrong = ("", "[]", "no JSON", '{"url": "a"}', '{"url": "http://a", "timeout_ms": 0}',
                 '{"url": "http://a", "retries": 1}')
        for config in wrong:
            with self.assertRaises(Err) as raised:
                Sink().open(config)
            self.assertIsInstance(raised.exception.value, Failure_Permanent, config)
        Sink().open('{"url": "http://a", "timeout_ms": 100}')
        self.assertEqual(settings, {"url": "http://a", "timeout_ms": 100})


if __name__ == "__main__":
    unittest.main()
