import logging

from splunk_handler import SplunkHandler

from numbered import HOST, PORT, believed, failed, messages, numbers_of


# What a user writes.
handler = SplunkHandler(host=HOST, port=PORT, token="secret", index="main", protocol="http")
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(handler)

# It prints what fails, and goes on. So its requests are watched below it.
post = handler.session.post


def watched_post(url, data, **options):
    try:
        answer = post(url, data=data, **options)
    except Exception as error:
        for number in numbers_of(data):
            failed(number, repr(error))
        raise
    for number in numbers_of(data):
        if answer.ok:
            believed(number)
        else:
            failed(number, answer.status_code)
    return answer


handler.session.post = watched_post
for _, text in messages():
    logger.info(text)
logging.shutdown()
