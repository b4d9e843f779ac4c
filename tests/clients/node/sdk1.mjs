// The TypeScript SDK of the protocol's older revisions: `node sdk1.mjs stdio|http`.

import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { LATEST_PROTOCOL_VERSION } from "@modelcontextprotocol/sdk/types.js";
import { drive, http, stdio } from "./scenario.mjs";

let changes = 0;
const onChanged = () => changes++;
const client = new Client(
  { name: "typescript-sdk-1", version: "1.0.0" },
  { listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged } } },
);
const transport =
  process.argv[2] === "stdio"
    ? new StdioClientTransport(stdio)
    : new StreamableHTTPClientTransport(http.url, { requestInit: { headers: http.headers } });
await client.connect(transport);
assert.equal(client.getServerVersion().name, "fusebox");
if (transport.protocolVersion) assert.equal(transport.protocolVersion, LATEST_PROTOCOL_VERSION);
await drive({
  client,
  call: (name, args, options, _meta) => client.callTool({ name, arguments: args, _meta }, undefined, options),
  changes: () => changes,
});
await client.close();
