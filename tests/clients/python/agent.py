"""An agent of a known framework (openai-agents) that calls Fusebox's tools: `python3 agent.py stdio|http`."""

import asyncio
import os
import sys

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from openai import AsyncOpenAI

ENVIRONMENT = os.environ
QUESTION = "compute 6 * 7 then search for sandbox"


def server():
    if sys.argv[1] == "stdio":
        command = {"command": ENVIRONMENT["FUSEBOX"], "args": ["serve", "--mcp", "stdio"]}
        return MCPServerStdio({**command, "cwd": ENVIRONMENT["FUSEBOX_FOLDER"]}, client_session_timeout_seconds=60)
    key = ENVIRONMENT.get("FUSEBOX_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return MCPServerStreamableHttp(
        {"url": ENVIRONMENT["FUSEBOX_URL"], "headers": headers}, client_session_timeout_seconds=60
    )


async def main():
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=ENVIRONMENT["LLM_URL"], api_key=ENVIRONMENT["LLM_KEY"])
    model = OpenAIChatCompletionsModel(model="example-model", openai_client=client)
    async with server() as fusebox:
        agent = Agent(name="helper", instructions="Use your tools.", model=model, mcp_servers=[fusebox])
        result = await Runner.run(agent, QUESTION)
    called = [item.raw_item.name for item in result.new_items if item.type == "tool_call_item"]
    assert called == ["calculator_evaluate", "search_query"], called
    assert "42" in result.final_output, result.final_output
    assert "https://" in result.final_output, result.final_output
    print(f"  ok {QUESTION!r} by {', '.join(called)}")


asyncio.run(main())
