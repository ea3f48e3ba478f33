"""Writes invoices: for the messages of a queue, or for one order such as {"id": 1, "amount": 20}."""
import json


def handler(event, context):
    if "Records" not in event:
        return {"invoice": event["id"], "total": event["amount"]}
    failed = []
    for record in event["Records"]:
        try:
            order = json.loads(record["body"])
            print(f"invoice {order['id']}: {order['amount']}")
        except (ValueError, KeyError, TypeError) as problem:
            print(f"message {record['messageId']} is no order: {problem!r}")
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
