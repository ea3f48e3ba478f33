"""Does what the messages say, and writes down what it was asked, one JSON line each."""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def note(entry):
    file = os.open(os.path.join(HERE, "notes.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (json.dumps(entry) + "\n").encode())
    os.close(file)


def handler(event, context):
    note({"start": time.time(), "pid": os.getpid(), "id": context.aws_request_id, "event": event})
    try:
        return act(event)
    finally:
        note({"end": time.time(), "id": context.aws_request_id})


def act(event):
    failed = []
    result = {"batchItemFailures": failed}
    error = None
    for record in event["Records"]:
        try:
            order = json.loads(record["body"])
        except (ValueError, RecursionError, KeyError):
            continue
        if not isinstance(order, dict) or "do" not in order:
            continue
        if int(record["attributes"]["ApproximateReceiveCount"]) > order.get("times", 1000):
            continue
        match order["do"]:
            case "fail":
                error = ValueError("told to fail")
            case "crash":
                os._exit(3)
            case "hang":
                time.sleep(60)
            case "sleep":
                time.sleep(order["seconds"])
            case "garbage":
                os.write(1, b"\xff\xfe\x00 {\"not\": json\n" + b"y" * 100_000 + b"\n")
                print("{\"level\": \"garbage\"} on stderr", file=sys.stderr)
                print("no newline at the end", end="", file=sys.stderr, flush=True)
            case "big":
                result = "x" * (7 * 1024 * 1024)
            case "partial":
                failed.append({"itemIdentifier": record["messageId"]})
            case "answer":
                result = json.loads(json.dumps(order["answer"]).replace("$id", record["messageId"]))
    if error:
        raise error
    return result
