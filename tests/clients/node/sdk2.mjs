// The TypeScript SDK of protocol 2026-07-28: `node sdk2.mjs stdio|http`.

import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { drive, http, stdio } from "./scenario.mjs";

const REVISION = "2026-07-28";

let changes = 0;
const onChanged = () => changes++;
const client = new Client(
  { name: "typescript-sdk-2", version: "1.0.0" },
  {
    versionNegotiation: { mode: { pin: REVISION } },
    listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged } },
  },
);
const transport =
  process.argv[2] === "stdio"
    ? new StdioClientTransport(stdio)
    : new StreamableHTTPClientTransport(http.url, { requestInit: { headers: http.headers } });
await client.connect(transport);
assert.equal(client.getNegotiatedProtocolVersion(), REVISION);
await drive({
  client,
  call: (name, args, options, _meta) => client.callTool({ name, arguments: args, _meta }, options),
  changes: () => changes,
});
await client.close();
