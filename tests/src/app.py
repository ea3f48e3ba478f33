"""Does what the records say, and writes down what it was asked, one JSON line each."""
import base64
import hashlib
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
        return act(event) if "Records" in event else direct(event, context)
    finally:
        note({"end": time.time(), "id": context.aws_request_id})


def direct(order, context):
    """An event that isn't one of a source: `{"do": "fail"}`, or `{"do": "sleep", "seconds": 1}`."""
    if order.get("do") == "sleep":
        time.sleep(order["seconds"])
    if order.get("do") == "fail" and attempts(context.aws_request_id) <= order.get("times", 99):
        raise ValueError("told to fail")
    if order.get("do") == "context":
        client = context.client_context
        custom = client and {"custom": client.custom, "env": client.env}
        return {"client": custom, "trace": os.environ.get("_X_AMZN_TRACE_ID"), "arn": context.invoked_function_arn}
    return {"did": order}


def attempts(id):
    """Counts this one."""
    file = os.open(os.path.join(HERE, f"attempts-{id}"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b".")
    count = os.fstat(file).st_size
    os.close(file)
    return count


def content(record):
    """Id, content, and how often it was delivered: `None` where the source doesn't count."""
    if "kinesis" in record:
        return record["kinesis"]["sequenceNumber"], base64.b64decode(record["kinesis"]["data"]), None
    if "dynamodb" in record:
        change = record["dynamodb"]
        return change["SequenceNumber"], change.get("NewImage", {}).get("body", {}).get("S", ""), None
    return record["messageId"], record["body"], int(record["attributes"]["ApproximateReceiveCount"])


def deliveries(record):
    """Counts this one. One batch with a record runs at a time, so nobody counts beside it."""
    source = hashlib.sha1(record["eventSourceARN"].encode()).hexdigest()
    file = os.open(os.path.join(HERE, f"count-{source}-{content(record)[0]}"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b".")
    count = os.fstat(file).st_size
    os.close(file)
    return count


def act(event):
    failed = []
    result = {"batchItemFailures": failed}
    error = None
    if "window" in event:
        state = event["state"]
        state["records"] = state.get("records", 0) + len(event["Records"])
        result["state"] = state
    for record in event["Records"]:
        id, text, count = content(record)
        try:
            order = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(order, dict) or "do" not in order:
            continue
        if "times" in order and (deliveries(record) if count is None else count) > order["times"]:
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
                failed.append({"itemIdentifier": id})
            case "answer":
                result = json.loads(json.dumps(order["answer"]).replace("$id", id))
            case "state":
                result["state"] = order["state"]
            case "large state":
                result["state"]["filler"] = "x" * order["bytes"]
    if error:
        raise error
    return result
