"""An MCP server with a tool that counts: in the memory of the process per session, or in Redis per user."""

import os
from collections import Counter

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from redis.asyncio import Redis

STORE = os.environ.get("STORE")  # without it, the process keeps the sessions and their counts

server = MCPServer("counter", log_level="WARNING")
counts: Counter[str] = Counter()
redis = Redis.from_url(STORE) if STORE else None


def header(context: Context, name: str) -> str:
    return context.request_context.request.headers[name]


@server.tool()
async def count(context: Context) -> str:
    """Count one more call."""
    if redis is not None:
        return str(await redis.incr(header(context, "x-user")))
    session = header(context, "mcp-session-id")
    counts[session] += 1
    return str(counts[session])


@server.tool()
async def total(context: Context) -> str:
    """Say how many calls were counted."""
    if redis is not None:
        return str(int(await redis.get(header(context, "x-user")) or 0))
    return str(counts[header(context, "mcp-session-id")])


server.run("streamable-http", port=int(os.environ["PORT"]), stateless_http=redis is not None, json_response=True)
