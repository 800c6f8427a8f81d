"""A real Elasticsearch or OpenSearch, which `ELASTICSEARCH_URL` names, behind a server
that fails. Not run by `make sinks-trial`, because it needs the real one:

    ELASTICSEARCH_URL=http://127.0.0.1:9200 plugins/trial/run.py … elasticsearch_real
"""

import json
import os
import time
import urllib.error
import urllib.request

from harness.destination import Stored

from . import elasticsearch

PAGE = 1000
LIMIT_S = 30


class Destination(elasticsearch.Destination):
    sink = "elasticsearch"

    def __init__(self, faults):
        super().__init__(faults)
        self._url = os.environ["ELASTICSEARCH_URL"].rstrip("/")
        self._index = f"trial-{time.time_ns()}"
        fields = {"attributes": {"properties": {"number": {"type": "long"}}}}
        body = json.dumps({"mappings": {"properties": fields}}).encode()
        status, answer = self._ask("PUT", f"/{self._index}", body)
        if status != 200:
            raise RuntimeError(f"failed to create the index: {status} {answer}")
        self.stored = Real(self._ask, self._index)

    def config(self):
        return {**super().config(), "index": self._index}

    def take(self, request):
        status, answer = self._ask("POST", request.path, request.body, "application/x-ndjson")
        return status, {"content-type": "application/json"}, answer

    def notes(self):
        return {}

    def _ask(self, method, path, body, kind="application/json"):
        request = urllib.request.Request(
            self._url + path, data=body, method=method, headers={"content-type": kind}
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


class Real(Stored):
    """Asks for all documents."""

    def __init__(self, ask, index):
        super().__init__()
        self._ask = ask
        self._index = index

    def times(self):
        self._ask("POST", f"/{self._index}/_refresh", b"")
        after = {}
        while True:
            query = {"size": PAGE, "sort": [{"attributes.number": "asc"}], **after}
            path = f"/{self._index}/_search"
            status, answer = self._ask("POST", path, json.dumps(query).encode())
            if status != 200:
                raise RuntimeError(f"failed to search: {status} {answer}")
            found = json.loads(answer)["hits"]["hits"]
            if not found:
                return super().times()
            self.add(hit["_source"]["attributes"]["number"] for hit in found)
            after = {"search_after": found[-1]["sort"]}
