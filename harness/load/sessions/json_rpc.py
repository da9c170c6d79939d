"""The JSON-RPC 2.0 messages of a reply, whether it is JSON, a batch or an event stream."""

from collections.abc import Iterator
from typing import Any

from harness.load.http.response import Response, decode_json
from harness.load.http.server_sent_events import events_of

JsonObject = dict[str, Any]


def messages_of(reply: Response) -> Iterator[JsonObject]:
    """Every JSON object in the reply; what is not JSON is skipped."""
    texts = [event.data for event in events_of(reply)] or [reply.body]
    for text in texts:
        try:
            content = decode_json(text)
        except ValueError:
            continue
        yield from (entry for entry in (content if isinstance(content, list) else [content]) if isinstance(entry, dict))


def result_of(reply: Response) -> JsonObject | None:
    """The result of the first message that has one; None if there is none, as with an error."""
    return next((message["result"] for message in messages_of(reply) if isinstance(message.get("result"), dict)), None)
