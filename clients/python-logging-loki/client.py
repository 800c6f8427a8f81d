import logging
import sys

import logging_loki

from numbered import HOST, PORT, believed, failed, messages


class Watched(logging_loki.LokiHandler):
    """The handler, watched."""

    error = None

    def handleError(self, record):
        self.error = sys.exc_info()[1]
        super().handleError(record)


# What a user writes.
handler = Watched(
    url=f"http://{HOST}:{PORT}/loki/api/v1/push", tags={"application": "shop"}, version="1"
)
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(handler)

for number, text in messages():
    handler.error = None
    logger.info(text)
    if handler.error:
        failed(number, repr(handler.error))
    else:
        believed(number)
