// Tasks in place of results, by the extension's own client (protocol 2026-07-28, HTTP): `node tasks.mjs`.

import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createTaskSessionFromClient, resultFromTaskOutcome } from "@modelcontextprotocol/ext-tasks/client";
import { http, simulator } from "./scenario.mjs";

const REVISION = "2026-07-28";
const INFO = { name: "typescript-tasks", version: "1.0.0" };

/** Sends a request as it is; the SDK's client keeps this to itself. */
async function rawDispatch(request, { signal } = {}) {
  const named = request.params.name ?? request.params.taskId;
  const headers = {
    ...http.headers,
    accept: "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": REVISION,
    "mcp-method": request.method,
    ...(named && { "mcp-name": named }),
  };
  const message = { jsonrpc: "2.0", id: 1, ...request };
  const response = await fetch(http.url, { method: "POST", headers, body: JSON.stringify(message), signal });
  const { result, error } = await response.json();
  return error ? { kind: "error", error } : { kind: "result", result };
}

const client = new Client(INFO, { versionNegotiation: { mode: { pin: REVISION } } });
await client.connect(new StreamableHTTPClientTransport(http.url, { requestInit: { headers: http.headers } }));
const session = createTaskSessionFromClient(client, {
  endpointId: "fusebox",
  rawDispatch,
  v2RequestFraming: { protocolVersion: REVISION, clientInfo: INFO, clientCapabilities: {} },
});
await simulator("POST", "/reset");
const mail = (subject) => ({ to: "ann@example.com", subject: `${subject} ${Date.now()}`, body: "May I?" });
const delay = (ms) => simulator("POST", "/faults", { service: "mail", fault: { "delay-ms": ms }, times: 1 });

const computed = await session.callTool("calculator_evaluate", { expression: "6 * 7" });
assert.equal(computed.kind, "immediate");
assert.equal(resultFromTaskOutcome((await computed.settle()).outcome).structuredContent.result, 42);
console.log("  ok a result at once of what may start over");

await delay(1500);
const sent = await session.callTool("email_send", mail("sent"));
assert.equal(sent.kind, "task");
const result = resultFromTaskOutcome((await sent.settle()).outcome);
assert.equal(result.isError ?? false, false, JSON.stringify(result));
assert.equal((await simulator("GET", "/mails")).length, 1);
console.log("  ok a task, which is asked for until it is over");

await delay(1500);
const cancelled = await session.callTool("email_send", mail("cancelled"));
await cancelled.cancel();
const { outcome } = await cancelled.settle();
assert.equal(outcome.kind ?? outcome.status, "cancelled", JSON.stringify(outcome));
console.log("  ok a task that is cancelled");

await session.close();
await client.close();
