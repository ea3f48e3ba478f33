// Runs a Node handler against the Lambda Runtime API. No dependencies, Node 18 or newer.
import { existsSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const API = "/2018-06-01/runtime";
const environment = process.env;

class Fault extends Error {
  constructor(errorType, message, trace) {
    super(message);
    this.name = errorType;
    if (trace) this.stack = trace;
  }
}

class ApiGone extends Error {}

// Sockets of an agent that waits don't keep the event loop alive, which is how the end of a callback handler is noticed.
const [host, port] = environment.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, where, body, errorType) {
  const headers = {};
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    headers["Content-Length"] = Buffer.byteLength(body);
  }
  if (errorType) headers["Lambda-Runtime-Function-Error-Type"] = errorType.replace(/[^\x20-\x7e]/g, "?");
  return new Promise((resolve, reject) => {
    const gone = (error) => reject(new ApiGone(`${where}: ${error.message}`));
    const request = http.request({ host, port, path: API + where, method, headers, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ response, body: Buffer.concat(chunks).toString("utf8") }));
      response.on("error", gone);
    });
    request.on("error", gone);
    request.end(body);
  });
}

async function next() {
  const { response, body } = await call("GET", "/invocation/next");
  if (response.statusCode !== 200) throw new ApiGone(`invocation/next answered ${response.statusCode}: ${body}`);
  return { headers: response.headers, body };
}

function describe(error) {
  if (error instanceof Error) {
    const stack = error.stack ? String(error.stack) : "";
    return { errorType: error.name, errorMessage: error.message, trace: stack.split("\n") };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function fail(where, error) {
  const description = describe(error);
  console.error(description.trace.length > 1 ? description.trace.join("\n") : JSON.stringify(description));
  return call("POST", where, JSON.stringify(description), description.errorType);
}

function findModule(root, name) {
  const base = path.resolve(root, name);
  const file = [base, `${base}.js`, `${base}.mjs`, `${base}.cjs`].find((file) => path.extname(file) && existsSync(file));
  if (!file) throw new Fault("Runtime.ImportModuleError", `Error: Cannot find module '${name}'`);
  return file;
}

// folder/file.export, or folder/file.object.export
async function load(name) {
  const folder = path.dirname(name);
  const [moduleName, ...exported] = path.basename(name).split(".");
  if (!moduleName || exported.length === 0 || exported.includes("")) {
    throw new Fault("Runtime.MalformedHandlerName", `Bad handler '${name}': it is written as file.export`);
  }
  const file = findModule(environment.LAMBDA_TASK_ROOT, path.join(folder, moduleName));
  let module;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault("Runtime.UserCodeSyntaxError", `SyntaxError: ${error.message}`, error.stack);
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") {
      throw new Fault("Runtime.ImportModuleError", `Error: ${error.message}`, error.stack);
    }
    throw error;
  }
  const find = (start) => exported.reduce((value, key) => value?.[key], start);
  // What a CommonJS module exports is the default export of its import.
  const handler = find(module) ?? find(module.default);
  if (handler === undefined) throw new Fault("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw new Fault("Runtime.HandlerNotFound", `${name} is not a function`);
  return handler;
}

function makeContext(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const clientContext = headers["lambda-runtime-client-context"];
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    identity: undefined,
    clientContext: clientContext === undefined ? undefined : JSON.parse(clientContext),
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

// Promise and async handlers end with their promise. Callback handlers end with their callback, and, unless they set
// callbackWaitsForEmptyEventLoop to false, when nothing else is left to do. One that never calls back returns null.
function run(handler, event, context) {
  return new Promise((resolve, reject) => {
    let outcome = () => resolve(null);
    const whenIdle = () => outcome();
    const settle = (error, result, mayWait) => {
      outcome = error === undefined || error === null ? () => resolve(result) : () => reject(error);
      if (!mayWait || !context.callbackWaitsForEmptyEventLoop) whenIdle();
    };
    const callback = (error, result) => settle(error, result, true);
    context.done = (error, result) => settle(error, result, true);
    context.succeed = (result) => settle(null, result, false);
    context.fail = (error) => settle(error ?? new Error("context.fail"), undefined, false);
    process.removeAllListeners("beforeExit");
    process.once("beforeExit", whenIdle);
    const returned = handler(event, context, callback);
    if (typeof returned?.then === "function") {
      process.removeListener("beforeExit", whenIdle);
      process.once("beforeExit", () => {
        // Nothing can resolve this promise any more. Lambda, too, answers null here.
        resolve(null);
      });
      returned.then(resolve, reject);
    }
  });
}

function marshal(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? "null";
  } catch (error) {
    throw new Fault("Runtime.MarshalError", `Unable to stringify response body: ${error.message}`);
  }
}

// What escapes the handler ends the process, after the invocation it belongs to has been told.
let current;
for (const [signal, errorType, status] of [
  ["uncaughtException", "Runtime.UncaughtException", 129],
  ["unhandledRejection", "Runtime.UnhandledPromiseRejection", 128],
]) {
  process.on(signal, async (error) => {
    if (error instanceof ApiGone) process.exit(1);
    const where = current ? `/invocation/${current}/error` : "/init/error";
    const shown = error instanceof Error && signal === "uncaughtException" ? error : new Fault(errorType, String(error), error?.stack);
    await fail(where, shown).catch(() => {});
    process.exit(status);
  });
}

async function main() {
  const [configured] = (environment.AWS_EXECUTION_ENV ?? "").match(/\d+/) ?? [];
  if (configured && configured !== process.versions.node.split(".")[0]) {
    console.error(`Node ${process.version} runs this function, which is configured for nodejs${configured}.x`);
  }
  let handler;
  try {
    handler = await load(environment._HANDLER);
  } catch (error) {
    await fail("/init/error", error);
    process.exit(1);
  }
  for (;;) {
    const { headers, body } = await next();
    current = headers["lambda-runtime-aws-request-id"];
    environment._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"] ?? "";
    try {
      const result = marshal(await run(handler, JSON.parse(body), makeContext(headers)));
      await call("POST", `/invocation/${current}/response`, result);
    } catch (error) {
      if (error instanceof ApiGone) throw error;
      await fail(`/invocation/${current}/error`, error);
    }
  }
}

main().catch((error) => {
  console.error(error instanceof ApiGone ? `the Runtime API is gone: ${error.message}` : error);
  process.exit(1);
});
