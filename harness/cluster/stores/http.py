"""Requests to a server's status pages over HTTP, such as whether it is ready and which member leads."""

from collections.abc import Mapping
from typing import Any

from harness.common.http_client import ask_json


async def http_json(host: str, port: int, path: str, body: Mapping[str, str] | None = None) -> Any:
    """Request a path of a server, by POST where there is a ``body``; returns the JSON of its response.

    Raises:
        OSError: no response within a second, a status of 400 or more, or no JSON.
    """
    return await ask_json(f"http://{host}:{port}{path}", method="GET" if body is None else "POST", body=body)
