"""A server of empty pages for a browser."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: The scripts of a test send this header; requests for a page and its icon do not have it.
STEP = "X-Step"


class PageHandler(BaseHTTPRequestHandler):
    """Keeps its connections open, and says nothing of its requests."""

    protocol_version = "HTTP/1.1"

    def answer(self, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Answer with an empty page, and these headers before the others."""
        self.send_response_only(200)
        for name, value in (*headers, ("Content-Type", "text/html"), ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def page_server(handler: type[PageHandler]) -> Iterator[int]:
    """Serve on a free port of 127.0.0.1 for the length of a scope; yields the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
