"""A small shop: takes orders in batches, and payments one by one.

An order with "broken": true fails for good, one with "flaky": true fails the first time it is seen. Failed orders are
named in batchItemFailures, so only they come back. A payment over the limit raises, so its whole batch comes back.
"""
import json


def handler(event, context):
    failed = []
    for record in event["Records"]:
        message = json.loads(record["body"])
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        if message["kind"] == "payment":
            if message["amount"] > 1000:
                raise ValueError(f"payment {message['id']} is over the limit")
        elif message.get("broken") or (message.get("flaky") and receives == 1):
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
