"""The web page in a real browser, against three real nodes."""

import re
import time
import unittest

from playwright.sync_api import expect

from cluster import until
from page import REFUSED, VIEWS, PageTest, Sender


class ViewsTest(PageTest):
    def test_1_every_node_shows_every_view_of_the_cluster(self):
        leader = until("a node leads", self.cluster.leader)
        for node in self.cluster.nodes:
            self.open(node)
            for other in self.cluster.nodes:
                role = "leader" if other is leader else "follower"
                expect(self.row(other.name)).to_contain_text(role)
                expect(self.row(other.name)).to_contain_text("healthy")
            for path, title in VIEWS:
                self.page.get_by_role("link", name=title, exact=True).click()
                expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
                self.assertIn(f"#/{path}", self.page.url)

    def test_2_plots_move(self):
        sender = Sender(self.cluster)
        self.addCleanup(sender.stop)
        self.open(self.cluster.nodes[0], "flow")
        received = self.page.get_by_role("figure", name="Received")
        expect(received).to_contain_text(re.compile(r"native\s*[1-9]"), timeout=20_000)
        drawn = received.locator("canvas").evaluate("canvas => canvas.toDataURL()")
        until("the plot is drawn anew", lambda: drawn != received.locator("canvas").evaluate(
            "canvas => canvas.toDataURL()"), 15)
        # They follow what the nodes do, and not only the time.
        for title in ("Delivered", "Write latency", "Time to acknowledgement"):
            expect(self.page.get_by_role("figure", name=title)).to_contain_text(
                re.compile(r"[1-9]"))
        self.page.get_by_label("Node").select_option(self.cluster.followers()[0].name)
        expect(received).not_to_contain_text("native")
        self.page.get_by_label("Node").select_option("")
        sender.stop()
        expect(received).to_contain_text(re.compile(r"native\s*0"), timeout=20_000)

    def test_3_dead_letters_are_listed_and_shown_with_their_reason(self):
        leader = until("a node leads", self.cluster.leader)
        sender = Sender(self.cluster)
        self.addCleanup(sender.stop)
        # The text makes the sink fail; the attribute must stay text.
        record = '{"body":"trap","note":"<b>bold</b>"}'
        self.assertEqual(leader.post("/api/v1/logs", record, "application/x-ndjson"), 200)
        self.open(self.cluster.followers()[0], "dead-letters")
        row = self.page.get_by_role("region", name="Dead letters").get_by_role("row").nth(1)
        expect(row).to_contain_text("trap")
        expect(row).to_contain_text("poison")
        row.get_by_role("button").click()
        shown = self.page.get_by_label("Text of the record")
        expect(shown).to_have_text("trap")
        expect(self.page.get_by_text("<b>bold</b>", exact=True)).to_be_visible()
        self.page.get_by_label("Record contains").fill("nothing has this")
        self.page.get_by_role("button", name="Apply").click()
        expect(self.page.get_by_text("No dead letter matches.")).to_be_visible()

    def test_4_an_action_says_what_it_does_and_is_refused_without_tokens(self):
        leader = until("a node leads", self.cluster.leader)
        epoch = leader.status()["epoch"]
        self.open(self.cluster.nodes[0])
        self.page.get_by_role("button", name="Step down…").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"{leader.name} stops accepting requests")
        dialog.get_by_role("button", name="Step down").click()
        expect(dialog.get_by_role("alert")).to_contain_text("token of scope admin")
        dialog.get_by_label("Token of scope admin").fill("guessed")
        dialog.get_by_role("button", name="Step down").click()
        expect(dialog.get_by_role("alert")).to_contain_text("this node has no --tokens")
        until("it is refused", lambda: any(REFUSED.match(text) for text in self.complaints))
        self.expect_refusals()
        self.assertNotIn("guessed", self.kept())
        self.assertEqual(leader.status()["epoch"], epoch)
        self.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(self.page.get_by_role("button", name="Step down…")).to_be_focused()

    def test_5_a_page_of_another_host_is_told_why_it_sees_nothing(self):
        self.open(self.cluster.nodes[0], host="other.localhost")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(
            "This node does not show its data here")
        expect(self.page.get_by_role("main")).to_contain_text("ssh -L")
        self.expect_refusals()

    def test_6_the_tail_filters(self):
        sender = Sender(self.cluster)
        self.addCleanup(sender.stop)
        self.open(self.cluster.followers()[0], "tail")
        rows = self.page.get_by_role("region", name="Records, the latest first").get_by_role("row")
        expect(rows.filter(has_text="info").first).to_be_visible(timeout=10_000)
        expect(rows.filter(has_text="delivered").first).to_be_visible()
        self.page.get_by_label("Severity at least").select_option("error")
        self.page.get_by_role("button", name="Apply").click()
        expect(rows.filter(has_text="error").first).to_be_visible(timeout=10_000)
        expect(rows.filter(has_text="info")).to_have_count(0)
        self.page.get_by_label("Attribute").fill("shop=paris")
        self.page.get_by_role("button", name="Apply").click()
        expect(self.page.get_by_text("Waiting for records that match.")).to_be_visible()
        self.page.get_by_label("Attribute").fill("shop=berlin")
        self.page.get_by_role("button", name="Apply").click()
        expect(rows.filter(has_text="error").first).to_be_visible(timeout=10_000)
        self.page.get_by_label("Text contains").fill("message 0")
        self.page.get_by_role("button", name="Apply").click()
        expect(self.page.get_by_text("Waiting for records that match.")).to_be_visible()
        self.page.get_by_label("Text contains").fill("7")
        self.page.get_by_role("button", name="Apply").click()
        expect(rows.nth(2)).to_be_visible(timeout=10_000)
        for text in rows.all_inner_texts()[1:]:
            self.assertRegex(text, r"message \d*7\d*\b")

    def test_7_the_tail_is_paused_and_goes_on(self):
        sender = Sender(self.cluster)
        self.addCleanup(sender.stop)
        self.open(self.cluster.followers()[0], "tail")
        rows = self.page.get_by_role("region", name="Records, the latest first").get_by_role("row")
        latest = lambda: int(re.search(r"message (\d+)", rows.nth(1).inner_text())[1])
        expect(rows.nth(1)).to_be_visible(timeout=10_000)
        begun = latest()
        until("it moves", lambda: latest() > begun)
        self.page.get_by_role("button", name="Pause").click()
        expect(self.page.get_by_role("button", name="Resume")).to_be_visible()
        expect(self.page.get_by_role("main")).to_contain_text("paused")
        paused = latest()
        # As long as it would take for many to appear.
        time.sleep(1)
        self.assertEqual(latest(), paused, "nothing moves while it is paused")
        self.page.get_by_role("button", name="Resume").click()
        until("it goes on", lambda: latest() > paused + 5)
        # What passed meanwhile is there.
        expect(rows.filter(has_text=re.compile(rf"message {paused + 1}(?!\d)")).first).to_be_visible()

    def test_8_keyboard_and_narrow_screens(self):
        self.page.set_viewport_size({"width": 390, "height": 800})
        self.open(self.cluster.nodes[0])
        self.page.get_by_role("heading", level=1).wait_for()
        for path, title in VIEWS:
            self.page.goto(self.cluster.nodes[0].url(f"/ui/#/{path}"))
            expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
            width = self.page.evaluate("document.documentElement.scrollWidth")
            self.assertLessEqual(width, 390, f"{path} is wider than the screen")
        self.page.goto(self.cluster.nodes[0].url("/ui/#/cluster"))
        self.page.keyboard.press("Tab")
        self.page.keyboard.press("Tab")
        self.assertNotEqual(self.page.evaluate("document.activeElement.tagName"), "BODY")

    def test_9_a_take_over_is_shown_within_two_seconds(self):
        leader = until("a node leads", self.cluster.leader)
        epoch = leader.status()["epoch"]
        self.open(self.cluster.followers()[0])
        expect(self.row(leader.name)).to_contain_text("leader")
        leader.kill()
        after = until("another node leads", lambda: self.cluster.leader(after=epoch))
        begun = time.monotonic()
        expect(self.row(after.name)).to_contain_text("leader", timeout=2000)
        print(f"\na take-over was shown {time.monotonic() - begun:.2f} s after it", flush=True)
        new_epoch = after.status()["epoch"]
        self.page.get_by_text("As a table").click()
        tenures = self.page.get_by_role("region", name="Epochs, the latest first")
        expect(tenures.get_by_role("row").nth(1)).to_contain_text(f"{new_epoch}")
        expect(tenures.get_by_role("row").nth(1)).to_contain_text(after.name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
