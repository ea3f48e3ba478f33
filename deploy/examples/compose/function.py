"""Takes orders such as {"id": 1, "amount": 20}. What is no order fails, alone: the rest of its batch succeeds."""
import json


def handler(event, context):
    failed, total = [], 0
    for record in event["Records"]:
        try:
            order = json.loads(record["body"])
            total += order["amount"]
            print(f"order {order['id']}: {order['amount']}")
        except (ValueError, KeyError, TypeError) as problem:
            print(f"message {record['messageId']} is no order: {problem!r}")
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed, "total": total}
