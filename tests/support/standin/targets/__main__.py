"""A target of twenty lines: it answers /healthz as docs/wire.md has it, or misbehaves as an option says."""

import argparse
import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

parser = argparse.ArgumentParser()
FLAGS = "app state host port replica nonce store secret journal volume peers service-time slots"
for flag in FLAGS.split():
    parser.add_argument(f"--{flag}")
parser.add_argument("--option", action="append", default=[])
flags = parser.parse_args()
options = dict(option.split("=", 1) for option in flags.option)
if "exit" in options:
    sys.exit(options["exit"])
health = {
    "status": "ok",
    "nonce": options.get("nonce", flags.nonce),
    "replica": flags.replica,
    "boot": os.urandom(4).hex(),
}
health["opened_s"] = 0.25
health["argv"] = " ".join(sys.argv[1:])


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(health).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Reusing(HTTPServer):
    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


Reusing((flags.host, int(flags.port)), Answer).serve_forever()
