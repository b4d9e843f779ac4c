// MCP Inspector's command line: `node inspector.mjs stdio|http`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { http, stdio } from "./scenario.mjs";

const run = promisify(execFile);
const inspector = fileURLToPath(new URL("node_modules/.bin/mcp-inspector", import.meta.url));

async function inspect(era, ...request) {
  const target =
    process.argv[2] === "stdio"
      ? [stdio.command, ...stdio.args, "--cwd", stdio.cwd]
      : ["--transport", "http", "--server-url", http.url.href, "--header", `Authorization: ${http.headers.authorization}`];
  const { stdout } = await run(process.execPath, [inspector, "--cli", ...target, "--protocol-era", era, "--format", "json", ...request]);
  return JSON.parse(stdout).result;
}

for (const era of ["legacy", "modern"]) {
  const { tools } = await inspect(era, "--method", "tools/list", "--strict");
  assert.ok(tools.some(({ name }) => name === "calculator_evaluate"), JSON.stringify(tools));
  const call = ["--method", "tools/call", "--tool-name", "calculator_evaluate", "--tool-args-json"];
  const result = await inspect(era, ...call, JSON.stringify({ expression: "6 * 7" }));
  assert.equal(result.structuredContent.result, 42, JSON.stringify(result));
  console.log(`  ok tools/list and tools/call, ${era}`);
}
