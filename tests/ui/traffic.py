"""What the pictures show: clients of several protocols, and a store for their records."""

import json
import math
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cluster import fetch

LINES = [
    ("info", "checkout", "order {n} accepted, 3 items"),
    ("info", "search", "GET /search 200 in {ms} ms"),
    ("info", "inventory", "stock of item {n} is 41"),
    ("debug", "search", "cache miss for item {n}"),
    ("warn", "inventory", "slow query: {ms}2 ms"),
    ("error", "payments", "payment of order {n} declined by the bank"),
]
# What the store cannot read.
WITHOUT_TOTAL = "n/a"
UNPARSED = {
    "status": 400,
    "error": {
        "type": "document_parsing_exception",
        "reason": "failed to parse field [attributes.total] of type [long]",
        "caused_by": {"reason": f'For input string: "{WITHOUT_TOTAL}"'},
    },
}
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


class Store(BaseHTTPRequestHandler):
    """Takes documents as Elasticsearch does, but for those with a total that is none."""

    protocol_version = "HTTP/1.1"
    # Of its answers, in seconds.
    latency = (0.002, 0.012)
    is_up = True

    def do_POST(self):
        if not Store.is_up:
            self.close_connection = True
            return
        lines = self.rfile.read(int(self.headers["content-length"])).splitlines()
        time.sleep(random.uniform(*self.latency))
        items = [self.item(json.loads(line)) for line in lines[1::2]]
        answer = json.dumps({
            "errors": any("error" in item for item in items),
            "items": [{"create": item} for item in items],
        }).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @staticmethod
    def item(document):
        is_unread = WITHOUT_TOTAL in document.get("attributes", {}).values()
        return UNPARSED if is_unread else {"status": 201}

    def log_message(self, *_):
        pass


def serve_store(port):
    """A store that serves until it is stopped."""
    store = ThreadingHTTPServer(("127.0.0.1", port), Store)
    store.daemon_threads = True
    threading.Thread(target=store.serve_forever, daemon=True).start()
    return store


def stop_store(store):
    Store.is_up = False
    store.shutdown()
    store.server_close()


def lines(count):
    """So many records: severity, service and text."""
    chosen = random.choices(LINES, [30, 24, 16, 12, 4, 2], k=count)
    return [
        (severity, service, text.format(n=random.randint(10_000, 99_999), ms=random.randint(3, 48)))
        for severity, service, text in chosen
    ]


def native(records):
    return "/api/v1/logs", NDJSON, "\n".join(
        json.dumps({"severity": severity, "body": text, "service": service})
        for severity, service, text in records)


def loki(records):
    streams = [
        {"stream": {"service": service, "level": severity}, "values": [[str(time.time_ns()), text]]}
        for severity, service, text in records]
    return "/loki/api/v1/push", JSON, json.dumps({"streams": streams})


def otlp(records):
    of_service = lambda service: [{"key": "service", "value": {"stringValue": service}}]
    records = [
        {
            "timeUnixNano": str(time.time_ns()), "severityText": severity.upper(),
            "body": {"stringValue": text}, "attributes": of_service(service),
        }
        for severity, service, text in records]
    return "/v1/logs", JSON, json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


def bulk(records):
    return "/_bulk", NDJSON, "".join(
        '{"create":{"_index":"logs"}}\n' + json.dumps(
            {"message": text, "log.level": severity, "service": service}) + "\n"
        for severity, service, text in records)


def journal(records, total=None):
    field = f"TOTAL={total}\n" if total else ""
    return "/upload", {"content-type": "application/vnd.fdo.journal"}, "".join(
        f"PRIORITY=6\nSYSLOG_IDENTIFIER={service}\nMESSAGE={text}\n{field}\n"
        for _, service, text in records)


class Traffic:
    """Clients that send until they are told to stop, more and less of them by turns."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.stopping = threading.Event()
        # Each with its records a second, and the length of its wave in seconds.
        clients = [(native, 60, 47), (loki, 35, 90), (otlp, 80, 130), (bulk, 22, 61), (journal, 6, 70)]
        self.threads = [threading.Thread(target=self.run, args=client) for client in clients]
        for thread in self.threads:
            thread.start()

    def run(self, protocol, rate, wave):
        pause = 0.2
        while not self.stopping.wait(pause):
            swing = 1 + 0.4 * math.sin(time.monotonic() * 2 * math.pi / wave) + random.uniform(-0.1, 0.1)
            self.send(*protocol(lines(max(1, round(rate * pause * swing)))))

    def send(self, path, headers, body):
        # On Sluice's own routes, nodes that do not lead redirect.
        leader = self.cluster.leader()
        others = [node for node in self.cluster.nodes if node is not leader]
        node = leader if path.startswith("/api/") else random.choice(others)
        if node:
            fetch(node.url(path), body.encode(), headers)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
