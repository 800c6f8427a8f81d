"""The verdict sees what a trial is for."""

import unittest
from collections import Counter
from types import SimpleNamespace

from harness.destination import BAD_EACH, Destination
from harness.verdict import LEAST_ACKNOWLEDGED, judge


def trial(acknowledged, rejected, stored, unknown=()):
    destination = Destination(None)
    destination.stored.add(stored)
    senders = SimpleNamespace(
        acknowledged=set(acknowledged),
        rejected={number: "why" for number in rejected},
        unknown=set(unknown),
        again=0,
    )
    faults = SimpleNamespace(counts=Counter({"taken": 1, "closed": 1}))
    figures, problems, _ = judge(senders, destination, faults, 1)
    return figures, problems


class Verdict(unittest.TestCase):
    def setUp(self):
        self.good = [n for n in range(1, LEAST_ACKNOWLEDGED + 50) if n % BAD_EACH]

    def test_all_is_well(self):
        figures, problems = trial(self.good, [BAD_EACH], self.good + [1, 1, 2])
        self.assertEqual(problems, [])
        self.assertEqual(figures["repeats at the destination"], 3)

    def test_what_is_missing_is_named(self):
        _, problems = trial(self.good, [BAD_EACH], self.good[1:])
        self.assertEqual(problems, ["1 records are acknowledged and not there: 1, …"])

    def test_only_bad_records_may_be_rejected(self):
        _, problems = trial(self.good[1:], [BAD_EACH, 1], self.good[1:])
        self.assertEqual(len(problems), 1)
        self.assertIn("rejected, and nothing is wrong", problems[0])
        both = self.good + [BAD_EACH]
        _, problems = trial(both, [2 * BAD_EACH], both)
        self.assertEqual(len(problems), 1)
        self.assertIn("bad, and acknowledged", problems[0])

    def test_a_trial_that_shows_nothing_fails(self):
        _, problems = trial([1], [], [1], unknown=[2])
        self.assertEqual(len(problems), 3)


if __name__ == "__main__":
    unittest.main()
