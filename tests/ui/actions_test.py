"""What the web page does: it replays and purges dead letters, and rolls the plugin back."""

import json
import unittest

from playwright.sync_api import expect

from cluster import token_of, until
from page import PageTest, Sender

JOURNAL = "application/vnd.fdo.journal"
# The sink refuses every second one of the messages with a number.
REFUSES = "refuse 1 in 2"
AT_ONCE = {"probation_s": 0}


def order(number):
    return f"Message: {number} is an order"


class ActionsTest(PageTest):
    clients = {"web": "send", "viewer": "read", "on-call": "admin"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        leader = until("a node leads", cls.cluster.leader)
        # A message is blamed for a broken sink only once the sink has taken another one.
        sender = Sender(cls.cluster, "web")
        cls.addClassCleanup(sender.stop)
        status = leader.post("/api/v1/logs", '{"body":"trap"}', "application/x-ndjson", "web")
        assert status == 200, f"the poison was answered with {status}"
        cls.run_with(REFUSES)
        # This client can be told of no refusal, so what the sink refuses is kept.
        entries = "".join(f"MESSAGE={order(number)}\n\n" for number in range(1, 9))
        status = leader.post("/upload", entries, JOURNAL, "web")
        assert status == 200, f"the journal was answered with {status}"
        until("the refused ones are dead letters", lambda: len(cls.letters()) == 5)

    @classmethod
    def run_with(cls, config):
        cls.cluster.ask(config, rollout=AT_ONCE)
        cls.cluster.until_asked_for_runs()

    @classmethod
    def letters(cls):
        """The texts of all dead letters."""
        read = cls.cluster.nodes[0].read("/api/v1/dead-letters", "viewer")
        return sorted(letter["body"] for letter in read["letters"])

    def setUp(self):
        super().setUp()
        self.leader = until("a node leads", self.cluster.leader)
        self.open(self.cluster.followers()[0], "dead-letters")
        self.enter_token(token_of("viewer"))
        table = self.page.get_by_role("region", name="Dead letters, the latest first")
        self.rows = table.get_by_role("row")
        self.dialog = self.page.get_by_role("dialog")
        expect(self.rows.nth(1)).to_be_visible()
        self.expect_refusals()

    def filter(self, label, value):
        self.page.get_by_label(label).fill(value)
        self.page.get_by_role("button", name="Apply").click()

    def choose(self, *numbers):
        """Selects these orders, and no other letters."""
        for number in numbers:
            self.rows.filter(has_text=order(number)).get_by_role("checkbox").check()
        expect(self.page.get_by_text(f"{len(numbers)} selected")).to_be_visible()

    def act(self, verb, client):
        """Confirms the question with the token of a client."""
        self.dialog.get_by_label("Token of scope admin").fill(token_of(client))
        self.dialog.get_by_role("button", name=verb).click()

    def says(self, *texts):
        for text in texts:
            expect(self.dialog).to_contain_text(text)

    def answers(self, text):
        expect(self.dialog.get_by_role("alert")).to_contain_text(text, timeout=30_000)

    def test_1_they_are_listed_filtered_and_shown(self):
        expect(self.rows).to_have_count(6)
        self.filter("Reason contains", "refused by the sink")
        expect(self.rows).to_have_count(5)
        for row in self.rows.all()[1:]:
            expect(row).to_contain_text("refused by the sink")
            expect(row).to_contain_text(self.leader.name)
        self.filter("Record contains", order(4))
        expect(self.rows).to_have_count(2)
        self.rows.nth(1).get_by_role("button").click()
        expect(self.page.get_by_label("Text of the record")).to_have_text(order(4))
        facts = self.rows.nth(2)
        expect(facts).to_contain_text("refused by the sink")
        expect(facts).to_contain_text("misbehave.wasm")
        self.filter("Record contains", "")
        self.filter("Reason contains", "trapped")
        expect(self.rows).to_have_count(2)
        expect(self.rows.nth(1)).to_contain_text("poison")
        self.filter("Reason contains", "")
        form = self.page.get_by_role("search")
        form.get_by_label("Node").select_option(self.cluster.followers()[0].name)
        self.page.get_by_role("button", name="Apply").click()
        expect(self.page.get_by_text("No dead letter matches.")).to_be_visible()

    def test_2_a_selection_is_replayed_once_the_sink_is_well(self):
        replay = self.page.get_by_role("button", name="Replay…")
        expect(replay).to_be_disabled()
        self.choose(2, 4)
        replay.click()
        self.says(
            "Replay 2 dead letters?",
            "2 records are sent to the leader again, for the sink that runs now.",
            "Those that are rejected again stay.")
        self.act("Replay", "viewer")
        self.answers('its token needs the scope "admin"')
        self.expect_refusals()
        self.assertEqual(len(self.letters()), 5)
        # The sink is as it was.
        self.act("Replay", "on-call")
        self.answers("2 stayed; the first because refused by the sink")
        self.dialog.get_by_role("button", name="Close").click()
        self.assertEqual(len(self.letters()), 5)
        self.assertFalse(self.leader.wrote(order(2)))

        self.run_with("")
        self.choose(2, 4)
        replay.click()
        self.act("Replay", "on-call")
        self.answers("2 records were confirmed, and removed from the dead letters.")
        self.dialog.get_by_role("button", name="Close").click()
        expect(self.rows.filter(has_text=order(2))).to_have_count(0)
        expect(self.rows.filter(has_text=order(6))).to_have_count(1)
        self.assertEqual(self.letters(), [order(6), order(8), "trap"])
        for number in (2, 4):
            until("the sink has it", lambda: self.leader.wrote(order(number)))
        self.assertFalse(self.leader.wrote(order(6)))

    def test_3_another_is_purged(self):
        self.choose(6)
        purge = self.page.get_by_role("button", name="Purge…")
        purge.click()
        self.says(
            "Purge 1 dead letter?", f"1 letter is removed from {self.leader.name} for good.",
            "The records are lost: nothing else has them.")
        self.dialog.get_by_role("button", name="Cancel").click()
        expect(self.dialog).to_have_count(0)
        self.assertEqual(len(self.letters()), 3, "nothing is done without a confirmation")
        purge.click()
        self.act("Purge", "on-call")
        self.answers("1 letter was removed.")
        self.dialog.get_by_role("button", name="Close").click()
        expect(self.rows.filter(has_text=order(6))).to_have_count(0)
        self.assertEqual(self.letters(), [order(8), "trap"])
        self.assertFalse(self.leader.wrote(order(6)))

    def test_4_the_plugin_is_rolled_back(self):
        self.page.get_by_role("link", name="Plugins", exact=True).click()
        roll_out = self.page.get_by_role("region", name="Roll-out")
        expect(roll_out).to_contain_text("complete")
        expect(roll_out).to_contain_text("3 of 3 nodes have what is asked for")
        nodes = self.page.get_by_role("region", name="The sink on each node").get_by_role("row")
        for node in self.cluster.nodes:
            state = "running" if node is self.leader else "prepared"
            expect(nodes.filter(has_text=state).filter(
                has=self.page.get_by_role("rowheader", name=node.name, exact=True))
            ).to_contain_text("misbehave.wasm")
        history = self.page.get_by_role("region", name="Changes, the latest first")
        live = history.get_by_role("row").filter(has_text="live")
        expect(live).to_have_count(3)
        live.first.get_by_role("button").click()
        expect(self.page.get_by_label("Manifest", exact=True)).to_contain_text(REFUSES)
        self.page.get_by_role("button", name="Roll back…").click()
        self.says(
            "Roll the plugin back?", f"The cluster is asked for file://{self.cluster.sink}",
            "without losing a record")
        asked = self.cluster.key("plugin")
        self.act("Roll back", "viewer")
        self.answers('its token needs the scope "admin"')
        self.expect_refusals()
        self.assertEqual(self.cluster.key("plugin"), asked)
        self.act("Roll back", "on-call")
        self.answers(f"Asked for file://{self.cluster.sink}. The nodes are preparing it.")
        self.dialog.get_by_role("button", name="Close").click()
        manifest = json.loads(self.cluster.key("plugin")["Value"])
        self.assertEqual(manifest["config"], REFUSES)
        expect(live).to_have_count(4, timeout=20_000)
        self.cluster.until_asked_for_runs()


if __name__ == "__main__":
    unittest.main(verbosity=2)
