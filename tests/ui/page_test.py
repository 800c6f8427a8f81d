"""The web page in a real browser, against three real nodes."""

import os
import re
import threading
import time
import unittest

from playwright.sync_api import expect, sync_playwright

from cluster import Cluster, until

VIEWS = [
    ("cluster", "Cluster"), ("flow", "Flow"), ("plugins", "Plugins"),
    ("dead-letters", "Dead letters"), ("tail", "Live tail"),
]
# What Chromium writes to the console when an answer has such a status.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 40[134]")


class Sender:
    """Sends messages to the leader until it is told to stop."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopping.wait(0.05):
            leader = self.cluster.leader()
            if leader:
                number += 1
                body = "\n".join(
                    f'{{"body":"message {number}","severity":"{severity}","shop":"berlin"}}'
                    for severity in ("info", "error"))
                leader.post("/api/v1/logs", body, "application/x-ndjson")

    def stop(self):
        self.stopping.set()
        self.thread.join()


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(os.environ["BUILT"])
        cls.addClassCleanup(cls.cluster.end)
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.browser = cls.playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.context = self.browser.new_context(viewport={"width": 1280, "height": 900})
        self.addCleanup(self.context.close)
        self.page = self.context.new_page()
        self.complaints, self.origins, self.elsewhere = [], ["data:"], []
        self.page.on("request", self.watch)
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def watch(self, request):
        if not request.url.startswith(tuple(self.origins)):
            self.elsewhere.append(request.url)

    def open(self, node, view="cluster", host="127.0.0.1"):
        """Shows the page of a node. Only nodes that were opened may be asked."""
        self.origins.append(node.url("/", host))
        self.page.goto(node.url(f"/ui/#/{view}", host))

    def row(self, name):
        rows = self.page.get_by_role("region", name="Nodes").get_by_role("row")
        header = self.page.get_by_role("rowheader", name=re.compile(rf"^{name}\b"))
        return rows.filter(has=header)

    def tearDown(self):
        self.assertEqual(self.complaints, [])
        self.assertEqual(self.elsewhere, [])

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

    def test_4_an_action_says_what_it_does_and_is_refused_without_a_token(self):
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
        expect(dialog.get_by_role("alert")).to_be_visible()
        until("it is refused", lambda: any(REFUSED.match(text) for text in self.complaints))
        self.complaints[:] = [text for text in self.complaints if not REFUSED.match(text)]
        kept = self.page.evaluate("JSON.stringify([sessionStorage, localStorage, document.cookie])")
        self.assertNotIn("guessed", kept)
        self.assertEqual(leader.status()["epoch"], epoch)
        self.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(self.page.get_by_role("button", name="Step down…")).to_be_focused()

    def test_5_a_page_of_another_host_is_told_why_it_sees_nothing(self):
        self.open(self.cluster.nodes[0], host="other.localhost")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(
            "This node does not show its data here")
        self.complaints[:] = [text for text in self.complaints if not REFUSED.match(text)]

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
        self.page.get_by_role("button", name="Pause").click()
        expect(self.page.get_by_role("button", name="Resume")).to_be_visible()
        shown = rows.nth(1).inner_text()
        time.sleep(1)
        self.assertEqual(rows.nth(1).inner_text(), shown, "nothing moves while it is paused")

    def test_7_keyboard_and_narrow_screens(self):
        self.page.set_viewport_size({"width": 390, "height": 800})
        self.open(self.cluster.nodes[0])
        self.page.get_by_role("heading", level=1).wait_for()
        for path, title in VIEWS[:4]:
            self.page.goto(self.cluster.nodes[0].url(f"/ui/#/{path}"))
            expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
            width = self.page.evaluate("document.documentElement.scrollWidth")
            self.assertLessEqual(width, 390, f"{path} is wider than the screen")
        self.page.goto(self.cluster.nodes[0].url("/ui/#/cluster"))
        self.page.keyboard.press("Tab")
        self.page.keyboard.press("Tab")
        self.assertNotEqual(self.page.evaluate("document.activeElement.tagName"), "BODY")

    def test_8_a_take_over_is_shown_within_two_seconds(self):
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
