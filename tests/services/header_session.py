"""A counter whose session travels in the header ``X-Session-Token``; its state is in the memory of a process."""

import http.server
import os
import secrets

counts: dict[str, int] = {}


class Counter(http.server.BaseHTTPRequestHandler):
    """GET /count raises the session's count; an unknown session starts again, with another token."""

    def do_GET(self) -> None:
        if self.path != "/count":
            self.send_response(204)
            self.end_headers()
            return
        token = self.headers.get("X-Session-Token", "")
        if token not in counts:
            token = secrets.token_hex(16)
        counts[token] = counts.get(token, 0) + 1
        body = f'{{"count": {counts[token]}}}'.encode()
        self.send_response(200)
        self.send_header("X-Session-Token", token)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Counter).serve_forever()
