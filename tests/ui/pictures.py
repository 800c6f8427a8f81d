"""Takes the pictures of docs/operating.md, of a cluster with traffic."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from cluster import Cluster, fetch, until
from page import chromium
from traffic import WITHOUT_TOTAL, Traffic, journal, serve_store, stop_store

STORE_PORT = 9200
STORE = f"http://127.0.0.1:{STORE_PORT}"
# How long the cluster does the same, in seconds.
PART = 45
COLOURS = 128
MOST_BYTES = 80_000
MOST_BYTES_IN_ALL = 400_000
WIDE = {"width": 1200, "height": 840}
NARROW = {"width": 390, "height": 844}


class Pictures:
    """A browser that takes pictures of a cluster."""

    def __init__(self, cluster, browser, folder):
        self.cluster = cluster
        self.browser = browser
        self.folder = folder

    def take(self, name, view, prepare=lambda page: None, dark=False, size=WIDE, height=None):
        """Takes a picture of a view, once `prepare` has made it show what it should."""
        context = self.browser.new_context(
            viewport={**size, "height": height or size["height"]}, timezone_id="UTC",
            color_scheme="dark" if dark else "light", reduced_motion="reduce")
        page = context.new_page()
        page.goto(self.cluster.nodes[0].url(f"/ui/#/{view}"))
        page.get_by_role("heading", level=1).wait_for()
        prepare(page)
        # Until what comes by and by is drawn.
        time.sleep(2.5)
        file = self.folder / f"{name}.png"
        page.screenshot(path=file)
        context.close()
        picture = Image.open(file).convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
        print(f"{file}: {file.stat().st_size} bytes", flush=True)

    def check(self):
        sizes = [file.stat().st_size for file in self.folder.glob("*.png")]
        assert max(sizes) <= MOST_BYTES, f"a picture has {max(sizes)} bytes"
        assert sum(sizes) <= MOST_BYTES_IN_ALL, f"all pictures have {sum(sizes)} bytes"


def ask(cluster, url=STORE, runs=True, **config):
    """Asks for the sink, and waits until it runs."""
    config = {**({"url": url} if url else {}), **config}
    cluster.ask(config, permissions={"http": [STORE]}, rollout={"probation_s": 5})
    if runs:
        cluster.until_asked_for_runs()


def step_down(cluster):
    variables = dict(os.environ, CONSUL_HTTP_ADDR=f"127.0.0.1:{cluster.port}")
    subprocess.run(
        [cluster.built / "debug/sluice", "step-down"], env=variables, check=True,
        stdout=subprocess.DEVNULL)


def make_history(cluster):
    """Gives the cluster something to tell: epochs, roll-outs, dead letters."""
    ask(cluster, index="logs")
    traffic = Traffic(cluster)
    time.sleep(PART)
    step_down(cluster)
    ask(cluster, index="logs-%Y.%m")
    time.sleep(PART)
    # It is taken back: the config is not complete.
    ask(cluster, url=None, runs=False, index="logs-%Y.%m.%d")
    time.sleep(PART / 2)
    ask(cluster, index="logs-%Y.%m.%d", concurrency=2)
    step_down(cluster)
    for number in range(4):
        record = ("info", "checkout", f"order {48213 + 7 * number} accepted, total is not known yet")
        traffic.send(*journal([record], total=WITHOUT_TOTAL))
    leader = until("a node leads", cluster.leader)
    broken = b'{"severity":"info","body":"order 50112 acce\n'
    fetch(leader.url("/api/v1/logs"), broken, {"content-type": "application/x-ndjson"})
    time.sleep(PART)
    return traffic


def show_letter(page):
    rows = page.get_by_role("region", name="Dead letters, the latest first").get_by_role("row")
    rows.nth(2).get_by_role("checkbox").check()
    rows.nth(3).get_by_role("checkbox").check()
    rows.nth(1).get_by_role("button").click()
    page.get_by_label("Text of the record").wait_for()


def ask_to_replay(page):
    rows = page.get_by_role("region", name="Dead letters, the latest first").get_by_role("row")
    rows.nth(2).get_by_role("checkbox").check()
    page.get_by_role("button", name="Replay…").click()


def show_changes(page):
    page.get_by_role("button", name="Show changes").first.click()


def filter_tail(page):
    page.get_by_label("Severity at least").select_option("warn")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("region", name="Records, the latest first").wait_for()
    time.sleep(6)


def show_stall(page):
    page.get_by_text("delivery stalled since").wait_for(timeout=60_000)


def take_all(cluster, folder, store):
    traffic = make_history(cluster)
    try:
        with sync_playwright() as playwright:
            browser = chromium(playwright)
            pictures = Pictures(cluster, browser, folder)
            pictures.take("cluster", "cluster")
            pictures.take("cluster-narrow", "cluster", size=NARROW)
            pictures.take("flow", "flow", height=1000)
            pictures.take("plugins", "plugins", show_changes, height=1260)
            pictures.take("dead-letters", "dead-letters", show_letter)
            pictures.take("replay", "dead-letters", ask_to_replay, dark=True, height=640)
            pictures.take("tail", "tail", filter_tail, dark=True, height=640)
            stop_store(store)
            pictures.take("stalled", "cluster", show_stall, height=720)
            browser.close()
            pictures.check()
    finally:
        traffic.stop()


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    built = Path(os.environ["BUILT"]).resolve()
    store = serve_store(STORE_PORT)
    with tempfile.TemporaryDirectory(prefix="sluice-plugins-") as plugins:
        # Its path is in the pictures.
        name = "elasticsearch.wasm"
        sink = Path(shutil.copy(built / "guests/wasm32-wasip2/release" / name, plugins))
        cluster = Cluster(
            built, nodes=("node-1", "node-2", "node-3"), sink=sink, plugin="builtin:stdout",
            flags=("--allow-http", STORE))
        try:
            take_all(cluster, folder, store)
        finally:
            cluster.end()


if __name__ == "__main__":
    main()
