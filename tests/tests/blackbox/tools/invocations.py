"""Event invoke configs, permissions and aliases of the local function `work`, and invocations of every type. Prints the
request ids of two events: one that goes well, and one that fails and is tried once more."""
import base64
import json
import sys

import boto3
from botocore.exceptions import WaiterError

(destination,) = sys.argv[1:]
client = boto3.client("lambda")
work = {"FunctionName": "work"}


def refused(kind, call, **arguments):
    try:
        call(**arguments)
    except getattr(client.exceptions, kind) as error:
        return error.response["Error"]["Message"]
    sys.exit(f"{kind} was expected of {arguments}")


def pages(name, key, member, **arguments):
    found = client.get_paginator(name).paginate(PaginationConfig={"PageSize": 1}, **arguments)
    return [[item[member] for item in page[key]] for page in found]


# Functions as waiters and paginators see them.
for waiter in ["function_exists", "function_active", "function_active_v2", "function_updated", "function_updated_v2",
               "published_version_active"]:
    client.get_waiter(waiter).wait(**work)
try:
    client.get_waiter("function_exists").wait(FunctionName="missing", WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    sys.exit("a missing function was waited for with success")
except WaiterError as error:
    assert "Max attempts exceeded" in str(error), error
assert pages("list_functions", "Functions", "FunctionName")[0] == ["work"]
assert pages("list_versions_by_function", "Versions", "Version", **work) == [["$LATEST"]]
assert pages("list_aliases", "Aliases", "Name", **work) == [["live"], ["next"]]
assert client.get_alias(Name="live", **work)["FunctionVersion"] == "$LATEST"
shown = client.get_function(**work)
assert (shown["Configuration"]["State"], shown["Code"]) == ("Active", {}), shown

# What is waited for.
answer = client.invoke(LogType="Tail", Payload=json.dumps({"id": 1}), **work)
assert (answer["StatusCode"], answer["ExecutedVersion"], "FunctionError" in answer) == (200, "$LATEST", False), answer
assert json.load(answer["Payload"]) == {"did": {"id": 1}}
log = base64.b64decode(answer["LogResult"]).decode()
assert log.startswith(f"START RequestId: {answer['ResponseMetadata']['RequestId']} "), log
context = base64.b64encode(json.dumps({"custom": {"team": "a"}, "env": {"locale": "de"}}).encode()).decode()
answer = client.invoke(ClientContext=context, Payload=json.dumps({"do": "context"}), Qualifier="live", **work)
seen = json.load(answer["Payload"])
assert seen["client"] == {"custom": {"team": "a"}, "env": {"locale": "de"}}, seen
assert seen["arn"].endswith(":function:work:live") and "Root=1-" in seen["trace"], seen
failed = client.invoke(Payload=json.dumps({"do": "fail"}), **work)
assert (failed["StatusCode"], failed["FunctionError"]) == (200, "Unhandled"), failed
assert json.load(failed["Payload"])["errorMessage"] == "told to fail"
dry = client.invoke(InvocationType="DryRun", **work)
assert (dry["StatusCode"], dry["Payload"].read()) == (204, b""), dry
missing = refused("ResourceNotFoundException", client.invoke, FunctionName="missing", InvocationType="Event")
assert missing.startswith("Function not found: ") and missing.endswith(":function:missing:$LATEST"), missing
refused("InvalidRequestContentException", client.invoke, Payload="no JSON", **work)

# Who is told how events ended.
none = refused("ResourceNotFoundException", client.get_function_event_invoke_config, **work)
assert none.endswith(":function:work:$LATEST doesn't have an EventInvokeConfig"), none
both = {"OnSuccess": {"Destination": destination}, "OnFailure": {"Destination": destination}}
client.put_function_event_invoke_config(MaximumRetryAttempts=2, DestinationConfig=both, **work)
client.put_function_event_invoke_config(Qualifier="next", MaximumEventAgeInSeconds=60, **work)
updated = client.update_function_event_invoke_config(MaximumRetryAttempts=1, **work)
found = client.get_function_event_invoke_config(**work)
for config in [updated, found]:
    assert (config["MaximumRetryAttempts"], config["DestinationConfig"]) == (1, both), config
configs = pages("list_function_event_invoke_configs", "FunctionEventInvokeConfigs", "FunctionArn", **work)
assert [[arn.split(":")[-1] for arn in page] for page in configs] == [["$LATEST"], ["next"]], configs
client.delete_function_event_invoke_config(Qualifier="next", **work)
refused("ResourceNotFoundException", client.delete_function_event_invoke_config, Qualifier="next", **work)
wrong = refused("InvalidParameterValueException", client.put_function_event_invoke_config, **work)
assert wrong == "You must specify at least one of error handling or destination setting.", wrong

# Who else may use it.
permission = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
added = client.add_permission(SourceArn="arn:aws:s3:::bucket", **permission, **work)
policy = json.loads(client.get_policy(**work)["Policy"])
assert policy["Statement"] == [json.loads(added["Statement"])], policy
refused("ResourceConflictException", client.add_permission, **permission, **work)
client.remove_permission(StatementId="s3", **work)
refused("ResourceNotFoundException", client.get_policy, **work)

ids = []
for order in [{"id": 2}, {"do": "fail"}]:
    accepted = client.invoke(InvocationType="Event", Payload=json.dumps(order), **work)
    assert (accepted["StatusCode"], accepted["Payload"].read()) == (202, b""), accepted
    ids.append(accepted["ResponseMetadata"]["RequestId"])
print(json.dumps(ids))
