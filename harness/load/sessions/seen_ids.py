"""What may be a session's id in the replies of a service: a header, a token, a part of a URL or of a body."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from harness.load.http.response import Response
from harness.load.sessions.carriers import Bearer, Body, Carrier, Header, Path, Query
from harness.load.sessions.extractors import text_of

_MIN_LENGTH = 8  # a shorter text is no secret that identifies a session
_MAX_DEPTH = 4
_NAME = r"(?:session|token|auth|sid\b|jwt)"
_HEADER = re.compile(_NAME, re.IGNORECASE)
#: Headers of such a name that belong to one request, or to a form.
_NOT_IDS = re.compile(r"request|trace|correlation|csrf|xsrf|authenticate|affinity|replica|boot|cookie", re.IGNORECASE)
_KEY = re.compile(rf"(?:^|_)(?:{_NAME}|sessionid|accesstoken)(?:_?(?:id|hash|key))?$", re.IGNORECASE)
_TOKEN = re.compile("token|jwt|auth", re.IGNORECASE)
_PATH_PARAMETER = re.compile(r";(\w*session\w*)=", re.IGNORECASE)
_QUERY_PARAMETER = re.compile(r"""[?&](\w*(?:session|sid|token)\w*)=[^&#\s"'<>]{8,}""", re.IGNORECASE)


def find_ids(replies: Sequence[Response]) -> tuple[Carrier, ...]:
    """Where replies gave what may be an id, the likeliest first; each can be set as a user's ``carries``."""
    return tuple(dict.fromkeys(carrier for reply in replies for carrier in _find_in(reply)))


def _find_in(reply: Response) -> Iterator[Carrier]:
    for name, value in reply.headers.items():
        if _HEADER.search(name) and not _NOT_IDS.search(name) and len(value) >= _MIN_LENGTH:
            yield Header("-".join(part.capitalize() for part in name.split("-")))
    text = text_of(reply)
    for where in (reply.headers.get("location", ""), text):
        yield from (Path(name) for name in _PATH_PARAMETER.findall(where))
        yield from (Query(name) for name in _QUERY_PARAMETER.findall(where))
    if text.lstrip().startswith("{"):
        try:
            content = reply.json()
        except ValueError:
            return
        for path in _id_paths(content):
            yield from (Bearer(path),) if _TOKEN.search(path) else (Body(path), Query(path.rpartition(".")[2]))


def _id_paths(content: Any, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """The paths of the texts in JSON whose names are those of ids."""
    if not isinstance(content, dict) or depth > _MAX_DEPTH:
        return
    for key, value in content.items():
        path = f"{prefix}{key}"
        if isinstance(value, str) and len(value) >= _MIN_LENGTH and _KEY.search(str(key)):
            yield path
        yield from _id_paths(value, f"{path}.", depth + 1)
