"""What a server tells over HTTP, such as whether it is ready and who leads."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from harness.common.ports import LOOPBACK

_ANSWER = aiohttp.ClientTimeout(total=1)


async def http_json(port: int, path: str, body: Mapping[str, str] | None = None) -> Any:
    """The JSON that a path of a server on loopback answers with; asked by POST where there is a ``body``.

    Raises:
        OSError: no answer within a second, another status than 200, or no JSON.
    """
    url, method = f"http://{LOOPBACK}:{port}{path}", "GET" if body is None else "POST"
    try:
        async with aiohttp.request(method, url, json=body, timeout=_ANSWER, raise_for_status=True) as reply:
            return await reply.json(content_type=None)
    except (aiohttp.ClientError, ValueError) as problem:
        raise OSError(f"{url} does not answer as it should: {problem}") from problem
