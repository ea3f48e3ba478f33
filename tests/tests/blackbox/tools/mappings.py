"""A function made through Pelton, and two mappings to it; one is disabled. Prints their ids."""
import io, json, sys, time, zipfile
import boto3

queue, other, name, code = sys.argv[1:]
client = boto3.client("lambda")
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as zipped:
    zipped.writestr("app.py", code)
made = client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Timeout=10,
    Role="arn:aws:iam::000000000000:role/lambda-role", Code={"ZipFile": archive.getvalue()})
assert name in [f["FunctionName"] for p in client.get_paginator("list_functions").paginate() for f in p["Functions"]]
for waiter in ["function_exists", "function_active_v2", "function_updated_v2", "published_version_active"]:
    client.get_waiter(waiter).wait(FunctionName=name)
answer = client.invoke(FunctionName=name, Payload=json.dumps({"Records": []}))
assert (answer["StatusCode"], json.load(answer["Payload"])) == (200, {"batchItemFailures": []}), answer
assert client.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
accepted = client.invoke(FunctionName=name, InvocationType="Event", Payload="{}")
assert (accepted["StatusCode"], accepted["Payload"].read()) == (202, b""), accepted

ids = []
for source in [queue, other]:
    created = client.create_event_source_mapping(EventSourceArn=source, FunctionName=name, BatchSize=2,
        FunctionResponseTypes=["ReportBatchItemFailures"], FilterCriteria={"Filters": [{"Pattern": '{"body": ["yes"]}'}]})
    assert created["State"] == "Creating" and created["FunctionArn"] == made["FunctionArn"], created
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 202 and created["ResponseMetadata"]["RequestId"], created
    ids.append(created["UUID"])

def settles(uuid, *states):
    deadline = time.time() + 30
    while True:
        found = client.get_event_source_mapping(UUID=uuid)
        if found["State"] == states[-1]:
            return found
        assert found["State"] in states and time.time() < deadline, found
        time.sleep(0.05)

for uuid in ids:
    settles(uuid, "Creating", "Enabled")
pages = list(client.get_paginator("list_event_source_mappings").paginate(
    FunctionName=name, PaginationConfig={"PageSize": 1}))
listed = [mapping["UUID"] for page in pages for mapping in page["EventSourceMappings"]]
assert sorted(listed) == sorted(ids) and len(pages) == 2, pages

updated = client.update_event_source_mapping(UUID=ids[1], Enabled=False)
assert updated["State"] == "Disabling", updated
settles(ids[1], "Disabling", "Disabled")
try:
    client.update_event_source_mapping(UUID=ids[0], BatchSize=11)
    sys.exit("a batch of 11 without a window was taken")
except client.exceptions.InvalidParameterValueException as error:
    message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    assert error.response["Error"]["Message"] == message and error.response["Type"] == "User", error.response
try:
    client.get_event_source_mapping(UUID="ad9cff62-3f68-4a5e-8d2e-e2a4b5e8c9aa")
    sys.exit("an unknown mapping was found")
except client.exceptions.ResourceNotFoundException as error:
    assert error.response["Message"] == "The resource you requested does not exist.", error.response
print(json.dumps(ids))
