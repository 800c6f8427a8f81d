import datetime

from elasticsearch import Elasticsearch, helpers

from numbered import HOST, PORT, believed, failed, messages, number_of, refused

DOCUMENTS_A_CALL = 10


def send(client, texts):
    numbers = {number_of(text) for text in texts}
    now = datetime.datetime.now(datetime.UTC).isoformat()
    actions = [
        {"_index": "logs-shop-default", "_op_type": "create", "@timestamp": now, "message": text}
        for text in texts
    ]
    try:
        helpers.bulk(client, actions)
    except helpers.BulkIndexError as error:
        bad = {number_of(item["create"]["data"]["message"]) for item in error.errors}
        for number in bad:
            refused(number)
        numbers -= bad
    except Exception as error:
        for number in numbers:
            failed(number, repr(error))
        return
    for number in numbers:
        believed(number)


client = Elasticsearch(f"http://{HOST}:{PORT}")
waiting = []
for _, text in messages():
    waiting.append(text)
    if len(waiting) == DOCUMENTS_A_CALL:
        send(client, waiting)
        waiting = []
send(client, waiting)
