// What every MCP client of TypeScript does with a Fusebox host, whatever the generation of its SDK.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const { FUSEBOX, FUSEBOX_FOLDER, FUSEBOX_KEY, FUSEBOX_URL, SIMULATOR } = process.env;

/** The command that speaks MCP on its standard input and output. */
export const stdio = { command: FUSEBOX, args: ["serve", "--mcp", "stdio"], cwd: FUSEBOX_FOLDER, stderr: "pipe" };

/** Where MCP is spoken by HTTP, and the headers that say who asks: nobody without a key. */
export const http = {
  url: new URL(FUSEBOX_URL),
  headers: FUSEBOX_KEY ? { authorization: `Bearer ${FUSEBOX_KEY}` } : {},
};

/** A command of an operator's shell; its JSON lines. */
async function fusebox(...args) {
  const { stdout } = await run(FUSEBOX, [...args, "--json"], { cwd: FUSEBOX_FOLDER });
  return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** A request to the admin API of the simulated upstreams. */
export async function simulator(method, path, body) {
  const response = await fetch(SIMULATOR + path, {
    method,
    headers: { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return method === "GET" ? response.json() : undefined;
}

const requests = async (service) => (await simulator("GET", `/requests?service=${service}`)).length;

async function eventually(what, holds) {
  for (let tries = 0; tries < 150; tries++) {
    if (await holds()) return;
    await sleep(200);
  }
  assert.fail(`after 30 s: ${what}`);
}

/** The typed body of a failure, which is the text of `content`. */
function failure(result) {
  assert.equal(result.isError, true, JSON.stringify(result));
  assert.equal(result.structuredContent, undefined, "clients would check it against the output schema");
  return JSON.parse(result.content[0].text);
}

/**
 * Drives a connected client.
 *
 * `call(name, arguments, options)` calls a tool, `changes()` counts the notices of a changed list.
 */
export async function drive({ client, call, changes }) {
  const step = async (name, action) => {
    try {
      await action();
      console.log(`  ok ${name}`);
    } catch (error) {
      console.log(`  FAILED ${name}`);
      throw error;
    }
  };
  await simulator("POST", "/reset");

  await step("list", async () => {
    const { tools } = await client.listTools();
    const tool = (name) => tools.find((tool) => tool.name === name) ?? assert.fail(`no ${name} in ${tools.map(({ name }) => name)}`);
    const evaluate = tool("calculator_evaluate");
    assert.deepEqual(Object.keys(evaluate.inputSchema.properties), ["expression"]);
    assert.equal(evaluate.outputSchema.type, "object");
    assert.equal(evaluate.annotations.readOnlyHint, true);
    assert.equal(tool("email_send").annotations.readOnlyHint, false);
    assert.deepEqual(Object.keys(tool("ledger_transfer").inputSchema.properties).sort(), ["amount", "from_account", "to_account"]);
    tool("fusebox_result");
  });

  await step("call, with structured content that the client has validated", async () => {
    const result = await call("calculator_evaluate", { expression: "2 * (3 + sqrt(16))" });
    assert.equal(result.isError ?? false, false, JSON.stringify(result));
    assert.equal(result.structuredContent.result, 14);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    const found = await call("search_query", { text: "sandbox", limit: 1 });
    assert.equal(found.structuredContent.result.length, 1);
    assert.deepEqual(Object.keys(found.structuredContent.result[0]).sort(), ["snippet", "title", "url"]);
  });

  await step("a tool's error, and bad input", async () => {
    assert.equal(failure(await call("calculator_evaluate", { expression: "1 +" })).code, "tool-failed");
    const bad = failure(await call("search_query", { text: "sandbox", limit: -1 }));
    assert.equal(bad.code, "bad-input");
    assert.match(bad.message, /limit/);
  });

  await step("an unknown tool is an error of the protocol", async () => {
    await assert.rejects(call("no_such_tool", {}), (error) => error.code === -32602);
  });

  await step("progress while an attempt is repeated", async () => {
    await simulator("POST", "/faults", { service: "search", fault: { status: 503 }, times: 2 });
    const told = [];
    const result = await call("search_query", { text: "wasm" }, { onprogress: (progress) => told.push(progress) });
    assert.equal(result.isError ?? false, false, JSON.stringify(result));
    assert.ok(told.length >= 2, JSON.stringify(told));
    assert.ok(told.every(({ progress }, n) => n === 0 || progress > told[n - 1].progress), "it only grows");
    assert.ok(told.some(({ message }) => /attempt 2/.test(message)), JSON.stringify(told));
  });

  await step("cancellation ends the run", async () => {
    const before = await requests("search");
    await simulator("POST", "/faults", { service: "search", fault: { "delay-ms": 3000 }, times: 1 });
    const cancel = new AbortController();
    const called = call("search_query", { text: "cancelled" }, { signal: cancel.signal });
    const rejected = assert.rejects(called);
    await eventually("the request is out", async () => (await requests("search")) > before);
    cancel.abort("the user has changed their mind");
    await rejected;
    await eventually("the run is cancelled", async () => {
      const [last] = await fusebox("runs", "list", "--tool", "search", "--limit", "1");
      return last?.state === "cancelled";
    });
  });

  await step("an idempotency key", async () => {
    const transfer = { from_account: "alice", to_account: "bob", amount: 1 };
    const meta = { "fusebox/idempotency-key": `order-${Date.now()}-${process.pid}` };
    const first = await call("ledger_transfer", transfer, {}, meta);
    const again = await call("ledger_transfer", transfer, {}, meta);
    assert.deepEqual(again.structuredContent, first.structuredContent);
    assert.equal(again._meta["fusebox/run"], first._meta["fusebox/run"]);
    assert.equal(await requests("ledger"), 1);
  });

  await step("a changed list is notified", async () => {
    const before = changes();
    const listed = async () => (await client.listTools()).tools.some(({ name }) => name === "email_send");
    await fusebox("tools", "disable", "email");
    try {
      await eventually("a notice", () => changes() > before);
      assert.equal(await listed(), false);
    } finally {
      await fusebox("tools", "enable", "email");
    }
    await eventually("another notice", () => changes() > before + 1);
    assert.equal(await listed(), true);
  });
}
