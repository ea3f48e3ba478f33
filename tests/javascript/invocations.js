// Event invoke configs and permissions of the function `work`, and invocations of every type. Prints the request ids of two
// events: one that goes well, and one that fails and is tried once more.
import assert from "node:assert/strict";
import {
  AddPermissionCommand,
  DeleteFunctionEventInvokeConfigCommand,
  GetFunctionCommand,
  GetFunctionEventInvokeConfigCommand,
  GetPolicyCommand,
  InvokeCommand,
  LambdaClient,
  PutFunctionEventInvokeConfigCommand,
  RemovePermissionCommand,
  UpdateFunctionEventInvokeConfigCommand,
  paginateListFunctionEventInvokeConfigs,
  waitUntilFunctionActiveV2,
  waitUntilFunctionExists,
  waitUntilFunctionUpdatedV2,
} from "@aws-sdk/client-lambda";

const [Destination] = process.argv.slice(1);
const FunctionName = "work";
const client = new LambdaClient({});
const send = (command, input) => client.send(new command({ FunctionName, ...input }));
const text = (answer) => answer.Payload.transformToString();

for (const wait of [waitUntilFunctionExists, waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2]) {
  assert.equal((await wait({ client, maxWaitTime: 10 }, { FunctionName })).state, "SUCCESS");
}
const { Configuration } = await send(GetFunctionCommand);
assert.deepEqual([Configuration.FunctionName, Configuration.State, Configuration.Timeout], ["work", "Active", 20]);

const good = await send(InvokeCommand, { Payload: JSON.stringify({ id: 1 }), LogType: "Tail" });
assert.deepEqual([good.StatusCode, good.ExecutedVersion, good.FunctionError], [200, "$LATEST", undefined]);
assert.deepEqual(JSON.parse(text(good)), { did: { id: 1 } });
const log = Buffer.from(good.LogResult, "base64").toString();
assert(log.startsWith(`START RequestId: ${good.$metadata.requestId} `), log);
const bad = await send(InvokeCommand, { Payload: JSON.stringify({ do: "fail" }), Qualifier: "live" });
assert.deepEqual([bad.StatusCode, bad.FunctionError], [200, "Unhandled"]);
assert.equal(JSON.parse(text(bad)).errorMessage, "told to fail");
const dry = await send(InvokeCommand, { InvocationType: "DryRun", Payload: "{}" });
assert.deepEqual([dry.StatusCode, dry.Payload], [204, null]);
await assert.rejects(
  send(InvokeCommand, { FunctionName: "missing" }),
  (error) => error.name === "ResourceNotFoundException" && error.message.startsWith("Function not found: "),
);
await assert.rejects(
  send(InvokeCommand, { Payload: "no JSON" }),
  (error) => error.name === "InvalidRequestContentException",
);

await assert.rejects(send(GetFunctionEventInvokeConfigCommand), (error) => error.name === "ResourceNotFoundException");
const DestinationConfig = { OnSuccess: { Destination }, OnFailure: { Destination } };
const put = await send(PutFunctionEventInvokeConfigCommand, { MaximumRetryAttempts: 2, DestinationConfig });
assert.deepEqual([put.MaximumRetryAttempts, put.DestinationConfig], [2, DestinationConfig]);
assert(put.LastModified instanceof Date && put.FunctionArn.endsWith(":function:work:$LATEST"));
const updated = await send(UpdateFunctionEventInvokeConfigCommand, { MaximumRetryAttempts: 1 });
assert.deepEqual([updated.MaximumRetryAttempts, updated.DestinationConfig], [1, DestinationConfig]);
const found = await send(GetFunctionEventInvokeConfigCommand);
assert.deepEqual([found.MaximumRetryAttempts, found.DestinationConfig], [1, DestinationConfig]);
await send(PutFunctionEventInvokeConfigCommand, { Qualifier: "live", MaximumEventAgeInSeconds: 60 });
const pages = [];
for await (const page of paginateListFunctionEventInvokeConfigs({ client, pageSize: 1 }, { FunctionName })) {
  pages.push(page.FunctionEventInvokeConfigs.map((config) => config.FunctionArn.split(":").at(-1)));
}
assert.deepEqual(pages, [["$LATEST"], ["live"]]);
await send(DeleteFunctionEventInvokeConfigCommand, { Qualifier: "live" });
await assert.rejects(
  send(DeleteFunctionEventInvokeConfigCommand, { Qualifier: "live" }),
  (error) => error.message.endsWith(":function:work:live doesn't have an EventInvokeConfig"),
);

const permission = { StatementId: "sns", Action: "lambda:InvokeFunction", Principal: "sns.amazonaws.com" };
const { Statement } = await send(AddPermissionCommand, permission);
assert.deepEqual(JSON.parse((await send(GetPolicyCommand)).Policy).Statement, [JSON.parse(Statement)]);
await send(RemovePermissionCommand, { StatementId: "sns" });
await assert.rejects(send(GetPolicyCommand), (error) => error.name === "ResourceNotFoundException");

const ids = [];
for (const order of [{ id: 2 }, { do: "fail" }]) {
  const accepted = await send(InvokeCommand, { InvocationType: "Event", Payload: JSON.stringify(order) });
  assert.deepEqual([accepted.StatusCode, accepted.Payload], [202, null]);
  ids.push(accepted.$metadata.requestId);
}
console.log(JSON.stringify(ids));
