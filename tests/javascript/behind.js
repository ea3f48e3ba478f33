// A function of the Lambda behind Pelton: waited for, invoked in every type. Prints the request id of the event.
import assert from "node:assert/strict";
import {
  InvokeCommand,
  LambdaClient,
  PutFunctionEventInvokeConfigCommand,
  paginateListFunctions,
  waitUntilFunctionActiveV2,
} from "@aws-sdk/client-lambda";

const [FunctionName, Destination] = process.argv.slice(1);
const client = new LambdaClient({});
const invoke = (input) => client.send(new InvokeCommand({ FunctionName, ...input }));

await waitUntilFunctionActiveV2({ client, maxWaitTime: 30 }, { FunctionName });
const names = [];
for await (const page of paginateListFunctions({ client }, {})) names.push(...page.Functions.map((it) => it.FunctionName));
assert(names[0] === "work" && names.includes(FunctionName), names);

const answer = await invoke({ Payload: JSON.stringify({ id: 1 }) });
assert.deepEqual([answer.StatusCode, JSON.parse(answer.Payload.transformToString())], [200, { did: { id: 1 } }]);
assert.equal((await invoke({ InvocationType: "DryRun", Payload: "{}" })).StatusCode, 204);
const DestinationConfig = { OnSuccess: { Destination } };
await client.send(new PutFunctionEventInvokeConfigCommand({ FunctionName, DestinationConfig }));
const accepted = await invoke({ InvocationType: "Event", Payload: JSON.stringify({ id: 3 }) });
assert.equal(accepted.StatusCode, 202);
console.log(JSON.stringify(accepted.$metadata.requestId));
