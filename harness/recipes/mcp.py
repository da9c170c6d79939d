"""A client of an MCP server over streamable HTTP."""

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

from harness.load.http.client import Client, Request, Sleep
from harness.load.http.response import Response
from harness.load.locustfiles.session_user import Environment, SessionUser, between
from harness.load.sessions.behaviour import SessionSteps
from harness.load.sessions.carriers import Body, Header
from harness.load.sessions.extractors import first_number, nothing
from harness.load.sessions.gone import JsonRpcError, Status
from harness.load.sessions.json_rpc import JsonObject, result_of
from harness.oracle.models import counter

_RETRY = Sleep(0.2)  # between two tries to initialize
_ACCEPT = "application/json, text/event-stream"


class Mcp(SessionUser):
    """Initializes a session, then calls a tool again and again; begins a new session when a reply says it is gone.

    Without a ``tool`` it pings: what is judged is whether the server still knows the session. With a ``tool`` that
    counts its calls in the session, and a ``read_tool`` that shows the count, it also judges what the session holds.
    """

    abstract = True
    model = counter
    wait_time = between(0.05, 0.2)
    carries = Header("Mcp-Session-Id")
    #: 404 is the protocol's answer for an unknown session; servers built like the SDKs' examples answer 400.
    gone = (Status(404), JsonRpcError("Session not found"), Body("No valid session ID"), Body("missing session ID"))
    path: ClassVar[str] = "/mcp"
    protocol: ClassVar[str] = "2025-06-18"
    tool: ClassVar[str | None] = None
    read_tool: ClassVar[str | None] = None
    arguments: ClassVar[Mapping[str, Any]] = {}  # of the tool
    headers: ClassVar[Mapping[str, str]] = {}  # further ones, such as Authorization

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._ids = itertools.count(1)

    def observe(self, reply: Response, /) -> int | None:
        """The first whole number that a tool's result shows; 1 for any result if there is no tool."""
        result = result_of(reply)
        if result is None or result.get("isError"):
            return None
        if self.tool is None:
            return 1
        return first_number(" ".join(str(part.get("text", "")) for part in result.get("content", ())))

    def session(self, client: Client, /) -> SessionSteps:
        """One session after another."""
        while True:
            yield from self.initialize(client)
            reply = yield self.use(client, writes=True)
            while not self.is_gone(reply):
                reply = yield self.use(client, writes=True if self.tool else None)

    def initialize(self, client: Client, /) -> SessionSteps:
        """Try until the server has answered the handshake; nothing is lost before that."""
        capabilities = {"protocolVersion": self.protocol, "capabilities": {}}
        hello = {**capabilities, "clientInfo": {"name": "harness", "version": "1"}}
        while True:
            reply = yield self.post(client, "initialize", hello, fresh=True, reads=nothing)
            if result_of(reply) is not None:
                break
            yield _RETRY
        yield self.post(client, "notifications/initialized", None, reads=nothing)

    def use(self, client: Client, /, **options: Any) -> Request:
        """One call of the tool, or a ping."""
        if self.tool is None:
            return self.post(client, "ping", {}, **options)
        return self.call(client, self.tool, self.arguments, **options)

    def call(self, client: Client, tool: str, arguments: Mapping[str, Any], /, **options: Any) -> Request:
        """A call of any tool."""
        return self.post(client, "tools/call", {"name": tool, "arguments": dict(arguments)}, name=tool, **options)

    def post(
        self, client: Client, method: str, params: JsonObject | None, /, *, name: str = "", **options: Any
    ) -> Request:
        """One message to the server; a notification if it has no parameters."""
        message: JsonObject = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message.update(id=next(self._ids), params=params)
        headers = {"Accept": _ACCEPT, "MCP-Protocol-Version": self.protocol, **self.headers}
        return client.post(self.path, json=message, headers=headers, name=f"MCP {name or method}", **options)

    def is_gone(self, reply: Response, /) -> bool:
        """Whether a reply says that the session is gone."""
        return any(sign.matches(reply) for sign in self.gone)

    def final(self, client: Client, /) -> Request | None:
        """What the session holds, or whether it is still there; nothing if its tool only counts."""
        if self.tool is None:
            return self.use(client)
        return None if self.read_tool is None else self.call(client, self.read_tool, {})
