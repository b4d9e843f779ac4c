"""What the Python SDK does with a Fusebox host: `python3 scenario.py stdio|http legacy|2026-07-28`."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request

import httpx2
import mcp_types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import LATEST_HANDSHAKE_VERSION

ENVIRONMENT = os.environ
TRANSPORT, MODE = sys.argv[1:]
KEY = ENVIRONMENT.get("FUSEBOX_KEY")
HEADERS = {"authorization": f"Bearer {KEY}"} if KEY else {}


def fusebox(*arguments):
    """A command of an operator's shell; its JSON lines."""
    command = [ENVIRONMENT["FUSEBOX"], *arguments, "--json"]
    done = subprocess.run(command, cwd=ENVIRONMENT["FUSEBOX_FOLDER"], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def simulator(method, path, body=None):
    request = urllib.request.Request(ENVIRONMENT["SIMULATOR"] + path, method=method)
    request.add_header("content-type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data) as answer:
        return json.load(answer) if method == "GET" else None


def requests(service):
    return len(simulator("GET", f"/requests?service={service}"))


async def eventually(what, holds):
    end = time.monotonic() + 30
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < end, f"after 30 s: {what}"
        await asyncio.sleep(0.2)


def failure(result):
    """The typed body of a failure, which is the text of `content`."""
    assert result.is_error, result
    assert result.structured_content is None, "clients would check it against the output schema"
    return json.loads(result.content[0].text)


async def listing(client, _changes):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    evaluate = tools["calculator_evaluate"]
    assert list(evaluate.input_schema["properties"]) == ["expression"], evaluate
    assert evaluate.output_schema["type"] == "object"
    assert evaluate.annotations.read_only_hint is True
    assert tools["email_send"].annotations.read_only_hint is False
    assert "fusebox_result" in tools


async def calls(client, _changes):
    result = await client.call_tool("calculator_evaluate", {"expression": "2 * (3 + sqrt(16))"})
    assert not result.is_error and result.structured_content == {"result": 14}, result
    assert json.loads(result.content[0].text) == result.structured_content
    found = await client.call_tool("search_query", {"text": "sandbox", "limit": 1})
    (page,) = found.structured_content["result"]
    assert sorted(page) == ["snippet", "title", "url"], page


async def errors(client, _changes):
    assert failure(await client.call_tool("calculator_evaluate", {"expression": "1 +"}))["code"] == "tool-failed"
    bad = failure(await client.call_tool("search_query", {"text": "sandbox", "limit": -1}))
    assert bad["code"] == "bad-input" and "limit" in bad["message"], bad
    try:
        await client.call_tool("no_such_tool", {})
    except MCPError as error:
        assert error.error.code == mcp_types.INVALID_PARAMS, error
    else:
        raise AssertionError("an unknown tool is an error of the protocol")


async def progress(client, _changes):
    simulator("POST", "/faults", {"service": "search", "fault": {"status": 503}, "times": 2})
    told = []

    async def tell(progress, _total, message):
        told.append((progress, message))

    result = await client.call_tool("search_query", {"text": "wasm"}, progress_callback=tell)
    assert not result.is_error, result
    values = [value for value, _ in told]
    assert len(told) >= 2 and values == sorted(set(values)), told
    assert any("attempt 2" in message for _, message in told), told


async def cancellation(client, _changes):
    before = requests("search")
    simulator("POST", "/faults", {"service": "search", "fault": {"delay-ms": 3000}, "times": 1})
    call = asyncio.create_task(client.call_tool("search_query", {"text": "cancelled"}))
    await eventually("the request is out", lambda: requests("search") > before)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    newest = ["runs", "list", "--tool", "search", "--limit", "1"]
    await eventually("the run is cancelled", lambda: fusebox(*newest)[0]["state"] == "cancelled")


async def keys(client, _changes):
    transfer = {"from_account": "alice", "to_account": "bob", "amount": 1}
    meta = {"fusebox/idempotency-key": f"order-{time.time_ns()}"}
    first = await client.call_tool("ledger_transfer", transfer, meta=meta)
    again = await client.call_tool("ledger_transfer", transfer, meta=meta)
    assert first.structured_content == again.structured_content, (first, again)
    assert first.meta["fusebox/run"] == again.meta["fusebox/run"]
    assert requests("ledger") == 1


async def changes_are_notified(client, changes):
    async def listed():
        return "email_send" in {tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools}

    before = len(changes)
    await asyncio.to_thread(fusebox, "tools", "disable", "email")
    try:
        await eventually("a notice", lambda: len(changes) > before)
        assert not await listed()
    finally:
        await asyncio.to_thread(fusebox, "tools", "enable", "email")
    await eventually("another notice", lambda: len(changes) > before + 1)
    assert await listed()


STEPS = [listing, calls, errors, progress, cancellation, keys, changes_are_notified]


async def listen(client, changes, listening):
    """Since 2026-07-28 a client says what it wants to hear of."""
    async with client.listen(tools_list_changed=True) as events:
        listening.set()
        async for event in events:
            changes.append(event)


async def main():
    changes = []

    async def heard(message):
        if MODE == "legacy" and isinstance(message, mcp_types.ToolListChangedNotification):
            changes.append(message)

    if TRANSPORT == "stdio":
        server = StdioServerParameters(
            command=ENVIRONMENT["FUSEBOX"], args=["serve", "--mcp", "stdio"], cwd=ENVIRONMENT["FUSEBOX_FOLDER"]
        )
    else:
        http = httpx2.AsyncClient(headers=HEADERS, timeout=60)
        server = streamable_http_client(ENVIRONMENT["FUSEBOX_URL"], http_client=http)
    async with Client(server, mode=MODE, message_handler=heard) as client:
        expected = LATEST_HANDSHAKE_VERSION if MODE == "legacy" else MODE
        assert client.protocol_version == expected, client.protocol_version
        simulator("POST", "/reset")
        listener = None
        if MODE != "legacy":
            listening = asyncio.Event()
            listener = asyncio.create_task(listen(client, changes, listening))
            await asyncio.wait_for(listening.wait(), 30)
        for step in STEPS:
            await step(client, changes)
            print(f"  ok {step.__name__}")
        if listener:
            listener.cancel()
            await asyncio.wait([listener])


asyncio.run(main())
