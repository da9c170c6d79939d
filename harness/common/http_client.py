"""One request over HTTP to a part of a run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reply:
    """A complete response."""

    status: int
    text: str


async def ask(
    url: str, *, method: str = "GET", body: object = None, timeout_s: float = 1.0, socket: Path | None = None
) -> Reply:
    """Send one request, with a ``body`` as JSON, over a Unix ``socket`` if one is given.

    Raises:
        OSError: no complete response within ``timeout_s``.
    """
    import aiohttp  # noqa: PLC0415 - 0.15 s, which commands that send no request need not spend

    connector = aiohttp.UnixConnector(str(socket)) if socket else None
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, url, json=body) as response,
        ):
            return Reply(response.status, await response.text(errors="replace"))
    except aiohttp.ClientError as problem:
        raise OSError(f"{url} does not answer: {problem}") from problem


async def ask_json(url: str, *, method: str = "GET", body: object = None, timeout_s: float = 1.0) -> Any:
    """Send one request; returns the JSON of the response.

    Raises:
        OSError: no complete response within ``timeout_s``, a status of 400 or more, or no JSON.
    """
    reply = await ask(url, method=method, body=body, timeout_s=timeout_s)
    if reply.status >= 400:
        raise OSError(f"{url} answers {reply.status}")
    try:
        return json.loads(reply.text)
    except ValueError as problem:
        raise OSError(f"{url} answers no JSON: {problem}") from problem
