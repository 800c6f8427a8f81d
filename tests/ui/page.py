"""What the tests of the web page share: a cluster, a browser, and what it may do."""

import os
import re
import threading
import unittest

from playwright.sync_api import sync_playwright

from cluster import DEFAULT, Cluster, of_stream

VIEWS = [
    ("cluster", "Cluster"), ("flow", "Flow"), ("plugins", "Plugins"),
    ("dead-letters", "Dead letters"), ("tail", "Live tail"),
]
# What Chromium writes to the console when an answer has such a status.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 40[134]")


def chromium(playwright):
    return playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])


class Sender:
    """Sends messages to the leader of a stream until it is told to stop."""

    def __init__(self, cluster, client=None, stream=DEFAULT):
        self.cluster = cluster
        self.client = client
        self.stream = stream
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopping.wait(0.05):
            leader = self.cluster.leader(stream=self.stream)
            if leader:
                number += 1
                body = "\n".join(
                    f'{{"body":"message {number}","severity":"{severity}","shop":"berlin"}}'
                    for severity in ("info", "error"))
                leader.post(
                    of_stream(self.stream, "/api/v1/logs"), body, "application/x-ndjson", self.client)

    def stop(self):
        self.stopping.set()
        self.thread.join()


class PageTest(unittest.TestCase):
    """
    Tests of a page. Each of them fails if the browser complains of anything, or asks
    another server than the nodes that were opened.
    """

    clients = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(os.environ["BUILT"], cls.clients)
        cls.addClassCleanup(cls.cluster.end)
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.browser = chromium(cls.playwright)
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.context = self.browser.new_context(viewport={"width": 1280, "height": 900})
        self.addCleanup(self.context.close)
        self.page = self.context.new_page()
        self.complaints, self.origins, self.elsewhere, self.urls = [], ["data:"], [], []
        self.page.on("request", self.watch)
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def watch(self, request):
        self.urls.append(request.url)
        if not request.url.startswith(tuple(self.origins)):
            self.elsewhere.append(request.url)

    def open(self, node, view="cluster", host="127.0.0.1"):
        """Shows the page of a node. Only nodes that were opened may be asked."""
        self.origins.append(node.url("/", host))
        self.page.goto(node.url(f"/ui/#/{view}", host))

    def enter_token(self, token):
        """Gives the page a token to read with."""
        self.page.get_by_role("button", name=re.compile("^Token")).click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Token", exact=True).fill(token)
        dialog.get_by_role("button", name="Use").click()

    def row(self, name):
        rows = self.page.get_by_role("region", name="Nodes").get_by_role("row")
        header = self.page.get_by_role("rowheader", name=re.compile(rf"^{name}\b"))
        return rows.filter(has=header)

    def expect_refusals(self):
        """Refusals have been a part of the test."""
        self.complaints[:] = [text for text in self.complaints if not REFUSED.match(text)]

    def kept(self):
        """What the page keeps in the browser."""
        return self.page.evaluate("JSON.stringify([sessionStorage, localStorage, document.cookie])")

    def tearDown(self):
        self.assertEqual(self.complaints, [])
        self.assertEqual(self.elsewhere, [])
