"""The checker finds what is missing."""

import unittest
from collections import Counter
from types import SimpleNamespace

from .client import Report
from .verdict import judge, numbers_by_client, table


def judged(report, output, letters=(), refuses=False, refusals="answer", promise="answer",
           node_lives=True):
    client = SimpleNamespace(name="x", refusals=refusals)
    run = SimpleNamespace(client=client, version="1", report=lambda: report)
    verdict = judge("s", refuses, run, Counter(output), Counter(letters), "")
    scenario = SimpleNamespace(refuses=refuses, spares_the_node=node_lives)
    return verdict, verdict.is_good(promise, scenario)


class Judge(unittest.TestCase):
    def test_what_is_believed_and_missing_is_lost(self):
        report = Report(sent={1, 2, 3}, believed={1, 2})
        verdict, is_good = judged(report, [1, 3])
        self.assertEqual(verdict.lost, [2])
        self.assertFalse(is_good)
        self.assertEqual((verdict.doubted, verdict.given_up), (1, 0))

    def test_a_client_that_waits_for_no_answer_is_promised_less(self):
        report = Report(sent={1, 2}, believed={1, 2})
        self.assertTrue(judged(report, [1], promise="none")[1])
        self.assertFalse(judged(Report(sent={1}), [], promise="none")[1])
        self.assertFalse(judged(report, [1], promise="connection")[1])
        self.assertTrue(judged(report, [1], promise="connection", node_lives=False)[1])

    def test_a_refused_message_must_be_known(self):
        report = Report(sent={9, 10}, believed={9, 10})
        self.assertTrue(judged(report, [9], refuses=True)[1])
        self.assertFalse(judged(report, [9], refuses=False)[1])
        kept = {"refuses": True, "refusals": "dead-letter"}
        self.assertFalse(judged(report, [9], **kept)[1])
        verdict, is_good = judged(report, [9], letters=[10], **kept)
        self.assertEqual((verdict.refused_known, is_good), (1, True))

    def test_a_client_must_not_be_told_that_most_has_failed(self):
        report = Report(sent={1, 2, 3}, believed={1})
        self.assertFalse(judged(report, [1, 2, 3])[1])
        self.assertTrue(judged(report, [1, 2, 3], refuses=True)[1])
        self.assertTrue(judged(report, [1, 2])[1])

    def test_repeats_are_counted(self):
        numbers = set(range(1, 21))
        report = Report(sent=numbers, believed=numbers)
        verdict, is_good = judged(report, [*numbers, 1, 1])
        self.assertEqual((verdict.repeated, is_good), (2, True))
        self.assertIn("| 2 ", table([verdict]))
        self.assertFalse(judged(report, [*numbers, 1, 1, 2])[1])

    def test_messages_are_told_apart_by_client(self):
        found = numbers_by_client(["1/2 Message: 7 a attempt 1", '{"msg":"Message: 7 b"}', "Filler"])
        self.assertEqual(found, {"a": {7: 1}, "b": {7: 1}})


if __name__ == "__main__":
    unittest.main()
