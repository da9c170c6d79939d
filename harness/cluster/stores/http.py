"""Requests to a server's status pages over HTTP, such as whether it is ready and which member leads."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from harness.common.ports import LOOPBACK

_TIMEOUT = aiohttp.ClientTimeout(total=1)


async def http_json(port: int, path: str, body: Mapping[str, str] | None = None) -> Any:
    """Request a path of a server on loopback, by POST where there is a ``body``; returns the JSON of its response.

    Raises:
        OSError: no response within a second, a status other than 200, or no JSON.
    """
    url, method = f"http://{LOOPBACK}:{port}{path}", "GET" if body is None else "POST"
    try:
        async with aiohttp.request(method, url, json=body, timeout=_TIMEOUT, raise_for_status=True) as response:
            return await response.json(content_type=None)
    except (aiohttp.ClientError, ValueError) as problem:
        raise OSError(f"{url} does not answer as expected: {problem}") from problem
