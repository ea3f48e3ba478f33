"""Greets whoever has a name."""


def handler(event, context):
    if "name" not in event:
        raise ValueError("nobody to greet")
    return {"greeting": f"Hello, {event['name']}!"}
