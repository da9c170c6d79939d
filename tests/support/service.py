"""User-supplied services, good and bad, on the standard library: ``python tests/support/service.py MODE PORT``."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time

BORN = time.monotonic()


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers with its process id; with 503 at first, or forever, in the modes that ask for it."""

    mode = "ok"

    def do_GET(self) -> None:
        unready = self.mode == "never" or (self.mode == "starting" and time.monotonic() < BORN + 1)
        body = f"{os.getpid()}\n".encode()
        self.send_response(503 if unready else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Unready(Answer):
    """Answers 404 to everything: a port for metrics."""

    def do_GET(self) -> None:
        self.send_error(404)


class Ipv6(http.server.ThreadingHTTPServer):
    """Listens on an IPv6 address."""

    address_family = socket.AF_INET6


class Strict(http.server.ThreadingHTTPServer):
    """Does not set SO_REUSEADDR: it needs a port that no socket holds and no recent connection blocks."""

    allow_reuse_address = False


def serve(port: int, kind: type[http.server.ThreadingHTTPServer] = http.server.ThreadingHTTPServer) -> None:
    kind(("127.0.0.1", port), Answer).serve_forever()


def chatter() -> None:
    while True:
        sys.stdout.write("x" * 99_999 + "\n")
        sys.stdout.flush()
        time.sleep(0.01)


def main(mode: str, port: int) -> None:
    Answer.mode = mode
    if mode == "exits":
        sys.exit("no database here")
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode in ("forks", "escapes"):  # a child serves; one that escapes has its own session
        child = subprocess.Popen([sys.executable, __file__, "ok", str(port)], start_new_session=mode == "escapes")
        child.wait()
    if mode == "background" and os.fork():
        os._exit(0)
    if mode == "noisy":
        threading.Thread(target=chatter, daemon=True).start()
    if mode == "silent":
        time.sleep(1000)
    if mode == "metrics first":
        metrics = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unready)
        threading.Thread(target=metrics.serve_forever, daemon=True).start()
        time.sleep(3)
    if mode == "ipv6":
        Ipv6(("::1", port), Answer).serve_forever()
    if mode == "lost":
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
    serve(port, Strict if mode == "strict" else http.server.ThreadingHTTPServer)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
