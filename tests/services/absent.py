"""Answers 404 to everything but ``/health``: ``PORT=8080 python tests/services/absent.py``."""

import http.server
import os


class Absent(http.server.BaseHTTPRequestHandler):
    """Has nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Absent).serve_forever()
