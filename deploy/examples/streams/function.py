"""Takes readings of thermometers from a Kinesis stream, and changes of devices from a DynamoDB table's stream.

A number with a comma, as half the world writes it, is a poison record: `float` refuses it, so the whole batch fails.
With COMMA=accepted in its environment the function is a fixed one.
"""
import base64
import json
import os


def number(text):
    if os.environ.get("COMMA") == "accepted":
        text = text.replace(",", ".")
    return float(text)


def handler(event, context):
    for record in event["Records"]:
        if "kinesis" in record:
            reading = json.loads(base64.b64decode(record["kinesis"]["data"]))
            number(reading["celsius"])
        elif record["eventName"] != "REMOVE":
            number(record["dynamodb"]["NewImage"]["offset"]["S"])
