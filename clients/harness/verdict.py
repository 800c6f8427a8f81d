"""Compares what a client believes with what the sinks have."""

import re
from collections import Counter
from dataclasses import dataclass

from .cluster import REFUSED_EACH

# At most one repeat for so many messages.
REPEATS_MAX_SHARE = 10
_MESSAGE = re.compile(r"Message: (\d+) ([\w-]+)")


def numbers_by_client(texts):
    """How often each message occurs in these texts, by the client's name."""
    found = {}
    for text in texts:
        for number, name in _MESSAGE.findall(text):
            found.setdefault(name, Counter())[int(number)] += 1
    return found


@dataclass
class Verdict:
    scenario: str
    client: str
    version: str
    sent: int
    believed: int
    delivered: int
    # Believed, and neither delivered nor known to be refused.
    lost: list
    # Neither believed nor delivered: it told its user, or had no more time.
    given_up: int
    # Not believed, and delivered nevertheless.
    doubted: int
    # Deliveries beyond the first one of each message.
    repeated: int
    # Refused by the sink, and in an answer or a dead letter.
    refused_known: int
    trouble: str

    def is_good(self, promise, scenario):
        """`promise` is that of the client. Fails also if nothing arrives, if the
        client is told that most has failed which has not, or if it is made to send
        again and again. A sink that refuses is a reason to call a whole batch a
        failure."""
        holds = promise == "answer" or (promise == "connection" and scenario.spares_the_node)
        is_misled = not scenario.refuses and 2 * self.doubted > self.sent
        is_lossy = holds and self.lost
        is_flooded = REPEATS_MAX_SHARE * self.repeated > self.sent
        return self.delivered > 0 and not (self.trouble or is_misled or is_lossy or is_flooded)


def judge(name, refuses, run, output, letters, trouble):
    """`name` is the scenario's, and `refuses` whether its sink does. `output` and
    `letters` are this client's, as counts by number."""
    client, report = run.client, run.report()
    to_refuse = {n for n in report.sent if n % REFUSED_EACH == 0} if refuses else set()
    known = to_refuse & (letters.keys() | report.refused)
    if client.refusals == "answer":
        known |= to_refuse & (report.believed | report.failed.keys())
    known -= output.keys()
    lost = report.believed - output.keys() - known
    unsure = report.sent - report.believed
    return Verdict(
        scenario=name,
        client=client.name,
        version=run.version,
        sent=len(report.sent),
        believed=len(report.believed),
        delivered=len(output),
        lost=sorted(lost),
        given_up=len(unsure - output.keys() - known),
        doubted=len(unsure & output.keys()),
        repeated=sum(output.values()) - len(output),
        refused_known=len(known),
        trouble=trouble,
    )


def table(verdicts):
    """The verdicts as a table in Markdown."""
    head = ("scenario", "client", "version", "sent", "believed", "delivered", "lost",
            "given up", "doubted", "repeated", "refused, known", "")
    rows = [head, tuple("-" for _ in head)]
    for one in verdicts:
        rows.append((one.scenario, one.client, one.version, one.sent, one.believed,
                     one.delivered, len(one.lost), one.given_up, one.doubted, one.repeated,
                     one.refused_known, one.trouble))
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        fill = "-" if row[0] == "-" else " "
        cells = [str(cell).ljust(width, fill) for cell, width in zip(row, widths)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
