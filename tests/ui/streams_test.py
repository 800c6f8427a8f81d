"""The web page of a cluster with several streams."""

import re
import unittest

from playwright.sync_api import expect

from cluster import token_of, until
from page import VIEWS, PageTest, Sender


class StreamsTest(PageTest):
    clients = {
        "web": "send", "viewer": "read", "on-call": "admin", "auditor": "read audit",
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.ask(stream="audit")
        cls.cluster.ask(stream="broken", source="file:///no/such/sink.wasm")
        until("audit is led", lambda: cls.cluster.leader(stream="audit"))
        for stream in ("audit", "broken"):
            until("all nodes have it", lambda: all(
                node.status(stream) for node in cls.cluster.nodes))

    def open_as(self, client, view="cluster"):
        self.open(self.cluster.nodes[0], view)
        expect(self.page.get_by_role("heading", level=1)).to_have_text("This node wants a token")
        self.enter_token(token_of(client))
        # Until it has one, it is refused.
        expect(self.page.get_by_role("heading", level=1)).not_to_have_text(
            "This node wants a token")
        self.expect_refusals()

    def stream(self):
        return self.page.get_by_role("banner").get_by_label("Stream")

    def streams(self):
        return self.page.get_by_role("region", name="Streams").get_by_role("row")

    def epochs(self):
        """The rows of who led when, without their head."""
        table = self.page.get_by_role("region", name="Epochs, the latest first")
        if not table.is_visible():
            self.page.get_by_text("As a table").click()
        return table.get_by_role("row").filter(has=self.page.get_by_role("rowheader"))

    def test_1_streams_are_listed_with_what_is_wrong(self):
        self.open_as("viewer")
        rows = self.streams()
        expect(rows).to_have_count(4)
        # What has a problem comes first.
        expect(rows.nth(1)).to_contain_text("broken")
        expect(rows.nth(1)).to_contain_text("no leader")
        expect(rows.nth(1)).to_contain_text("a, sink: ")
        expect(rows.nth(1)).to_contain_text("0 of 3 able")
        for stream in ("default", "audit"):
            row = rows.filter(has_text=stream)
            leader = until("it is led", lambda: self.cluster.leader(stream=stream))
            expect(row).to_contain_text("healthy")
            expect(row).not_to_contain_text("able")
            expect(row).to_contain_text("misbehave.wasm")
            expect(row.get_by_role("cell").first).to_contain_text(leader.name)
            expect(row).to_contain_text(str(leader.status(stream)["tenure"]))
        self.page.get_by_role("link", name="broken", exact=True).click()
        expect(self.page.get_by_role("region", name="Problems")).to_contain_text("No node leads")

    def test_2_the_stream_is_chosen_and_is_in_the_link(self):
        self.open_as("viewer")
        expect(self.stream()).to_have_value("default")
        self.stream().focus()
        self.stream().select_option("audit")
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Cluster")
        expect(self.stream()).to_be_focused()
        leader = until("audit is led", lambda: self.cluster.leader(stream="audit"))
        expect(self.row(leader.name)).to_contain_text("leader")
        expect(self.page.get_by_role("banner")).to_contain_text(f"{leader.name} leads")
        for path, title in VIEWS:
            self.page.get_by_role("link", name=title, exact=True).click()
            expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
            self.assertTrue(self.page.url.endswith(f"#/{path}?stream=audit"), self.page.url)
        self.page.reload()
        expect(self.stream()).to_have_value("audit")
        self.stream().select_option("default")
        self.assertTrue(self.page.url.endswith("#/tail"), self.page.url)
        self.page.go_back()
        expect(self.stream()).to_have_value("audit")

    def test_3_every_view_is_about_the_stream(self):
        sender = Sender(self.cluster, "web", "audit")
        self.addCleanup(sender.stop)
        leader = until("audit is led", lambda: self.cluster.leader(stream="audit"))
        status = leader.post(
            "/streams/audit/api/v1/logs", '{"body":"trap"}', "application/x-ndjson", "web")
        self.assertEqual(status, 200)
        self.open_as("viewer", "dead-letters?stream=audit")
        letters = self.page.get_by_role("region", name="Dead letters, the latest first")
        expect(letters.get_by_role("row").nth(1)).to_contain_text("trap")
        self.stream().select_option("default")
        expect(self.page.get_by_text("There are no dead letters.")).to_be_visible()

        self.page.get_by_role("link", name="Live tail", exact=True).click()
        expect(self.page.get_by_text("Waiting for records that match.")).to_be_visible()
        self.stream().select_option("audit")
        records = self.page.get_by_role("region", name="Records, the latest first")
        expect(records.get_by_role("row").filter(has_text="message").first).to_be_visible(
            timeout=10_000)

        self.page.get_by_role("link", name="Flow", exact=True).click()
        received = self.page.get_by_role("figure", name="Received")
        expect(received).to_contain_text(re.compile(r"native\s*[1-9]"), timeout=20_000)
        self.stream().select_option("default")
        expect(received).not_to_contain_text("native")

        self.page.get_by_role("link", name="Plugins", exact=True).click()
        self.stream().select_option("broken")
        expect(self.page.get_by_role("main")).to_contain_text("file:///no/such/sink.wasm")

    def test_4_an_action_is_about_the_stream_that_it_names(self):
        before = until("audit is led", lambda: self.cluster.leader(stream="audit"))
        epoch = before.status("audit")["tenure"]
        self.open_as("viewer", "cluster?stream=audit")
        self.page.get_by_role("button", name="Step down…").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text("This is about the stream audit.")
        expect(dialog).to_contain_text(f"releases the lock of epoch {epoch}.")
        dialog.get_by_label("Token of scope admin").fill(token_of("on-call"))
        dialog.get_by_role("button", name="Step down").click()
        expect(dialog.get_by_role("alert")).to_contain_text(
            f"{before.name} hands over epoch {epoch}", timeout=30_000)
        dialog.get_by_role("button", name="Close").click()
        after = until("another node leads", lambda: self.cluster.leader(epoch, "audit"))
        self.assertIsNot(after, before)
        expect(self.row(after.name)).to_contain_text("leader")
        latest = after.status("audit")["tenure"]
        expect(self.epochs().first).to_contain_text(f"{latest}{after.name}")
        expect(self.epochs().nth(1)).to_contain_text(f"{epoch}{before.name}")
        # Nothing of that is said of the other stream, which may have moved meanwhile.
        self.stream().select_option("default")

        def is_shown():
            leader = self.cluster.leader()
            led = leader and f"{leader.status()['tenure']}{leader.name}"
            return led and led in self.epochs().first.text_content()
        until("who leads the default stream is shown", is_shown)
        shown = self.epochs().get_by_role("rowheader").all_inner_texts()
        self.assertFalse({str(epoch), str(latest)} & set(shown), shown)

    def test_5_a_stream_that_is_not_there_is_said_not_to_be(self):
        self.open_as("viewer")
        for name in ("nothing", "..", "%20%C3%A4%0A"):
            self.page.goto(self.cluster.nodes[0].url(f"/ui/#/cluster?stream={name}"))
            expect(self.page.get_by_role("heading", level=1)).to_have_text(
                "There is no such stream")
            self.page.get_by_role("link", name="All streams").click()
            expect(self.streams()).to_have_count(4)
        self.expect_refusals()

    def test_6_a_token_for_one_stream_shows_that_one(self):
        self.open_as("auditor")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(
            "This node does not show its data here")
        self.stream().select_option("audit")
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Cluster")
        rows = self.streams()
        expect(rows.filter(has_text="audit")).to_contain_text("healthy")
        expect(rows.filter(has_text="default")).to_contain_text("unknown")
        self.expect_refusals()


if __name__ == "__main__":
    unittest.main(verbosity=2)
