// Two mappings: one is changed and tagged and stays, the other is disabled and deleted. Prints the id of the one that stays.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  LambdaClient,
  ListTagsCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateEventSourceMappingCommand,
  paginateListEventSourceMappings,
} from "@aws-sdk/client-lambda";

const sources = process.argv.slice(1);
const client = new LambdaClient({});
const get = (UUID) => client.send(new GetEventSourceMappingCommand({ UUID }));

async function settles(id, pending, state) {
  for (const deadline = Date.now() + 30_000; ; await sleep(50)) {
    const found = await get(id);
    if (found.State === state) return found;
    assert(found.State === pending && Date.now() < deadline, `${found.State}, not ${state}`);
  }
}

const made = [];
for (const EventSourceArn of sources) {
  const created = await client.send(
    new CreateEventSourceMappingCommand({ EventSourceArn, FunctionName: "work", BatchSize: 5, Tags: { team: "a", stage: "dev" } }),
  );
  assert.equal(created.State, "Creating");
  assert.equal(created.$metadata.httpStatusCode, 202);
  assert(created.LastModified instanceof Date && created.LastModified.getFullYear() > 2020);
  made.push(created);
}
const [kept, deleted] = made;
for (const { UUID } of made) await settles(UUID, "Creating", "Enabled");

await assert.rejects(
  client.send(new CreateEventSourceMappingCommand({ EventSourceArn: sources[0], FunctionName: "work" })),
  (error) => error.name === "ResourceConflictException" && error.message.includes(kept.UUID),
);

const pages = [];
for await (const page of paginateListEventSourceMappings({ client, pageSize: 1 }, { FunctionName: "work" })) {
  pages.push(page.EventSourceMappings.map((mapping) => mapping.UUID));
}
assert.deepEqual(pages.map((page) => page.length), [1, 1]);
assert.deepEqual(pages.flat().sort(), made.map((mapping) => mapping.UUID).sort());

const updated = await client.send(
  new UpdateEventSourceMappingCommand({ UUID: kept.UUID, BatchSize: 20, MaximumBatchingWindowInSeconds: 1 }),
);
assert.deepEqual([updated.State, updated.BatchSize], ["Updating", 20]);
assert.equal((await settles(kept.UUID, "Updating", "Enabled")).MaximumBatchingWindowInSeconds, 1);
await assert.rejects(
  client.send(new UpdateEventSourceMappingCommand({ UUID: deleted.UUID, BatchSize: 11 })),
  (error) => error.name === "InvalidParameterValueException" && error.$metadata.httpStatusCode === 400,
);

const Resource = kept.EventSourceMappingArn;
await client.send(new TagResourceCommand({ Resource, Tags: { stage: "prod" } }));
await client.send(new UntagResourceCommand({ Resource, TagKeys: ["team"] }));
assert.deepEqual((await client.send(new ListTagsCommand({ Resource }))).Tags, { stage: "prod" });

await client.send(new UpdateEventSourceMappingCommand({ UUID: deleted.UUID, Enabled: false }));
await settles(deleted.UUID, "Disabling", "Disabled");
const gone = await client.send(new DeleteEventSourceMappingCommand({ UUID: deleted.UUID }));
assert.equal(gone.State, "Deleting");
for (const deadline = Date.now() + 30_000; ; await sleep(50)) {
  const error = await get(deleted.UUID).then(() => null, (error) => error);
  if (error) {
    assert.deepEqual([error.name, error.message], ["ResourceNotFoundException", "The resource you requested does not exist."]);
    break;
  }
  assert(Date.now() < deadline, "it is still there");
}
console.log(JSON.stringify(kept.UUID));
