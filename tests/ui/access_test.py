"""The web page of nodes with `--tokens`: who sees what, and who may do what."""

import re
import unittest

from playwright.sync_api import expect

from cluster import token_of, until
from page import VIEWS, PageTest, Sender


class AccessTest(PageTest):
    clients = {"web": "send", "viewer": "read", "on-call": "admin"}

    def title(self, text):
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    def sees_the_cluster(self):
        self.title("Cluster")
        for node in self.cluster.nodes:
            expect(self.row(node.name)).to_contain_text("healthy")

    def test_1_without_a_token_no_node_shows_anything(self):
        for node in self.cluster.nodes:
            self.open(node)
            for path, _ in VIEWS:
                self.page.goto(node.url(f"/ui/#/{path}"))
                self.title("This node wants a token")
                expect(self.page.get_by_role("button", name="Enter a token")).to_be_visible()
                expect(self.page.get_by_role("region")).to_have_count(0)
                expect(self.page.get_by_role("banner")).to_contain_text("no access")
        self.assertTrue(self.complaints, "the browser was refused")
        self.expect_refusals()

    def test_2_a_token_that_does_not_do_is_named(self):
        self.open(self.cluster.nodes[0])
        self.title("This node wants a token")
        self.enter_token("guessed")
        self.title("This token is not known")
        expect(self.page.get_by_role("main")).to_contain_text("this node does not know this token")
        self.enter_token(token_of("web"))
        self.title("This node does not show its data here")
        expect(self.page.get_by_role("main")).to_contain_text(
            'client web may not do this: its token needs the scope "read"')
        expect(self.page.get_by_role("region")).to_have_count(0)
        self.expect_refusals()

    def test_3_a_token_to_read_with_shows_all_and_is_forgotten_with_the_tab(self):
        sender = Sender(self.cluster, "web")
        self.addCleanup(sender.stop)
        node = self.cluster.nodes[0]
        self.open(node)
        self.page.get_by_role("button", name="Enter a token").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Token", exact=True).fill(token_of("viewer"))
        self.page.keyboard.press("Enter")
        self.sees_the_cluster()
        self.expect_refusals()
        for path, title in VIEWS:
            self.page.get_by_role("link", name=title, exact=True).click()
            self.title(title)
        rows = self.page.get_by_role("region", name="Records, the latest first").get_by_role("row")
        expect(rows.nth(1)).to_contain_text("message", timeout=10_000)
        self.page.reload()
        expect(rows.nth(1)).to_contain_text("message", timeout=10_000)
        self.assertEqual([url for url in self.urls if token_of("viewer") in url], [])
        # Another tab knows nothing of it.
        other = self.context.new_page()
        other.goto(node.url("/ui/"))
        expect(other.get_by_role("heading", level=1)).to_have_text("This node wants a token")
        # What is forgotten shows nothing any more.
        self.page.get_by_role("button", name="Token ✓").click()
        self.page.get_by_role("button", name="Forget it").click()
        self.title("This node wants a token")
        expect(self.page.get_by_role("banner")).to_contain_text("no access")
        self.assertNotIn(token_of("viewer"), self.kept())
        self.expect_refusals()

    def test_4_an_action_needs_a_token_of_its_own(self):
        leader = until("a node leads", self.cluster.leader)
        epoch = leader.status()["epoch"]
        # Not the leader, which gets the order from this node.
        self.open(self.cluster.followers()[0])
        self.enter_token(token_of("viewer"))
        self.sees_the_cluster()
        self.page.get_by_role("button", name="Step down…").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text(
            f"{leader.name} stops accepting requests, finishes what it has, and releases the lock "
            f"of epoch {epoch}.")
        field = dialog.get_by_label("Token of scope admin")
        for given, answer in [
            ("", 'client viewer may not do this: its token needs the scope "admin"'),
            (token_of("viewer"), 'client viewer may not do this: its token needs the scope "admin"'),
            (token_of("web"), 'client web may not do this: its token needs the scope "admin"'),
            ("guessed", "this node does not know this token"),
        ]:
            field.fill(given)
            dialog.get_by_role("button", name="Step down").click()
            expect(dialog.get_by_role("alert")).to_contain_text(answer)
        self.assertEqual(leader.status()["epoch"], epoch)
        self.expect_refusals()
        field.fill(token_of("on-call"))
        dialog.get_by_role("button", name="Step down").click()
        expect(dialog.get_by_role("alert")).to_contain_text(
            f"{leader.name} hands over epoch {epoch}", timeout=30_000)
        dialog.get_by_role("button", name="Close").click()
        after = until("another node leads", lambda: self.cluster.leader(after=epoch))
        self.assertIsNot(after, leader)
        expect(self.row(after.name)).to_contain_text("leader", timeout=2000)
        expect(self.row(leader.name)).to_contain_text("follower")
        self.assertNotIn(token_of("on-call"), self.kept())
        expect(self.page.get_by_role("banner")).to_contain_text(
            re.compile(rf"{after.name} leads, epoch {after.status()['epoch']}"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
