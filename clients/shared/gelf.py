"""A logger with a handler of pygelf. A message is believed unless the handler
raises or reports an error."""

import logging
import sys

from numbered import believed, failed, messages


def send_through(handler):
    errors = []

    def noted(_record):
        errors.append(repr(sys.exc_info()[1]))

    handler.handleError = noted
    logger = logging.getLogger("shop")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    for number, text in messages():
        errors.clear()
        try:
            logger.info(text)
        except Exception as error:
            errors.append(repr(error))
        if errors:
            failed(number, errors[0])
        else:
            believed(number)
    handler.close()
